-- migrate:up

-- Facts, written in the transaction that made them true.
CREATE TABLE events (
    id          uuid PRIMARY KEY,
    type        text NOT NULL,
    owner_id    uuid,
    subject     text NOT NULL,
    data        jsonb NOT NULL,
    dedup_key   text UNIQUE,                                    -- bucket/key/sequencer, or schedule@tick
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_age ON events (created_at);
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON events TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON events TO docuvault_system USING (true);

-- event x subscribed function, with the state of getting it there: ready (now), waiting (for available_at, after a failure), running
-- (under a lease), done, dead (given up; an admin may make it ready again).
CREATE TABLE deliveries (
    id            uuid PRIMARY KEY,
    event_id      uuid NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    function      text NOT NULL,
    queue         text NOT NULL CHECK (queue IN ('documents', 'email', 'system')),
    owner_id      uuid,
    lane          uuid NOT NULL GENERATED ALWAYS AS (coalesce(owner_id, '00000000-0000-0000-0000-000000000000')) STORED,   -- what claims are fair across
    state         text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'waiting', 'running', 'done', 'dead')),
    attempts      integer NOT NULL DEFAULT 0,
    available_at  timestamptz NOT NULL DEFAULT now(),
    leased_by     text,
    lease_until   timestamptz,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz
);
-- Rows pass through the partial indexes quickly; vacuum must keep up with what they leave behind.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX deliveries_event ON deliveries (event_id);
CREATE INDEX deliveries_ready ON deliveries (queue, lane, id) WHERE state = 'ready';
CREATE INDEX deliveries_waiting ON deliveries (available_at) WHERE state = 'waiting';
CREATE INDEX deliveries_running ON deliveries (lease_until) WHERE state = 'running';
CREATE INDEX deliveries_dead ON deliveries (created_at DESC, id DESC) WHERE state = 'dead';
CREATE INDEX deliveries_done ON deliveries (finished_at) WHERE state = 'done';
ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON deliveries TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON deliveries TO docuvault_system USING (true);

-- What came on the Redis list and could not be understood: kept aside, counted, never blocking.
CREATE TABLE bucket_event_rejects (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payload     text NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE bucket_event_rejects ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON bucket_event_rejects TO docuvault_system USING (true);

-- The last tick each schedule published, so that one missed while everything was down is published on start.
CREATE TABLE schedule_ticks (
    name       text PRIMARY KEY,
    last_tick  timestamptz NOT NULL
);
ALTER TABLE schedule_ticks ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON schedule_ticks TO docuvault_system USING (true);

REVOKE ALL ON bucket_event_rejects, schedule_ticks FROM docuvault_app;

-- migrate:down

DROP TABLE schedule_ticks, bucket_event_rejects, deliveries, events;
