-- migrate:up

-- What a document's text looks like, in so few bytes that two can be compared at once (shared/search/likeness.py).
CREATE TABLE document_fingerprints (
    document_id  uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    words        bytea NOT NULL,
    numbers      bytea NOT NULL,
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_fingerprints ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_fingerprints TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_fingerprints TO docuvault_system USING (true);

-- Two that have a band in common may be alike: found by equality, which an index serves under row-level security, too.
CREATE TABLE document_bands (
    owner_id     uuid NOT NULL,
    band         bigint NOT NULL,
    document_id  uuid NOT NULL,
    PRIMARY KEY (owner_id, band, document_id),
    FOREIGN KEY (document_id) REFERENCES document_fingerprints (document_id) ON DELETE CASCADE
);
CREATE INDEX document_bands_of_document ON document_bands (document_id);
ALTER TABLE document_bands ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_bands TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_bands TO docuvault_system USING (true);

-- Documents that look like one paper, `first_id` below `second_id`.
CREATE TABLE document_lookalikes (
    owner_id   uuid NOT NULL,
    first_id   uuid NOT NULL,
    second_id  uuid NOT NULL,
    likeness   real NOT NULL CHECK (likeness BETWEEN 0 AND 1),
    PRIMARY KEY (first_id, second_id),
    CHECK (first_id < second_id),
    FOREIGN KEY (first_id) REFERENCES document_fingerprints (document_id) ON DELETE CASCADE,
    FOREIGN KEY (second_id) REFERENCES document_fingerprints (document_id) ON DELETE CASCADE
);
CREATE INDEX document_lookalikes_second ON document_lookalikes (second_id);
CREATE INDEX document_lookalikes_most_alike ON document_lookalikes (owner_id, likeness DESC, first_id DESC, second_id DESC);
ALTER TABLE document_lookalikes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_lookalikes TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_lookalikes TO docuvault_system USING (true);

-- migrate:down

DROP TABLE document_lookalikes, document_bands, document_fingerprints;
