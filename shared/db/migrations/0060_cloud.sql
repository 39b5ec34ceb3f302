-- migrate:up

-- A cloud of the owner's. `sealed` are its credentials, under a key of this user, purpose and row (shared/sealing.py).
CREATE TABLE cloud_connections (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider    text NOT NULL CHECK (provider IN ('google_drive', 'onedrive', 'nextcloud', 'webdav')),
    name        text NOT NULL,
    server_url  text,
    account     text,
    state       text NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'broken')),
    error       text,                                           -- a sentence for people, while broken
    sealed      bytea NOT NULL,
    checked_at  timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, id)
);
ALTER TABLE cloud_connections ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON cloud_connections TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON cloud_connections TO docuvault_system USING (true);

ALTER TABLE users ADD CONSTRAINT users_storage_connection FOREIGN KEY (id, storage_connection_id)
    REFERENCES cloud_connections (owner_id, id) ON DELETE SET NULL (storage_connection_id);

-- Where an original is that has moved to a cloud: `connection_id` and its key there. `object_key` is then that of the bucket's former copy.
ALTER TABLE documents
    ADD COLUMN cloud_key text,
    ADD CONSTRAINT documents_place CHECK ((connection_id IS NULL) = (cloud_key IS NULL)),
    ADD CONSTRAINT documents_connection FOREIGN KEY (owner_id, connection_id) REFERENCES cloud_connections (owner_id, id);
CREATE UNIQUE INDEX documents_in_cloud ON documents (connection_id, cloud_key) WHERE connection_id IS NOT NULL;

-- A document on its way to another place (NULL: the bucket). `target_key` is chosen, and committed, before anything is written there.
CREATE TABLE document_moves (
    document_id    uuid PRIMARY KEY,
    owner_id       uuid NOT NULL,
    id             uuid NOT NULL,
    to_connection  uuid,
    target_key     text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, to_connection) REFERENCES cloud_connections (owner_id, id)
);
CREATE UNIQUE INDEX document_moves_target ON document_moves (to_connection, target_key) WHERE target_key IS NOT NULL;
CREATE INDEX document_moves_age ON document_moves (created_at);
ALTER TABLE document_moves ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_moves TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_moves TO docuvault_system USING (true);

-- A copy that no document points at any more, to be removed: after a move at its source, after a purge, after a move given up.
CREATE TABLE storage_leftovers (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connection_id  uuid,                                        -- NULL: the bucket
    key            text NOT NULL,
    size           bigint NOT NULL,                             -- another file of that name has another size, and stays
    due_at         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (owner_id, connection_id) REFERENCES cloud_connections (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX storage_leftovers_due ON storage_leftovers (due_at);
CREATE INDEX storage_leftovers_of ON storage_leftovers (owner_id, connection_id);
ALTER TABLE storage_leftovers ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON storage_leftovers TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON storage_leftovers TO docuvault_system USING (true);

-- Whoever purges a document leaves its copy in the cloud, and that of a move under way, to be removed.
CREATE FUNCTION leave_cloud_copies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_leftovers (owner_id, connection_id, key, size)
    SELECT OLD.owner_id, place.connection_id, place.key, OLD.size
    FROM (
        SELECT OLD.connection_id, OLD.cloud_key
        UNION ALL
        SELECT to_connection, target_key FROM document_moves WHERE document_id = OLD.id
    ) AS place (connection_id, key)
    WHERE place.key IS NOT NULL AND EXISTS (SELECT FROM users WHERE id = OLD.owner_id AND deleted_at IS NULL);
    RETURN OLD;
END $$;
CREATE TRIGGER leave_cloud_copies BEFORE DELETE ON documents FOR EACH ROW EXECUTE FUNCTION leave_cloud_copies();

-- migrate:down

DROP TRIGGER leave_cloud_copies ON documents;
DROP FUNCTION leave_cloud_copies;
DROP TABLE storage_leftovers, document_moves;
ALTER TABLE documents DROP CONSTRAINT documents_connection, DROP CONSTRAINT documents_place, DROP COLUMN cloud_key;
ALTER TABLE users DROP CONSTRAINT users_storage_connection;
DROP TABLE cloud_connections;
