-- migrate:up

-- The picture of a document's first page: some kilobytes, written with its text and gone with its row. As an object of the store each cost a
-- request that a document's text waited for, and could outlive what it showed.
CREATE TABLE document_thumbnails (
    document_id  uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    revision     integer NOT NULL,                              -- that it was made of
    picture      bytea NOT NULL,                                -- WebP
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_thumbnails ALTER picture SET STORAGE EXTERNAL;  -- compressed already
ALTER TABLE document_thumbnails ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_thumbnails TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_thumbnails TO docuvault_system USING (true);

-- Earlier versions have theirs in the store. One may lie there whose row never came to name it, as the process that put it there died.
UPDATE documents SET thumbnail_key = '.derived/' || owner_id || '/' || id || '/' || revision || '.webp'
WHERE thumbnail_key IS NULL AND replaces IS NULL AND status <> 'uploading';

-- migrate:down

DROP TABLE document_thumbnails;
