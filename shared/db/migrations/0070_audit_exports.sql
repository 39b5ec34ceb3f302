-- migrate:up

-- The daily exports of the audit log. A row is written before its file: it decides once which lines the file holds (`sealed_to`), so that an
-- export that is made again, or by two brokers at once, has the same lines. `size` is NULL until the file is in the store.
CREATE TABLE audit_exports (
    day        date PRIMARY KEY,
    sealed_to  bigint NOT NULL,        -- the last place of the chain that had been sealed
    lines      bigint,
    size       bigint,                 -- bytes of the file
    finished_at timestamptz
);
ALTER TABLE audit_exports ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON audit_exports TO docuvault_system USING (true);
REVOKE ALL ON audit_exports FROM docuvault_app, docuvault_system;
GRANT SELECT, INSERT (day, sealed_to), UPDATE (lines, size, finished_at) ON audit_exports TO docuvault_system;

-- migrate:down

DROP TABLE audit_exports;
