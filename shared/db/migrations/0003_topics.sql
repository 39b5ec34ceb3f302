-- migrate:up

-- `name_key` (shared/documents/topics.py makes it) is unique without regard to case and sorts accented letters beside the plain ones.
CREATE TABLE topics (
    id                  uuid PRIMARY KEY,
    owner_id            uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name                text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    name_key            text COLLATE "C" NOT NULL,
    description         text CHECK (char_length(description) <= 1000),
    color               text CHECK (color ~ '^#[0-9a-f]{6}$'),
    accepted_documents  integer NOT NULL DEFAULT 0,               -- examples learned from, for and against
    refused_documents   integer NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT now(),
    UNIQUE (owner_id, id),
    UNIQUE (owner_id, name_key)
);
ALTER TABLE topics ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON topics TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON topics TO docuvault_system USING (true);

-- The filing. Both keys carry the owner: a topic can only be attached to a document of its own owner.
CREATE TABLE document_topics (
    document_id  uuid NOT NULL,
    topic_id     uuid NOT NULL,
    owner_id     uuid NOT NULL,
    source       text NOT NULL CHECK (source IN ('owner', 'suggestion', 'ai')),  -- by hand, by accepting a suggestion, by itself
    confidence   real CHECK (confidence BETWEEN 0 AND 1),                        -- NULL where a person decided
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, topic_id),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, topic_id) REFERENCES topics (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX documents_in_trash ON documents (owner_id, id) WHERE trashed_at IS NOT NULL;  -- what a topic's count leaves out
CREATE INDEX document_topics_by_topic ON document_topics (owner_id, topic_id, document_id);
ALTER TABLE document_topics ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_topics TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_topics TO docuvault_system USING (true);

-- What a provider proposed, with its reason. `decided_at` is set once the owner has spoken: no provider changes it after that.
CREATE TABLE topic_suggestions (
    id           uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    document_id  uuid NOT NULL,
    topic_id     uuid NOT NULL,
    confidence   real NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    quote        text,
    page         integer,
    provider     text NOT NULL,
    model        text NOT NULL,
    state        text NOT NULL CHECK (state IN ('open', 'accepted', 'rejected')),
    revision     integer NOT NULL,                                -- of the document that was read
    created_at   timestamptz NOT NULL DEFAULT now(),
    decided_at   timestamptz,
    UNIQUE (document_id, topic_id),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, topic_id) REFERENCES topics (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX topic_suggestions_by_topic ON topic_suggestions (owner_id, topic_id);
ALTER TABLE topic_suggestions ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON topic_suggestions TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON topic_suggestions TO docuvault_system USING (true);

-- A document's most telling words, kept when it was last classified, so that filing it teaches without reading it again.
CREATE TABLE document_terms (
    document_id  uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    terms        text[] NOT NULL,
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_terms ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_terms TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_terms TO docuvault_system USING (true);

-- What the owner's decisions teach: documents that belong to a topic, and documents that do not. The terms are a copy, so that taking
-- the example back takes back exactly what it gave.
CREATE TABLE topic_examples (
    document_id  uuid NOT NULL,
    topic_id     uuid NOT NULL,
    owner_id     uuid NOT NULL,
    accepted     boolean NOT NULL,
    terms        text[] NOT NULL,
    PRIMARY KEY (document_id, topic_id),
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE,
    FOREIGN KEY (owner_id, topic_id) REFERENCES topics (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX topic_examples_by_topic ON topic_examples (owner_id, topic_id);
ALTER TABLE topic_examples ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON topic_examples TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON topic_examples TO docuvault_system USING (true);

-- The examples summed by term, kept by the triggers below whichever way an example comes or goes (a decision, a purge, a cascade).
CREATE TABLE topic_terms (
    owner_id  uuid NOT NULL,
    term      text COLLATE "C" NOT NULL,
    topic_id  uuid NOT NULL,
    accepted  integer NOT NULL,
    refused   integer NOT NULL,
    PRIMARY KEY (owner_id, term, topic_id),
    FOREIGN KEY (owner_id, topic_id) REFERENCES topics (owner_id, id) ON DELETE CASCADE
);
CREATE INDEX topic_terms_by_topic ON topic_terms (owner_id, topic_id);
ALTER TABLE topic_terms ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON topic_terms TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON topic_terms TO docuvault_system USING (true);

-- Both lock the topics first and in order, then touch the terms: two decisions about one topic follow one another and never deadlock.
CREATE FUNCTION learn_topic_examples() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM topics WHERE id IN (SELECT topic_id FROM added) ORDER BY id FOR NO KEY UPDATE;
    UPDATE topics
    SET accepted_documents = accepted_documents + change.accepted, refused_documents = refused_documents + change.refused
    FROM (
        SELECT topic_id, count(*) FILTER (WHERE accepted) AS accepted, count(*) FILTER (WHERE NOT accepted) AS refused
        FROM added
        GROUP BY topic_id
    ) AS change
    WHERE topics.id = change.topic_id;
    INSERT INTO topic_terms (owner_id, term, topic_id, accepted, refused)
    SELECT added.owner_id, term, added.topic_id, count(*) FILTER (WHERE accepted), count(*) FILTER (WHERE NOT accepted)
    FROM added, unnest(added.terms) AS term
    GROUP BY added.owner_id, term, added.topic_id
    ORDER BY added.owner_id, term, added.topic_id
    ON CONFLICT (owner_id, term, topic_id)
    DO UPDATE SET accepted = topic_terms.accepted + excluded.accepted, refused = topic_terms.refused + excluded.refused;
    RETURN NULL;
END $$;

CREATE FUNCTION unlearn_topic_examples() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM topics WHERE id IN (SELECT topic_id FROM removed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE topics
    SET accepted_documents = accepted_documents - change.accepted, refused_documents = refused_documents - change.refused
    FROM (
        SELECT topic_id, count(*) FILTER (WHERE accepted) AS accepted, count(*) FILTER (WHERE NOT accepted) AS refused
        FROM removed
        GROUP BY topic_id
    ) AS change
    WHERE topics.id = change.topic_id;
    UPDATE topic_terms
    SET accepted = topic_terms.accepted - change.accepted, refused = topic_terms.refused - change.refused
    FROM (
        SELECT removed.owner_id, term, removed.topic_id,
               count(*) FILTER (WHERE accepted) AS accepted, count(*) FILTER (WHERE NOT accepted) AS refused
        FROM removed, unnest(removed.terms) AS term
        GROUP BY removed.owner_id, term, removed.topic_id
    ) AS change
    WHERE (topic_terms.owner_id, topic_terms.term, topic_terms.topic_id) = (change.owner_id, change.term, change.topic_id);
    DELETE FROM topic_terms
    USING removed
    WHERE topic_terms.owner_id = removed.owner_id AND topic_terms.topic_id = removed.topic_id AND topic_terms.term = ANY (removed.terms)
        AND topic_terms.accepted <= 0 AND topic_terms.refused <= 0;
    RETURN NULL;
END $$;

-- An update unlearns the old and learns the new (triggers of one event fire in the order of their names).
CREATE TRIGGER topic_examples_added AFTER INSERT ON topic_examples
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION learn_topic_examples();
CREATE TRIGGER topic_examples_removed AFTER DELETE ON topic_examples
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION unlearn_topic_examples();
CREATE TRIGGER topic_examples_changed_1 AFTER UPDATE ON topic_examples
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION unlearn_topic_examples();
CREATE TRIGGER topic_examples_changed_2 AFTER UPDATE ON topic_examples
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION learn_topic_examples();

-- migrate:down

DROP INDEX documents_in_trash;
DROP TABLE topic_terms, topic_examples, document_terms, topic_suggestions, document_topics, topics CASCADE;
DROP FUNCTION learn_topic_examples, unlearn_topic_examples;
