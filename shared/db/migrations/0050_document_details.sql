-- migrate:up

-- Who documents come from. `name_key` is unique without regard to case, as a topic's is (shared/documents/name_keys.py).
CREATE TABLE senders (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
    name_key    text COLLATE "C" NOT NULL,
    by_owner    boolean NOT NULL DEFAULT false,                   -- a person named it; else it was read from a document
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, id),
    UNIQUE (owner_id, name_key)
);
ALTER TABLE senders ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON senders TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON senders TO docuvault_system USING (true);

-- How senders are written on documents: by their name, by names they had before, and by what corrections and merges taught.
CREATE TABLE sender_aliases (
    owner_id   uuid NOT NULL,
    alias_key  text COLLATE "C" NOT NULL,                         -- words in folded case, without punctuation
    sender_id  uuid NOT NULL,
    PRIMARY KEY (owner_id, alias_key),
    FOREIGN KEY (owner_id, sender_id) REFERENCES senders (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX sender_aliases_by_sender ON sender_aliases (owner_id, sender_id);
ALTER TABLE sender_aliases ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON sender_aliases TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON sender_aliases TO docuvault_system USING (true);

-- Each of title, date and sender says where it came from: what a person set (`owner`) nothing else changes (shared/documents/details.py).
ALTER TABLE documents
    ADD COLUMN title_source text NOT NULL DEFAULT 'filename'
        CHECK (title_source IN ('filename', 'metadata', 'text', 'mail', 'ai', 'owner')),
    ADD COLUMN notes text CHECK (char_length(notes) BETWEEN 1 AND 10000),
    ADD COLUMN issued_on date,                                    -- the date on the paper
    ADD COLUMN issued_on_source text CHECK (issued_on_source IN ('metadata', 'text', 'mail', 'ai', 'owner')),
    ADD COLUMN issued_on_place text,                              -- where it stands in the document, for people
    ADD COLUMN sender_id uuid,
    ADD COLUMN sender_source text CHECK (sender_source IN ('metadata', 'text', 'mail', 'ai', 'owner')),
    ADD COLUMN sender_written text,                               -- the sender as the document writes it: what a correction teaches
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD FOREIGN KEY (owner_id, sender_id) REFERENCES senders (owner_id, id) ON DELETE SET NULL (sender_id);

-- The newest of a sender's documents, and how many there are.
CREATE INDEX documents_by_sender ON documents (owner_id, sender_id, created_at DESC, id DESC) WHERE sender_id IS NOT NULL;
-- Lists by date have what is undated at their end, whichever way they are sorted.
CREATE INDEX documents_by_issued_on ON documents (owner_id, (coalesce(issued_on, 'infinity'::date)), id);
CREATE INDEX documents_by_issued_on_descending ON documents (owner_id, (coalesce(issued_on, '-infinity'::date)) DESC, id DESC);

-- migrate:down

DROP INDEX documents_by_issued_on, documents_by_issued_on_descending, documents_by_sender;
ALTER TABLE documents
    DROP COLUMN title_source, DROP COLUMN notes, DROP COLUMN issued_on, DROP COLUMN issued_on_source, DROP COLUMN issued_on_place,
    DROP COLUMN sender_id, DROP COLUMN sender_source, DROP COLUMN sender_written, DROP COLUMN version;
DROP TABLE sender_aliases, senders;
