-- Users' own MCP servers, with their credentials encrypted at rest.

-- The id of the key in a sealed value (gateway/src/encryption/envelope.rs: version,
-- length of the id, id, …). Each sealed column has a column beside it that holds
-- this, so that what an old key still opens is found by an index.
CREATE FUNCTION sealed_key_id(sealed bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN encode(substring(sealed FROM 3 FOR get_byte(sealed, 1)), 'escape');

CREATE TABLE mcp_configs (
    tenant_id       uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id              uuid   NOT NULL,
    user_id         text   NOT NULL,
    name            text   NOT NULL,
    -- Where the server is, which tools are used, and the names of the credential's headers.
    settings        text   NOT NULL CHECK (settings::json IS NOT NULL),
    -- Sealed for this row; null where the server needs none.
    credentials     bytea,
    credentials_key text   GENERATED ALWAYS AS (sealed_key_id(credentials)) STORED,
    -- Counts the changes of the user; encrypting anew is none.
    version         bigint NOT NULL CHECK (version > 0),
    created_at      bigint NOT NULL,
    updated_at      bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX mcp_configs_of_user ON mcp_configs (tenant_id, user_id, name);
CREATE INDEX mcp_configs_by_credentials_key ON mcp_configs (credentials_key, tenant_id, id)
    WHERE credentials_key IS NOT NULL;

ALTER TABLE mcp_configs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON mcp_configs TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON mcp_configs TO agentapi_gateway;

-- The check at start and `agentapi keys rewrap` cross tenants as agentapi_worker,
-- who sees what is sealed, for which row, and nothing else, and may only seal it anew.
CREATE POLICY rewrap ON mcp_configs TO agentapi_worker
    USING (credentials IS NOT NULL) WITH CHECK (credentials IS NOT NULL);
GRANT SELECT (tenant_id, id, credentials, credentials_key), UPDATE (credentials) ON mcp_configs TO agentapi_worker;
