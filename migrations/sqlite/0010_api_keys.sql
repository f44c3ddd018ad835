-- API keys, and the keys under which creates may be repeated; the pair of the
-- PostgreSQL migration of the same name.

CREATE TABLE api_keys (
    tenant_id   BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id          BLOB    NOT NULL,
    user_id     TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    -- SHA-256 of tenant, id and secret. The secret itself is nowhere.
    secret_hash BLOB    NOT NULL CHECK (length(secret_hash) = 32),
    -- JSON lists: the creator's roles when it was made, and what of their rights the key has.
    roles       TEXT    NOT NULL CHECK (json_valid(roles)),
    scopes      TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
) STRICT;
CREATE INDEX api_keys_of_user ON api_keys (tenant_id, user_id, id DESC);

CREATE TABLE idempotency_keys (
    tenant_id   BLOB    NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id     TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    -- SHA-256 of the body: the same key with another one is an error of the client.
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    -- What was created, without any secret.
    created     TEXT    NOT NULL CHECK (json_valid(created)),
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, operation, key)
) STRICT;
