-- Organizations, agent sessions and MCP sessions.
--
-- Run by agentapi_owner, who owns every table. agentapi_gateway, the role that
-- serves requests, gets exactly the rights its statements need, sees one tenant
-- at a time (row-level security, forced), and can create nothing.
--
-- Times are microseconds since 1970-01-01 UTC, as in SQLite: what the gateway
-- compares and hashes is then the same number in both databases.

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO agentapi_gateway, agentapi_worker;
DO $$
BEGIN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
END
$$;

-- The gateway compares the schema's version with its own when it starts.
GRANT SELECT ON _sqlx_migrations TO agentapi_gateway;

-- Every policy below calls this: the tenant of the transaction, or null (no
-- rows at all) when none is set. A pooled connection that once had a tenant has
-- an empty string afterwards, hence nullif.
CREATE FUNCTION current_tenant() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('agentapi.tenant', true), '')::uuid;

CREATE TABLE organizations (
    tenant_id  uuid   PRIMARY KEY,
    created_at bigint NOT NULL
);

CREATE TABLE sessions (
    tenant_id    uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id           uuid   NOT NULL,
    user_id      text   NOT NULL,
    workspace    text   NOT NULL,
    -- JSON as text: jsonb refuses an escaped NUL character and forgets the form of numbers.
    metadata     text   NOT NULL CHECK (metadata::json IS NOT NULL),
    created_at   bigint NOT NULL,
    last_used_at bigint NOT NULL,
    idle_timeout bigint NOT NULL CHECK (idle_timeout >= 0),
    expires_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id, id DESC);

CREATE TABLE mcp_sessions (
    tenant_id           uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id                  uuid   NOT NULL,
    user_id             text   NOT NULL,
    workspace           text   NOT NULL,
    -- What it reaches: one server, one agent session, or (both null) all servers.
    server              text,
    session_id          uuid,
    protocol_version    text   NOT NULL,
    client_capabilities text   NOT NULL CHECK (client_capabilities::json IS NOT NULL),
    client_info         text   NOT NULL CHECK (client_info::json IS NOT NULL),
    created_at          bigint NOT NULL,
    expires_at          bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE,
    CHECK (server IS NULL OR session_id IS NULL)
);
CREATE INDEX mcp_sessions_of_user ON mcp_sessions (tenant_id, user_id, expires_at);
CREATE INDEX mcp_sessions_of_session ON mcp_sessions (tenant_id, session_id) WHERE session_id IS NOT NULL;

CREATE TABLE mcp_upstreams (
    tenant_id        uuid NOT NULL,
    mcp_session_id   uuid NOT NULL,
    server           text NOT NULL,
    session_id       text,
    protocol_version text NOT NULL,
    PRIMARY KEY (tenant_id, mcp_session_id, server),
    FOREIGN KEY (tenant_id, mcp_session_id) REFERENCES mcp_sessions ON DELETE CASCADE
);

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE sessions      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE mcp_sessions  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE mcp_upstreams ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON organizations TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON sessions TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON mcp_sessions TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON mcp_upstreams TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

GRANT SELECT, INSERT                 ON organizations TO agentapi_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions      TO agentapi_gateway;
GRANT SELECT, INSERT, DELETE         ON mcp_sessions  TO agentapi_gateway;
GRANT SELECT, INSERT, UPDATE         ON mcp_upstreams TO agentapi_gateway;
