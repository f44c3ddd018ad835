-- Users' own MCP servers; the pair of the PostgreSQL migration of the same name.

CREATE TABLE mcp_configs (
    tenant_id       BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id              BLOB    NOT NULL,
    user_id         TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    -- Where the server is, which tools are used, and the names of the credential's headers.
    settings        TEXT    NOT NULL CHECK (json_valid(settings)),
    -- Sealed for this row; null where the server needs none.
    credentials     BLOB,
    -- The id of the key in a sealed value: version, length of the id, id, ….
    credentials_key TEXT    GENERATED ALWAYS AS (
        CAST(substr(credentials, 3, unicode(CAST(substr(credentials, 2, 1) AS TEXT))) AS TEXT)) STORED,
    -- Counts the changes of the user; encrypting anew is none.
    version         INTEGER NOT NULL CHECK (version > 0),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE UNIQUE INDEX mcp_configs_of_user ON mcp_configs (tenant_id, user_id, name);
CREATE INDEX mcp_configs_by_credentials_key ON mcp_configs (credentials_key, tenant_id, id)
    WHERE credentials_key IS NOT NULL;
