-- migrate:up

-- An earlier version of a document: its original, as the document's row named it until another took its place.
CREATE TABLE document_versions (
    id                uuid PRIMARY KEY,
    document_id       uuid NOT NULL,
    owner_id          uuid NOT NULL,
    number            integer NOT NULL CHECK (number > 0),
    filename          text NOT NULL,
    size              bigint NOT NULL CHECK (size >= 0),
    content_type      text NOT NULL,
    sha256            text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    storage_provider  text NOT NULL,
    connection_id     uuid,                                     -- as of documents; shared/cloud/connections.py keeps one that is named here
    object_key        text NOT NULL UNIQUE,
    cloud_key         text,
    etag              text,
    created_at        timestamptz NOT NULL,
    UNIQUE (document_id, number),
    CHECK ((connection_id IS NULL) = (cloud_key IS NULL)),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX document_versions_in_cloud ON document_versions (connection_id, cloud_key) WHERE connection_id IS NOT NULL;
ALTER TABLE document_versions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_versions TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_versions TO docuvault_system USING (true);

-- `replaces`: an upload of another version of that document, which no client sees as a document of its own. Its id becomes the version's.
ALTER TABLE documents
    ADD COLUMN replaces uuid CHECK (replaces IS NULL OR status = 'uploading'),
    ADD COLUMN version_id uuid,                                   -- NULL: the first version (shared/documents/replacing.py)
    ADD COLUMN version_created_at timestamptz,                    -- NULL: when the document was
    ADD FOREIGN KEY (owner_id, replaces) REFERENCES documents (owner_id, id) ON DELETE CASCADE;
CREATE INDEX documents_replacing ON documents (owner_id, replaces) WHERE replaces IS NOT NULL;

CREATE OR REPLACE FUNCTION record_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    document record := coalesce(NEW, OLD);
BEGIN
    IF document.replaces IS NOT NULL THEN
        RETURN NULL;
    END IF;
    WITH counter AS (
        UPDATE account_usage SET change_seq = change_seq + 1 WHERE owner_id = document.owner_id RETURNING change_seq
    )
    INSERT INTO document_changes (owner_id, seq, document_id, removed)
    SELECT document.owner_id, change_seq, document.id, TG_OP = 'DELETE' FROM counter;
    RETURN NULL;
END $$;

-- As of documents (migration 0060): whoever purges one leaves the copies of its versions in the cloud to be removed.
CREATE FUNCTION leave_cloud_copy_of_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_leftovers (owner_id, connection_id, key, size)
    SELECT OLD.owner_id, OLD.connection_id, OLD.cloud_key, OLD.size
    WHERE EXISTS (SELECT FROM users WHERE id = OLD.owner_id AND deleted_at IS NULL)
        AND NOT EXISTS (SELECT FROM documents WHERE owner_id = OLD.owner_id AND connection_id = OLD.connection_id AND cloud_key = OLD.cloud_key);
    RETURN NULL;
END $$;
CREATE TRIGGER leave_cloud_copy_of_version AFTER DELETE ON document_versions FOR EACH ROW WHEN (OLD.connection_id IS NOT NULL)
    EXECUTE FUNCTION leave_cloud_copy_of_version();

-- migrate:down

DELETE FROM documents WHERE replaces IS NOT NULL;
ALTER TABLE documents DROP COLUMN replaces, DROP COLUMN version_id, DROP COLUMN version_created_at;
DROP TABLE document_versions;
DROP FUNCTION leave_cloud_copy_of_version;
CREATE OR REPLACE FUNCTION record_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    document record := coalesce(NEW, OLD);
BEGIN
    WITH counter AS (
        UPDATE account_usage SET change_seq = change_seq + 1 WHERE owner_id = document.owner_id RETURNING change_seq
    )
    INSERT INTO document_changes (owner_id, seq, document_id, removed)
    SELECT document.owner_id, change_seq, document.id, TG_OP = 'DELETE' FROM counter;
    RETURN NULL;
END $$;
