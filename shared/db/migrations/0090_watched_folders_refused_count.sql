-- migrate:up

-- Nothing ever wrote it: `refused` says what could not be taken.
ALTER TABLE watched_folders DROP COLUMN refused_count;

-- migrate:down

ALTER TABLE watched_folders ADD COLUMN refused_count integer NOT NULL DEFAULT 0;
