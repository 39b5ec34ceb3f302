-- migrate:up

-- Calls to AI providers wait for somebody else's machine: a queue of their own, so that nothing else waits with them.
ALTER TABLE deliveries DROP CONSTRAINT deliveries_queue_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_queue_check CHECK (queue IN ('documents', 'large', 'recognition', 'email', 'system', 'ai'));

ALTER TABLE topics
    ADD COLUMN manual_only boolean NOT NULL DEFAULT false,        -- never proposed
    ADD COLUMN ai_policy text NOT NULL DEFAULT 'inherit' CHECK (ai_policy IN ('inherit', 'local_only', 'never'));  -- of the documents in it

-- Which provider an owner chose. No row: what the admin chose, or the environment.
CREATE TABLE ai_settings (
    owner_id            uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    provider            text NOT NULL CHECK (provider IN ('anthropic', 'openai', 'ollama', 'lmstudio', 'local')),
    model               text NOT NULL,
    base_url            text,
    api_key             bytea,                                    -- sealed (shared/sealing.py)
    key_hint            text,                                     -- its last characters
    mode                text NOT NULL CHECK (mode IN ('off', 'suggest', 'apply')),
    monthly_budget_usd  numeric(12, 2) CHECK (monthly_budget_usd >= 0),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ai_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_settings TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON ai_settings TO docuvault_system USING (true);

-- The admin's choice for everyone: one row at most.
CREATE TABLE ai_system_settings (
    id                  integer PRIMARY KEY CHECK (id = 1),
    provider            text CHECK (provider IN ('anthropic', 'openai', 'ollama', 'lmstudio', 'local')),
    model               text,
    base_url            text,
    api_key             bytea,
    key_hint            text,
    monthly_budget_usd  numeric(12, 2) CHECK (monthly_budget_usd >= 0),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ai_system_settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON ai_system_settings TO docuvault_system USING (true);

-- Every call out, never its text. `reserved_usd` is held while it runs; what became of a call whose process died is not known: `lost`.
CREATE TABLE ai_calls (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    at             timestamptz NOT NULL DEFAULT now(),
    document_id    uuid,                                          -- no reference: the record outlives the document
    kind           text NOT NULL CHECK (kind IN ('classify', 'suggest_topics', 'health')),
    provider       text NOT NULL,
    model          text NOT NULL,
    base_url       text,
    characters     integer NOT NULL,                              -- of documents
    sha256         text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    paid_by        text NOT NULL CHECK (paid_by IN ('owner', 'system')),
    month          text NOT NULL,                                 -- whose budget it counts against: YYYY-MM, in UTC
    reserved_usd   numeric(18, 9) NOT NULL DEFAULT 0,
    input_tokens   integer NOT NULL DEFAULT 0,
    output_tokens  integer NOT NULL DEFAULT 0,
    cost_usd       numeric(18, 9) NOT NULL DEFAULT 0,
    outcome        text NOT NULL,
    lost_from      timestamptz,                                   -- NULL once it has ended
    duration_ms    integer
);
CREATE INDEX ai_calls_newest ON ai_calls (owner_id, id DESC);
CREATE INDEX ai_calls_running ON ai_calls (lost_from) WHERE lost_from IS NOT NULL;
ALTER TABLE ai_calls ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_calls TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON ai_calls TO docuvault_system USING (true);

-- What a month has cost and what running calls hold, for each owner and for the calls that the system's keys pay.
CREATE TABLE ai_spending (
    owner_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    month     text NOT NULL,
    spent     numeric(18, 9) NOT NULL DEFAULT 0,
    reserved  numeric(18, 9) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    PRIMARY KEY (owner_id, month)
);
ALTER TABLE ai_spending ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_spending TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON ai_spending TO docuvault_system USING (true);

CREATE TABLE ai_system_spending (
    month     text PRIMARY KEY,
    spent     numeric(18, 9) NOT NULL DEFAULT 0,
    reserved  numeric(18, 9) NOT NULL DEFAULT 0 CHECK (reserved >= 0)
);
ALTER TABLE ai_system_spending ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON ai_system_spending TO docuvault_system USING (true);

-- The circuit breaker of a provider at an address, for one payer: an owner's key or server never closes the way for others.
CREATE TABLE ai_circuits (
    endpoint      text PRIMARY KEY,
    failures      integer NOT NULL DEFAULT 0,                     -- in a row
    closed_until  timestamptz,                                    -- no calls before; then one, to try
    reason        text,
    updated_at    timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ai_circuits ENABLE ROW LEVEL SECURITY;
CREATE POLICY system ON ai_circuits TO docuvault_system USING (true);

-- Documents that wait for a provider: the backlog stands here and not in the deliveries, so that an owner's share of the queue is bounded.
CREATE TABLE ai_tasks (
    document_id   uuid PRIMARY KEY,
    owner_id      uuid NOT NULL,
    revision      integer NOT NULL,
    state         text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'gave_up')),
    by_owner      boolean NOT NULL DEFAULT false,                 -- asked for by hand: goes first
    attempts      integer NOT NULL DEFAULT 0,                     -- calls for this request
    attempts_ever integer NOT NULL DEFAULT 0,                     -- calls for this document
    not_before    timestamptz NOT NULL DEFAULT now(),
    lease_until   timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX ai_tasks_waiting ON ai_tasks (owner_id, by_owner DESC, not_before, document_id) WHERE state = 'waiting';
CREATE INDEX ai_tasks_due ON ai_tasks (not_before) WHERE state = 'waiting';
CREATE INDEX ai_tasks_running ON ai_tasks (owner_id, lease_until) WHERE state = 'running';
ALTER TABLE ai_tasks ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON ai_tasks TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON ai_tasks TO docuvault_system USING (true);

-- What a document's last classification found and changed, so that it can be undone.
CREATE TABLE classification_runs (
    document_id         uuid PRIMARY KEY,
    owner_id            uuid NOT NULL,
    revision            integer NOT NULL,
    provider            text NOT NULL,
    model               text NOT NULL,
    before_topics       uuid[] NOT NULL,                          -- filed by a provider before it
    before_confidences  real[] NOT NULL,
    at                  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE classification_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON classification_runs TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON classification_runs TO docuvault_system USING (true);

REVOKE ALL ON ai_system_settings, ai_system_spending, ai_circuits FROM docuvault_app;

-- migrate:down

DROP TABLE classification_runs, ai_tasks, ai_circuits, ai_system_spending, ai_spending, ai_calls, ai_system_settings, ai_settings;
ALTER TABLE topics DROP COLUMN ai_policy, DROP COLUMN manual_only;
DELETE FROM deliveries WHERE queue = 'ai';
ALTER TABLE deliveries DROP CONSTRAINT deliveries_queue_check;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_queue_check CHECK (queue IN ('documents', 'large', 'recognition', 'email', 'system'));
