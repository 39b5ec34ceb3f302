-- migrate:up

-- A folder of a cloud whose new files become documents by themselves.
CREATE TABLE watched_folders (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    connection_id  uuid NOT NULL,
    path           text NOT NULL,
    position       text NOT NULL DEFAULT '',                    -- in the cloud's own feed of changes: what came before has been looked at
    waiting        jsonb NOT NULL DEFAULT '{}',                 -- {path: size and tag at the last look} of new files that may still be growing
    refused        jsonb NOT NULL DEFAULT '[]',                 -- [{path, code}]: what could not be taken, the first hundred
    refused_count  integer NOT NULL DEFAULT 0,
    error          text,                                        -- why the last look came to nothing, as a sentence for people
    failures       integer NOT NULL DEFAULT 0,                  -- looks in a row that came to nothing
    looks          integer NOT NULL DEFAULT 0,                  -- how many there were: each happens once
    announced      integer NOT NULL DEFAULT 0,
    looked_at      timestamptz,
    next_look_at   timestamptz NOT NULL DEFAULT now(),
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, connection_id, path),
    FOREIGN KEY (owner_id, connection_id) REFERENCES cloud_connections (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX watched_folders_due ON watched_folders (next_look_at);
ALTER TABLE watched_folders ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON watched_folders TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON watched_folders TO docuvault_system USING (true);

-- migrate:down

DROP TABLE watched_folders;
