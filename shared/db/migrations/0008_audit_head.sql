-- migrate:up

-- Where the chain has come to, signed by the application with a key that is not in the database: whoever cuts sealed lines off the end
-- cannot make a head that fits what is left. One row; none while nothing was ever sealed.
CREATE TABLE audit_head (
    seq        bigint PRIMARY KEY,
    hash       bytea NOT NULL,
    signature  bytea
);
ALTER TABLE audit_head ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON audit_head TO docuvault_system USING (true);
REVOKE ALL ON audit_head FROM docuvault_app, docuvault_system;
GRANT SELECT ON audit_head TO docuvault_system;

-- What was sealed without a head is sealed anew.
INSERT INTO audit_queue (line_id) SELECT line_id FROM audit_seals ORDER BY seq;
DELETE FROM audit_seals;

DROP FUNCTION audit_seal(integer);

-- Links up to `most` lines into the chain, which goes on from its head, not from the last line there is; how many, or -1 while another
-- sealer is at it. The head as it was and as it is now are for the caller to check and to sign (`audit_sign`) in the same transaction.
CREATE FUNCTION audit_seal(
    most integer,
    OUT sealed integer, OUT old_seq bigint, OUT old_hash bytea, OUT old_signature bytea, OUT new_seq bigint, OUT new_hash bytea
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    line  audit_lines;
BEGIN
    sealed := -1;
    IF NOT pg_try_advisory_xact_lock(hashtext('docuvault audit seal')) THEN
        RETURN;
    END IF;
    sealed := 0;
    SELECT seq, hash, signature INTO old_seq, old_hash, old_signature FROM audit_head ORDER BY seq DESC LIMIT 1;
    old_seq := coalesce(old_seq, 0);
    old_hash := coalesce(old_hash, '\x'::bytea);
    new_seq := old_seq;
    new_hash := old_hash;
    FOR line IN
        SELECT audit_lines.* FROM audit_queue JOIN audit_lines ON audit_lines.id = audit_queue.line_id ORDER BY number LIMIT most
    LOOP
        new_seq := new_seq + 1;
        new_hash := sha256(new_hash || convert_to(audit_line_text(line, new_seq), 'UTF8'));
        INSERT INTO audit_seals (seq, line_id, hash) VALUES (new_seq, line.id, new_hash);
        DELETE FROM audit_queue WHERE line_id = line.id;
        sealed := sealed + 1;
    END LOOP;
    IF sealed > 0 THEN
        DELETE FROM audit_head;
        INSERT INTO audit_head (seq, hash, signature) VALUES (new_seq, new_hash, old_signature);
    END IF;
END $$;

CREATE FUNCTION audit_sign(head_signature bytea) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE audit_head SET signature = head_signature
$$;

REVOKE ALL ON FUNCTION audit_seal(integer), audit_sign(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_seal(integer), audit_sign(bytea) TO docuvault_system;

-- migrate:down

DROP FUNCTION audit_seal(integer), audit_sign(bytea);
DROP TABLE audit_head;

CREATE FUNCTION audit_seal(most integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    last_seq   bigint;
    last_hash  bytea;
    line       audit_lines;
    sealed     integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('docuvault audit seal')) THEN
        RETURN -1;
    END IF;
    SELECT seq, hash INTO last_seq, last_hash FROM audit_seals ORDER BY seq DESC LIMIT 1;
    last_seq := coalesce(last_seq, 0);
    last_hash := coalesce(last_hash, '\x'::bytea);
    FOR line IN
        SELECT audit_lines.* FROM audit_queue JOIN audit_lines ON audit_lines.id = audit_queue.line_id ORDER BY number LIMIT most
    LOOP
        last_seq := last_seq + 1;
        last_hash := sha256(last_hash || convert_to(audit_line_text(line, last_seq), 'UTF8'));
        INSERT INTO audit_seals (seq, line_id, hash) VALUES (last_seq, line.id, last_hash);
        DELETE FROM audit_queue WHERE line_id = line.id;
        sealed := sealed + 1;
    END LOOP;
    RETURN sealed;
END $$;
REVOKE ALL ON FUNCTION audit_seal(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_seal(integer) TO docuvault_system;
