-- Organizations, agent sessions and MCP sessions; the pair of the PostgreSQL
-- migration of the same name. SQLite has no row-level security: every statement
-- of the gateway names the tenant.
--
-- Times are microseconds since 1970-01-01 UTC; ids are the 16 bytes of a UUID.

CREATE TABLE organizations (
    tenant_id  BLOB    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    tenant_id    BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id           BLOB    NOT NULL,
    user_id      TEXT    NOT NULL,
    workspace    TEXT    NOT NULL,
    metadata     TEXT    NOT NULL CHECK (json_valid(metadata)),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    idle_timeout INTEGER NOT NULL CHECK (idle_timeout >= 0),
    expires_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_id, id DESC);

CREATE TABLE mcp_sessions (
    tenant_id           BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id                  BLOB    NOT NULL,
    user_id             TEXT    NOT NULL,
    workspace           TEXT    NOT NULL,
    -- What it reaches: one server, one agent session, or (both null) all servers.
    server              TEXT,
    session_id          BLOB,
    protocol_version    TEXT    NOT NULL,
    client_capabilities TEXT    NOT NULL CHECK (json_valid(client_capabilities)),
    client_info         TEXT    NOT NULL CHECK (json_valid(client_info)),
    created_at          INTEGER NOT NULL,
    expires_at          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE,
    CHECK (server IS NULL OR session_id IS NULL)
) STRICT;
CREATE INDEX mcp_sessions_of_user ON mcp_sessions (tenant_id, user_id, expires_at);
CREATE INDEX mcp_sessions_of_session ON mcp_sessions (tenant_id, session_id) WHERE session_id IS NOT NULL;

CREATE TABLE mcp_upstreams (
    tenant_id        BLOB NOT NULL,
    mcp_session_id   BLOB NOT NULL,
    server           TEXT NOT NULL,
    session_id       TEXT,
    protocol_version TEXT NOT NULL,
    PRIMARY KEY (tenant_id, mcp_session_id, server),
    FOREIGN KEY (tenant_id, mcp_session_id) REFERENCES mcp_sessions ON DELETE CASCADE
) STRICT;
