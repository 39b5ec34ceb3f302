-- migrate:up

CREATE TABLE idempotency_keys (
    owner_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    operation     text NOT NULL,
    key           text NOT NULL,
    request_hash  bytea NOT NULL,
    state         text NOT NULL CHECK (state IN ('running', 'done', 'secret')),
    status        integer,
    headers       jsonb,
    body          bytea,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner_id, operation, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON idempotency_keys TO docuvault_system USING (true);

-- migrate:down

DROP TABLE idempotency_keys;
