-- Which API key acted, where one did; the pair of the PostgreSQL migration of the
-- same name.
ALTER TABLE audit_logs ADD COLUMN api_key BLOB;

DROP TRIGGER audit_logs_are_not_changed;
CREATE TRIGGER audit_logs_are_not_changed
    BEFORE UPDATE OF tenant_id, writer, sequence, id, time, organization, actor_commitment, address_commitment,
        user_agent_commitment, action, resource, outcome, reason, request_id, previous_hash, hash, api_key
    ON audit_logs
BEGIN
    SELECT raise(ABORT, 'audit records are not changed');
END;
