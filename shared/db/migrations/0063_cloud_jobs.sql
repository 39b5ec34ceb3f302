-- migrate:up

-- Imports and exports are jobs: each file belongs to the one that it was asked for in, and is counted there once, when its fate is sealed.
ALTER TABLE cloud_imports
    ADD COLUMN job_id    uuid,                                  -- NULL: asked for before there were such jobs, or the job is long forgotten
    ADD COLUMN taken_at  timestamptz,                           -- it is a document, or was here already
    ADD COLUMN code      text,                                  -- why it has become none
    ADD COLUMN failed_at timestamptz,
    ADD CONSTRAINT cloud_imports_job FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE SET NULL;
UPDATE cloud_imports AS i SET taken_at = now()
FROM documents AS d WHERE d.id = i.document_id AND d.status <> 'uploading';
CREATE INDEX cloud_imports_job ON cloud_imports (job_id) WHERE job_id IS NOT NULL;

ALTER TABLE cloud_exports
    ADD COLUMN job_id    uuid,
    ADD CONSTRAINT cloud_exports_job FOREIGN KEY (job_id) REFERENCES jobs (id) ON DELETE SET NULL;
CREATE INDEX cloud_exports_job ON cloud_exports (job_id) WHERE job_id IS NOT NULL;

-- migrate:down

ALTER TABLE cloud_exports DROP COLUMN job_id;
ALTER TABLE cloud_imports DROP COLUMN job_id, DROP COLUMN taken_at, DROP COLUMN code, DROP COLUMN failed_at;
