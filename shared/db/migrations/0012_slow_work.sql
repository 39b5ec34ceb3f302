-- migrate:up

-- Slow work has queues of its own, and of what one owner has waiting the cheapest goes first.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_queue_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_queue_check CHECK (queue IN ('documents', 'large', 'recognition', 'email', 'system'));
ALTER TABLE deliveries ADD COLUMN cost smallint NOT NULL DEFAULT 0;    -- what the work is expected to take, by size; in no unit
DROP INDEX deliveries_ready;
CREATE INDEX deliveries_ready ON deliveries (queue, lane, cost, id) WHERE state = 'ready';

-- A `stored` document whose pages are being recognised, some at a time: what is left to do.
CREATE TABLE document_recognition (
    document_id       uuid PRIMARY KEY,
    owner_id          uuid NOT NULL,
    revision          integer NOT NULL,
    scans             jsonb NOT NULL,                           -- [[page, frame, attachment], …] not done yet, as shared.extraction.Scan
    done              integer NOT NULL DEFAULT 0,               -- how many are, and rides in every event
    not_recognized    integer[] NOT NULL DEFAULT '{}',          -- numbers of the pages that were given up
    cpu_milliseconds  bigint NOT NULL DEFAULT 0,
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_recognition ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_recognition TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_recognition TO docuvault_system USING (true);

-- migrate:down

DROP TABLE document_recognition;
DELETE FROM deliveries WHERE queue IN ('large', 'recognition');
ALTER TABLE deliveries DROP COLUMN cost;
CREATE INDEX deliveries_ready ON deliveries (queue, lane, id) WHERE state = 'ready';
ALTER TABLE deliveries DROP CONSTRAINT deliveries_queue_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_queue_check CHECK (queue IN ('documents', 'email', 'system'));
