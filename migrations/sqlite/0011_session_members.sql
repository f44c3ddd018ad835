-- Sessions that several users share, and what happened in them; the pair of the
-- PostgreSQL migration of the same name.

CREATE TABLE session_members (
    tenant_id  BLOB    NOT NULL,
    session_id BLOB    NOT NULL,
    user_id    TEXT    NOT NULL,
    -- The owner is the session's own user and no row here.
    role       TEXT    NOT NULL CHECK (role IN ('participant', 'viewer')),
    added_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, session_id, user_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE
) STRICT;
CREATE INDEX session_members_of_user ON session_members (tenant_id, user_id, session_id DESC);

-- Number of the session's last event.
ALTER TABLE sessions ADD COLUMN last_event INTEGER NOT NULL DEFAULT 0;

CREATE TABLE session_events (
    tenant_id  BLOB    NOT NULL,
    session_id BLOB    NOT NULL,
    sequence   INTEGER NOT NULL CHECK (sequence > 0),
    time       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    data       TEXT    NOT NULL CHECK (json_valid(data)),
    PRIMARY KEY (tenant_id, session_id, sequence),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE
) STRICT;

CREATE INDEX sessions_by_end         ON sessions (min(expires_at, last_used_at + idle_timeout));
CREATE INDEX mcp_sessions_by_end     ON mcp_sessions (expires_at);
CREATE INDEX api_keys_by_end         ON api_keys (expires_at);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
