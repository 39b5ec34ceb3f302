-- migrate:up

-- Which of title, sender and date a provider is to read with the topics.
ALTER TABLE ai_settings
    ADD COLUMN propose text[] NOT NULL DEFAULT '{}' CHECK (propose <@ ARRAY['title', 'sender', 'issued_on']);

-- What a provider read a document's title, sender or date to be, with its reason: one of each name at most. What it set by itself is
-- `accepted` without `decided_at`, and `before` holds what stood there, for undoing it.
CREATE TABLE detail_proposals (
    id           uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    document_id  uuid NOT NULL,
    name         text NOT NULL CHECK (name IN ('title', 'sender', 'issued_on')),
    value        text NOT NULL,
    quote        text NOT NULL,
    page         integer,
    provider     text NOT NULL,
    model        text NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'accepted', 'rejected')),
    before       jsonb,
    revision     integer NOT NULL,                                -- of the document that was read
    created_at   timestamptz NOT NULL DEFAULT now(),
    decided_at   timestamptz,
    UNIQUE (document_id, name),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE detail_proposals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON detail_proposals TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON detail_proposals TO docuvault_system USING (true);

-- migrate:down

DROP TABLE detail_proposals;
ALTER TABLE ai_settings DROP COLUMN propose;
