-- Sessions that several users share, what happened in them, and the sweeper
-- that removes what has ended.

CREATE TABLE session_members (
    tenant_id  uuid   NOT NULL,
    session_id uuid   NOT NULL,
    user_id    text   NOT NULL,
    -- The owner is the session's own user and no row here.
    role       text   NOT NULL CHECK (role IN ('participant', 'viewer')),
    added_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, session_id, user_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE
);
CREATE INDEX session_members_of_user ON session_members (tenant_id, user_id, session_id DESC);

-- Number of the session's last event; counting it up locks the session, so that
-- events have one order.
ALTER TABLE sessions ADD COLUMN last_event bigint NOT NULL DEFAULT 0;

CREATE TABLE session_events (
    tenant_id  uuid   NOT NULL,
    session_id uuid   NOT NULL,
    sequence   bigint NOT NULL CHECK (sequence > 0),
    time       bigint NOT NULL,
    kind       text   NOT NULL,
    data       text   NOT NULL CHECK (data::json IS NOT NULL),
    PRIMARY KEY (tenant_id, session_id, sequence),
    FOREIGN KEY (tenant_id, session_id) REFERENCES sessions ON DELETE CASCADE
);

ALTER TABLE session_members ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE session_events  ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON session_members TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON session_events TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

GRANT SELECT, INSERT, UPDATE, DELETE ON session_members TO agentapi_gateway;
GRANT SELECT, INSERT, DELETE         ON session_events  TO agentapi_gateway;

-- The sweeper crosses tenants as agentapi_worker, who sees and removes what has
-- ended and nothing else: columns of no content, rows past their end by the
-- database's own clock. What hangs on a session goes with it.
CREATE FUNCTION now_in_microseconds() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (extract(epoch FROM now()) * 1000000)::bigint;

CREATE POLICY sweep ON sessions TO agentapi_worker
    USING (least(expires_at, last_used_at + idle_timeout) <= now_in_microseconds()) WITH CHECK (false);
CREATE POLICY sweep ON mcp_sessions TO agentapi_worker
    USING (expires_at <= now_in_microseconds()) WITH CHECK (false);
CREATE POLICY sweep ON api_keys TO agentapi_worker
    USING (expires_at <= now_in_microseconds()) WITH CHECK (false);
CREATE POLICY sweep ON idempotency_keys TO agentapi_worker
    USING (expires_at <= now_in_microseconds()) WITH CHECK (false);

GRANT DELETE, SELECT (tenant_id, id, expires_at, last_used_at, idle_timeout) ON sessions         TO agentapi_worker;
GRANT DELETE, SELECT (tenant_id, id, expires_at)                             ON mcp_sessions     TO agentapi_worker;
GRANT DELETE, SELECT (tenant_id, id, expires_at)                             ON api_keys         TO agentapi_worker;
GRANT DELETE, SELECT (tenant_id, user_id, operation, key, expires_at)        ON idempotency_keys TO agentapi_worker;

CREATE INDEX sessions_by_end         ON sessions (least(expires_at, last_used_at + idle_timeout));
CREATE INDEX mcp_sessions_by_end     ON mcp_sessions (expires_at);
CREATE INDEX api_keys_by_end         ON api_keys (expires_at);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_at);
