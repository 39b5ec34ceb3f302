-- migrate:up

-- How the text of a scanned page was recognised: how surely, and where its words stand on the picture.
CREATE TABLE document_recognized_pages (
    document_id  uuid NOT NULL,
    owner_id     uuid NOT NULL,
    number       integer NOT NULL,
    confidence   smallint NOT NULL CHECK (confidence BETWEEN 0 AND 100),
    width        integer NOT NULL CHECK (width > 0),                -- of the picture, upright, in pixels
    height       integer NOT NULL CHECK (height > 0),
    missing      text NOT NULL DEFAULT '',                          -- the language or script that there were no data of
    words        bytea NOT NULL,                                    -- zlib of JSON: [[text, left, top, width, height], …] in pixels
    PRIMARY KEY (document_id, number),
    FOREIGN KEY (document_id, number) REFERENCES document_pages (document_id, number) ON DELETE CASCADE
);
ALTER TABLE document_recognized_pages ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_recognized_pages TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_recognized_pages TO docuvault_system USING (true);

-- migrate:down

DROP TABLE document_recognized_pages;
