-- Tokens for upstream servers, the way through a browser on which they are had,
-- and the browsers that are logged in meanwhile; the pair of the PostgreSQL
-- migration of the same name.

-- A browser that is logged in as a user. Its cookie holds a secret, of which this is the hash.
CREATE TABLE browser_sessions (
    tenant_id   BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id          BLOB    NOT NULL,
    user_id     TEXT    NOT NULL,
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    -- Whether the user may connect the organization's own accounts: 0 or 1.
    administers INTEGER NOT NULL CHECK (administers IN (0, 1)),
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX browser_sessions_of_user ON browser_sessions (tenant_id, user_id);
CREATE INDEX browser_sessions_by_end  ON browser_sessions (expires_at);

-- A user on the way to an authorization server. Taken out, and so used up, by who comes back.
CREATE TABLE oauth_authorizations (
    tenant_id       BLOB    NOT NULL,
    id              BLOB    NOT NULL,
    browser_session BLOB    NOT NULL,
    server          TEXT    NOT NULL,
    -- Whose account is connected: a user, or (empty) the organization.
    holder          TEXT    NOT NULL,
    -- SHA-256 of the state's secret.
    secret_hash     BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    -- The authorization server that was asked, and what of the server's settings it was asked for.
    issuer          TEXT    NOT NULL,
    binding         BLOB    NOT NULL CHECK (length(binding) = 32),
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, browser_session) REFERENCES browser_sessions ON DELETE CASCADE
) STRICT;
CREATE INDEX oauth_authorizations_of_browser ON oauth_authorizations (tenant_id, browser_session);
CREATE INDEX oauth_authorizations_by_end     ON oauth_authorizations (expires_at);

CREATE TABLE oauth_tokens (
    tenant_id    BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id           BLOB    NOT NULL,
    server       TEXT    NOT NULL,
    holder       TEXT    NOT NULL,
    connected_by TEXT    NOT NULL,
    issuer       TEXT    NOT NULL,
    -- What the tokens may be used for: they are not sent where this differs.
    binding      BLOB    NOT NULL CHECK (length(binding) = 32),
    scopes       TEXT    NOT NULL CHECK (json_valid(scopes)),
    -- Sealed for this row.
    tokens       BLOB    NOT NULL,
    tokens_key   TEXT    GENERATED ALWAYS AS (CAST(substr(tokens, 3, unicode(CAST(substr(tokens, 2, 1) AS TEXT))) AS TEXT)) STORED,
    -- Counts the sets of tokens.
    version      INTEGER NOT NULL CHECK (version > 0),
    -- connected; reconnect: only consent helps; revoking: to be revoked upstream and removed;
    -- unrevoked: the authorization server did not revoke them, however often it was asked.
    state        TEXT    NOT NULL CHECK (state IN ('connected', 'reconnect', 'revoking', 'unrevoked')),
    -- The largest number where the end is not known.
    expires_at   INTEGER NOT NULL,
    refreshable  INTEGER NOT NULL CHECK (refreshable IN (0, 1)),
    -- The lease on refreshing them: who has the epoch may write, until then; sent says
    -- that the refresh token may have been used.
    lease_epoch  INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER NOT NULL DEFAULT 0,
    sent         INTEGER NOT NULL DEFAULT 0 CHECK (sent IN (0, 1)),
    -- Of revoking them.
    attempts     INTEGER NOT NULL DEFAULT 0,
    attempt_at   INTEGER NOT NULL DEFAULT 0,
    connected_at INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
-- One connection for each holder; any number of former ones may wait for their end.
CREATE UNIQUE INDEX oauth_tokens_in_use ON oauth_tokens (tenant_id, server, holder)
    WHERE state IN ('connected', 'reconnect');
CREATE INDEX oauth_tokens_of_holder ON oauth_tokens (tenant_id, holder);
CREATE INDEX oauth_tokens_to_revoke ON oauth_tokens (attempt_at) WHERE state = 'revoking';
CREATE INDEX oauth_tokens_by_tokens_key ON oauth_tokens (tokens_key, tenant_id, id) WHERE tokens_key IS NOT NULL;
