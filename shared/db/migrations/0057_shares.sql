-- migrate:up

-- Links that give a document to whoever holds one; of the link's token only the hash is here.
CREATE TABLE document_shares (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL,
    document_id    uuid NOT NULL,
    token_hash     bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    password_hash  text,                                          -- Argon2id
    expires_at     timestamptz NOT NULL,
    max_downloads  integer CHECK (max_downloads > 0),
    downloads      integer NOT NULL DEFAULT 0 CHECK (downloads >= 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (downloads <= max_downloads),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX document_shares_newest ON document_shares (owner_id, document_id, id DESC);
ALTER TABLE document_shares ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_shares TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_shares TO docuvault_system USING (true);

-- migrate:down

DROP TABLE document_shares;
