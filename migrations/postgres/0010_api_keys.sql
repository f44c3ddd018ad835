-- API keys, and the keys under which creates may be repeated.

CREATE TABLE api_keys (
    tenant_id   uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    id          uuid   NOT NULL,
    user_id     text   NOT NULL,
    name        text   NOT NULL,
    -- SHA-256 of tenant, id and secret. The secret itself is nowhere.
    secret_hash bytea  NOT NULL CHECK (octet_length(secret_hash) = 32),
    -- JSON lists: the creator's roles when it was made, and what of their rights the key has.
    roles       text   NOT NULL CHECK (roles::json IS NOT NULL),
    scopes      text   NOT NULL CHECK (scopes::json IS NOT NULL),
    created_at  bigint NOT NULL,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX api_keys_of_user ON api_keys (tenant_id, user_id, id DESC);

CREATE TABLE idempotency_keys (
    tenant_id   uuid   NOT NULL REFERENCES organizations ON DELETE CASCADE,
    user_id     text   NOT NULL,
    operation   text   NOT NULL,
    key         text   NOT NULL,
    -- SHA-256 of the body: the same key with another one is an error of the client.
    fingerprint bytea  NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- What was created, without any secret.
    created     text   NOT NULL CHECK (created::json IS NOT NULL),
    expires_at  bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id, operation, key)
);

ALTER TABLE api_keys         ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON api_keys TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON idempotency_keys TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());

-- A key is revoked by removing it: what is not there cannot be used.
GRANT SELECT, INSERT, DELETE ON api_keys         TO agentapi_gateway;
GRANT SELECT, INSERT, DELETE ON idempotency_keys TO agentapi_gateway;
