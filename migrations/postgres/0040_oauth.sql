-- Tokens for upstream servers, the way through a browser on which they are had,
-- and the browsers that are logged in meanwhile.

-- A browser that is logged in as a user. Its cookie holds a secret, of which this is the hash.
CREATE TABLE browser_sessions (
    tenant_id   uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id          uuid   NOT NULL,
    user_id     text   NOT NULL,
    secret_hash bytea  NOT NULL CHECK (octet_length(secret_hash) = 32),
    -- Whether the user may connect the organization's own accounts: 0 or 1.
    administers bigint NOT NULL CHECK (administers IN (0, 1)),
    expires_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX browser_sessions_of_user ON browser_sessions (tenant_id, user_id);
CREATE INDEX browser_sessions_by_end  ON browser_sessions (expires_at);

-- A user on the way to an authorization server. Taken out, and so used up, by who comes back.
CREATE TABLE oauth_authorizations (
    tenant_id       uuid   NOT NULL,
    id              uuid   NOT NULL,
    browser_session uuid   NOT NULL,
    server          text   NOT NULL,
    -- Whose account is connected: a user, or (empty) the organization.
    holder          text   NOT NULL,
    -- SHA-256 of the state's secret.
    secret_hash     bytea  NOT NULL CHECK (octet_length(secret_hash) = 32),
    -- The authorization server that was asked, and what of the server's settings it was asked for.
    issuer          text   NOT NULL,
    binding         bytea  NOT NULL CHECK (octet_length(binding) = 32),
    expires_at      bigint NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, browser_session) REFERENCES browser_sessions ON DELETE CASCADE
);
CREATE INDEX oauth_authorizations_of_browser ON oauth_authorizations (tenant_id, browser_session);
CREATE INDEX oauth_authorizations_by_end     ON oauth_authorizations (expires_at);

CREATE TABLE oauth_tokens (
    tenant_id    uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id           uuid   NOT NULL,
    server       text   NOT NULL,
    holder       text   NOT NULL,
    connected_by text   NOT NULL,
    issuer       text   NOT NULL,
    -- What the tokens may be used for: they are not sent where this differs.
    binding      bytea  NOT NULL CHECK (octet_length(binding) = 32),
    scopes       text   NOT NULL CHECK (scopes::json IS NOT NULL),
    -- Sealed for this row.
    tokens       bytea  NOT NULL,
    tokens_key   text   GENERATED ALWAYS AS (sealed_key_id(tokens)) STORED,
    -- Counts the sets of tokens.
    version      bigint NOT NULL CHECK (version > 0),
    -- connected; reconnect: only consent helps; revoking: to be revoked upstream and removed;
    -- unrevoked: the authorization server did not revoke them, however often it was asked.
    state        text   NOT NULL CHECK (state IN ('connected', 'reconnect', 'revoking', 'unrevoked')),
    -- The largest number where the end is not known.
    expires_at   bigint NOT NULL,
    refreshable  bigint NOT NULL CHECK (refreshable IN (0, 1)),
    -- The lease on refreshing them: who has the epoch may write, until then; sent says
    -- that the refresh token may have been used.
    lease_epoch  bigint NOT NULL DEFAULT 0,
    leased_until bigint NOT NULL DEFAULT 0,
    sent         bigint NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
    -- Of revoking them.
    attempts     bigint NOT NULL DEFAULT 0,
    attempt_at   bigint NOT NULL DEFAULT 0,
    connected_at bigint NOT NULL,
    updated_at   bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
-- One connection for each holder; any number of former ones may wait for their end.
CREATE UNIQUE INDEX oauth_tokens_in_use ON oauth_tokens (tenant_id, server, holder)
    WHERE state IN ('connected', 'reconnect');
CREATE INDEX oauth_tokens_of_holder ON oauth_tokens (tenant_id, holder);
CREATE INDEX oauth_tokens_to_revoke ON oauth_tokens (attempt_at) WHERE state = 'revoking';
CREATE INDEX oauth_tokens_by_tokens_key ON oauth_tokens (tokens_key, tenant_id, id) WHERE tokens_key IS NOT NULL;

ALTER TABLE browser_sessions     ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE oauth_authorizations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE oauth_tokens         ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON browser_sessions TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON oauth_authorizations TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON oauth_tokens TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

GRANT SELECT, INSERT, DELETE         ON browser_sessions     TO agentapi_gateway;
GRANT SELECT, INSERT, DELETE         ON oauth_authorizations TO agentapi_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_tokens         TO agentapi_gateway;

CREATE POLICY sweep ON browser_sessions TO agentapi_worker
    USING (expires_at <= now_in_microseconds()) WITH CHECK (false);
CREATE POLICY sweep ON oauth_authorizations TO agentapi_worker
    USING (expires_at <= now_in_microseconds()) WITH CHECK (false);
GRANT DELETE, SELECT (tenant_id, id, expires_at) ON browser_sessions     TO agentapi_worker;
GRANT DELETE, SELECT (tenant_id, id, expires_at) ON oauth_authorizations TO agentapi_worker;

-- Jobs that cross tenants see which tokens are to be revoked, and what is sealed for
-- which row; they may seal anew, and nothing else.
CREATE POLICY work ON oauth_tokens TO agentapi_worker USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, id, state, attempt_at, leased_until, tokens, tokens_key), UPDATE (tokens)
    ON oauth_tokens TO agentapi_worker;
