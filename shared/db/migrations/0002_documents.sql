-- migrate:up

CREATE TABLE documents (
    id                uuid PRIMARY KEY,
    owner_id          uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    filename          text NOT NULL,
    title             text NOT NULL,
    size              bigint NOT NULL CHECK (size >= 0),        -- as declared while uploading, then as stored
    content_type      text NOT NULL,
    status            text NOT NULL CHECK (status IN ('uploading', 'stored', 'extracted', 'ready', 'failed')),
    error             jsonb,                                    -- {step, code, detail} while failed
    page_count        integer,
    language          text,                                     -- ISO 639-1
    sha256            text CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    ai_policy         text NOT NULL DEFAULT 'inherit' CHECK (ai_policy IN ('inherit', 'local_only', 'never')),
    revision          integer NOT NULL DEFAULT 1,               -- rises with each reprocess, rides in every event
    storage_provider  text NOT NULL DEFAULT 'minio',
    connection_id     uuid,
    object_key        text NOT NULL UNIQUE,                     -- {owner}/{document}/{uuid4}{ext}
    etag              text,
    thumbnail_key     text,                                     -- .derived/{owner}/{document}/{revision}.webp
    upload_method     text CHECK (upload_method IN ('single', 'multipart', 'through_us')),  -- these three only while uploading
    upload_id         text,                                     -- the store's multipart id
    upload_expires_at timestamptz,
    looked_at         timestamptz NOT NULL DEFAULT now(),       -- when the reconciler last looked after it
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    trashed_at        timestamptz,
    UNIQUE (owner_id, id)
);
CREATE INDEX documents_newest ON documents (owner_id, created_at DESC, id DESC);
CREATE INDEX documents_by_filename ON documents (owner_id, filename, id);
CREATE INDEX documents_by_size ON documents (owner_id, size, id);
CREATE INDEX documents_by_hash ON documents (owner_id, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX documents_trashed ON documents (trashed_at) WHERE trashed_at IS NOT NULL;
CREATE INDEX documents_unfinished ON documents (looked_at) WHERE status IN ('uploading', 'stored', 'extracted');
CREATE INDEX documents_expiring ON documents (upload_expires_at) WHERE status = 'uploading';
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON documents TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON documents TO docuvault_system USING (true);

CREATE TABLE document_pages (
    document_id  uuid NOT NULL,
    owner_id     uuid NOT NULL,
    number       integer NOT NULL CHECK (number > 0),
    text         text NOT NULL,
    PRIMARY KEY (document_id, number),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_pages ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_pages TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_pages TO docuvault_system USING (true);

-- Every step taken for a document: one row per revision and step.
CREATE TABLE document_steps (
    document_id  uuid NOT NULL,
    owner_id     uuid NOT NULL,
    revision     integer NOT NULL,
    step         text NOT NULL,
    state        text NOT NULL CHECK (state IN ('running', 'done', 'failed', 'skipped')),
    attempts     integer NOT NULL DEFAULT 1,
    started_at   timestamptz NOT NULL DEFAULT now(),
    duration_ms  integer,
    detail       text,
    PRIMARY KEY (document_id, revision, step),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_steps ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_steps TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_steps TO docuvault_system USING (true);

-- An aborted or expired upload: until its URL has expired, an object that still arrives under its key is removed. No reference to users:
-- it must outlive an account that is deleted meanwhile.
CREATE TABLE upload_tombstones (
    object_key  text PRIMARY KEY,
    owner_id    uuid NOT NULL,
    upload_id   text,                                           -- the store's multipart id
    expires_at  timestamptz NOT NULL
);
CREATE INDEX upload_tombstones_expiring ON upload_tombstones (expires_at);
ALTER TABLE upload_tombstones ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON upload_tombstones TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON upload_tombstones TO docuvault_system USING (true);

-- What an account holds. `reserved` belongs to uploads under way; `change_seq` numbers the owner's document changes.
CREATE TABLE account_usage (
    owner_id        uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    bytes_used      bigint NOT NULL DEFAULT 0 CHECK (bytes_used >= 0),
    bytes_reserved  bigint NOT NULL DEFAULT 0 CHECK (bytes_reserved >= 0),
    bytes_quota     bigint,                                     -- NULL: DEFAULT_QUOTA
    documents       bigint NOT NULL DEFAULT 0 CHECK (documents >= 0),
    change_seq      bigint NOT NULL DEFAULT 0
);
ALTER TABLE account_usage ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON account_usage TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON account_usage TO docuvault_system USING (true);

CREATE FUNCTION open_account_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO account_usage (owner_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER open_account_usage AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION open_account_usage();

-- What stream_document_events sends: numbered per owner without gaps.
CREATE TABLE document_changes (
    owner_id     uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seq          bigint NOT NULL,
    document_id  uuid NOT NULL,
    removed      boolean NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, seq)
);
CREATE INDEX document_changes_age ON document_changes (at);
ALTER TABLE document_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_changes TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_changes TO docuvault_system USING (true);

-- Runs at commit (deferred), so that the owner's counter is always the last row a transaction locks: no deadlocks.
CREATE FUNCTION record_document_change() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- What clients do not see (looked_at, the upload's own columns) is no change to them.
CREATE CONSTRAINT TRIGGER record_document_change
    AFTER INSERT OR DELETE OR UPDATE OF
        filename, title, size, content_type, status, error, page_count, language, sha256, ai_policy, storage_provider, connection_id,
        updated_at, trashed_at
    ON documents
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_document_change();

-- migrate:down

DROP TABLE document_changes, account_usage, upload_tombstones, document_steps, document_pages, documents CASCADE;
DROP FUNCTION record_document_change, open_account_usage CASCADE;
