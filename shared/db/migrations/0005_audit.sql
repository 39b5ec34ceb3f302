-- migrate:up

-- What happened. Writers only insert; nobody but the schema's owner changes or removes a line. Personal data stands beside it in
-- audit_personal and can be erased; the line keeps a salted commitment to it.
CREATE TABLE audit_lines (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(), -- writers have no right to set it
    action      text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('success', 'failure')),
    actor_id    uuid,                                           -- who did it; NULL: nobody signed in, or the system
    owner_id    uuid,                                           -- the account it concerns
    target      text,
    detail      jsonb NOT NULL DEFAULT '{}',
    commitment  bytea                                           -- SHA-256 of salt and personal data
);
CREATE INDEX audit_lines_of_owner ON audit_lines (owner_id, id DESC);
CREATE INDEX audit_lines_of_actor ON audit_lines (actor_id, id DESC);
CREATE INDEX audit_lines_of_action ON audit_lines (action, id DESC);
CREATE INDEX audit_lines_at ON audit_lines (at);
ALTER TABLE audit_lines ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_lines TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON audit_lines TO docuvault_system USING (true);

CREATE TABLE audit_personal (
    line_id     uuid PRIMARY KEY REFERENCES audit_lines (id),
    owner_id    uuid,
    salt        bytea NOT NULL,
    ip          text,
    user_agent  text,
    email       text
);
CREATE INDEX audit_personal_of_owner ON audit_personal (owner_id);
CREATE INDEX audit_personal_of_email ON audit_personal (lower(email)) WHERE email IS NOT NULL;
ALTER TABLE audit_personal ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_personal TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON audit_personal TO docuvault_system USING (true);

-- Lines that are not sealed yet, and the chain: hash(n) = SHA-256(hash(n-1) || text of the line).
CREATE TABLE audit_queue (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line_id  uuid NOT NULL UNIQUE
);
ALTER TABLE audit_queue ENABLE ROW LEVEL SECURITY;

CREATE TABLE audit_seals (
    seq        bigint PRIMARY KEY,
    line_id    uuid NOT NULL UNIQUE REFERENCES audit_lines (id),
    hash       bytea NOT NULL,
    sealed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE audit_seals ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON audit_seals TO docuvault_system USING (true);

REVOKE ALL ON audit_lines, audit_personal, audit_queue, audit_seals FROM docuvault_app, docuvault_system;
GRANT SELECT, INSERT (id, action, outcome, actor_id, owner_id, target, detail, commitment) ON audit_lines TO docuvault_app, docuvault_system;
GRANT SELECT, INSERT ON audit_personal TO docuvault_app, docuvault_system;
GRANT SELECT ON audit_seals TO docuvault_system;

CREATE FUNCTION audit_enqueue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO audit_queue (line_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_enqueue AFTER INSERT ON audit_lines FOR EACH ROW EXECUTE FUNCTION audit_enqueue();

-- The text that is hashed and exported: jsonb prints its members in one order and form.
CREATE FUNCTION audit_line_text(line audit_lines, seq bigint) RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object(
        'seq', seq, 'id', line.id, 'at', to_char(line.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'action', line.action, 'outcome', line.outcome, 'actor', line.actor_id, 'owner', line.owner_id, 'target', line.target,
        'detail', line.detail, 'commitment', encode(line.commitment, 'hex')
    )::text
$$;

CREATE FUNCTION audit_commitment(salt bytea, ip text, user_agent text, email text) RETURNS bytea LANGUAGE sql STABLE
SET search_path = public, pg_temp AS $$
    SELECT sha256(salt || convert_to(jsonb_build_object('ip', ip, 'user_agent', user_agent, 'email', email)::text, 'UTF8'))
$$;

-- Links up to `most` lines into the chain; how many, or -1 while another sealer is at it.
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

-- Forgets a person: the lines stay, what they say about the person's address, mail and browser goes. Lines of nobody's account that name the
-- person's mail address (somebody tried it) are found by that.
CREATE FUNCTION audit_erase_personal(account uuid, address text) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    erased integer;
BEGIN
    DELETE FROM audit_personal
    WHERE owner_id = account OR lower(email) = lower(address) OR line_id IN (SELECT id FROM audit_lines WHERE actor_id = account);
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;

REVOKE ALL ON FUNCTION audit_enqueue(), audit_seal(integer), audit_erase_personal(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_seal(integer), audit_erase_personal(uuid, text) TO docuvault_system;

-- migrate:down

DROP TABLE audit_seals, audit_queue, audit_personal, audit_lines CASCADE;
DROP FUNCTION audit_erase_personal(uuid, text), audit_seal(integer), audit_commitment(bytea, text, text, text), audit_enqueue();
