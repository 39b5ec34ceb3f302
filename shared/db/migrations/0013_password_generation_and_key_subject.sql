-- migrate:up

-- Rises with each new password (not when the same one is hashed anew): what was given out under an earlier one is void.
ALTER TABLE users ADD COLUMN password_generation integer NOT NULL DEFAULT 1;

-- What the kept response is about: when that is gone, the response is not replayed any more.
ALTER TABLE idempotency_keys ADD COLUMN subject uuid;
CREATE INDEX idempotency_keys_subject ON idempotency_keys (subject) WHERE subject IS NOT NULL;

CREATE FUNCTION free_idempotency_keys() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM idempotency_keys WHERE subject = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER free_idempotency_keys AFTER DELETE ON documents FOR EACH ROW EXECUTE FUNCTION free_idempotency_keys();
CREATE TRIGGER free_idempotency_keys AFTER DELETE ON topics FOR EACH ROW EXECUTE FUNCTION free_idempotency_keys();

-- migrate:down

DROP TRIGGER free_idempotency_keys ON topics;
DROP TRIGGER free_idempotency_keys ON documents;
DROP FUNCTION free_idempotency_keys();
ALTER TABLE idempotency_keys DROP COLUMN subject;
ALTER TABLE users DROP COLUMN password_generation;
