-- migrate:up

-- What was imported from where: so that a file that has not changed since is not imported again.
CREATE TABLE cloud_imports (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connection_id  uuid NOT NULL,
    path           text NOT NULL,
    size           bigint NOT NULL,
    etag           text NOT NULL,
    document_id    uuid,                                        -- that it became, or that had the same bytes already
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, connection_id, path),
    FOREIGN KEY (owner_id, connection_id) REFERENCES cloud_connections (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE SET NULL (document_id)
);
CREATE INDEX cloud_imports_document ON cloud_imports (owner_id, document_id);
ALTER TABLE cloud_imports ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON cloud_imports TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON cloud_imports TO docuvault_system USING (true);

-- Copies of documents on their way to a folder in a cloud; the row goes when the copy is there and verified.
CREATE TABLE cloud_exports (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connection_id  uuid NOT NULL,
    document_id    uuid NOT NULL,
    folder         text NOT NULL,
    target_key     text,                                        -- chosen, and committed, before anything is written there
    created_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (owner_id, connection_id) REFERENCES cloud_connections (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX cloud_exports_target ON cloud_exports (connection_id, target_key) WHERE target_key IS NOT NULL;
CREATE INDEX cloud_exports_document ON cloud_exports (owner_id, document_id);
ALTER TABLE cloud_exports ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON cloud_exports TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON cloud_exports TO docuvault_system USING (true);

-- migrate:down

DROP TABLE cloud_exports, cloud_imports;
