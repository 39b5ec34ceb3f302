-- migrate:up

-- A sender's own name as an alias: what a person named keeps it, whatever corrections of other documents teach.
ALTER TABLE senders ADD COLUMN alias_key text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE senders ALTER COLUMN alias_key DROP DEFAULT;

-- Long work of an owner's (bulk, import, export, reprocess), done slice by slice: how far it has come stands here, so any worker may go on.
CREATE TABLE jobs (
    id            uuid PRIMARY KEY,
    owner_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind          text NOT NULL CHECK (kind IN ('bulk', 'import', 'export', 'reprocess')),
    state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    request       jsonb NOT NULL,                                 -- what is to be done, as the kind's own module understands it
    position      jsonb,                                          -- how far it has come, likewise
    slices        integer NOT NULL DEFAULT 0,                     -- rides in every event
    total         integer,                                        -- NULL until it is known
    done          integer NOT NULL DEFAULT 0,
    failed        jsonb NOT NULL DEFAULT '[]',                    -- [{id, code}], the first thousand
    failed_count  integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
);
CREATE INDEX jobs_newest ON jobs (owner_id, id DESC);
CREATE INDEX jobs_running ON jobs (updated_at) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON jobs TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON jobs TO docuvault_system USING (true);

-- migrate:down

DROP TABLE jobs;
ALTER TABLE senders DROP COLUMN alias_key;
