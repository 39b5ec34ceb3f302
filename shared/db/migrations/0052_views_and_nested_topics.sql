-- migrate:up

-- A list that a person keeps: its name and the parameters of list_documents that make it.
CREATE TABLE views (
    id          uuid PRIMARY KEY,
    owner_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    name_key    text COLLATE "C" NOT NULL,                        -- its place in the list
    query       jsonb NOT NULL,
    pinned      boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX views_of_owner ON views (owner_id, pinned DESC, name_key, id);
ALTER TABLE views ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON views TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON views TO docuvault_system USING (true);

-- Topics within a topic, one level deep (shared/documents/topics.py holds that); those of a topic that goes stand by themselves again.
ALTER TABLE topics
    ADD COLUMN parent_id uuid CHECK (parent_id <> id),
    ADD FOREIGN KEY (owner_id, parent_id) REFERENCES topics (owner_id, id) ON DELETE SET NULL (parent_id);
CREATE INDEX topics_by_parent ON topics (owner_id, parent_id) WHERE parent_id IS NOT NULL;

-- migrate:down

ALTER TABLE topics DROP COLUMN parent_id;
DROP TABLE views;
