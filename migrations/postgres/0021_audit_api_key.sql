-- Which API key acted, where one did. It enters the hash of the record; records
-- of before have none, and hash as they did.
ALTER TABLE audit_logs ADD COLUMN api_key uuid;
