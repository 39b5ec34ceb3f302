-- migrate:up

-- How documents lie in the cloud that is their home: `DocuVault/<year>`, or a folder for the topic within.
ALTER TABLE users ADD COLUMN storage_folders text NOT NULL DEFAULT 'year' CHECK (storage_folders IN ('year', 'year_and_topic'));
GRANT SELECT (storage_folders), UPDATE (storage_folders) ON users TO docuvault_app;

-- migrate:down

ALTER TABLE users DROP COLUMN storage_folders;
