-- migrate:up

-- Objects that were not what had been promised used to be kept, with whatever was in them. A tombstone has the clean-up remove each; their
-- documents stay, hold no room any more and are not served.
INSERT INTO upload_tombstones (object_key, owner_id, expires_at)
SELECT object_key, owner_id, now() FROM documents WHERE status = 'failed' AND error ->> 'code' = 'object_mismatch'
ON CONFLICT (object_key) DO NOTHING;

UPDATE account_usage SET bytes_used = greatest(0, bytes_used - refused.size)
FROM (
    SELECT owner_id, sum(size) AS size FROM documents WHERE status = 'failed' AND error ->> 'code' = 'object_mismatch' GROUP BY owner_id
) AS refused
WHERE account_usage.owner_id = refused.owner_id;

UPDATE documents SET size = 0, etag = NULL WHERE status = 'failed' AND error ->> 'code' = 'object_mismatch';

-- migrate:down

-- What is gone does not come back, and need not.
SELECT 1;
