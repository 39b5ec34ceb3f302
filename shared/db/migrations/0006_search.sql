-- migrate:up

-- Text arrives folded and cut into words by shared/documents/words.py; these configurations only stem. They are copies of the server's
-- without stop words: any word of a document can be searched for, and what is common weighs little by itself.
CREATE TEXT SEARCH CONFIGURATION search_simple (COPY = pg_catalog.simple);
DO $$
DECLARE
    language text;
BEGIN
    FOREACH language IN ARRAY ARRAY[
        'arabic', 'armenian', 'basque', 'catalan', 'danish', 'dutch', 'english', 'finnish', 'french', 'german', 'greek', 'hindi', 'hungarian',
        'indonesian', 'irish', 'italian', 'lithuanian', 'nepali', 'norwegian', 'portuguese', 'romanian', 'russian', 'serbian', 'spanish',
        'swedish', 'tamil', 'turkish', 'yiddish'
    ] LOOP
        EXECUTE format('CREATE TEXT SEARCH DICTIONARY search_%1$s (TEMPLATE = pg_catalog.snowball, Language = %1$L)', language);
        EXECUTE format('CREATE TEXT SEARCH CONFIGURATION search_%s (COPY = pg_catalog.simple)', language);
        EXECUTE format('ALTER TEXT SEARCH CONFIGURATION search_%1$s ALTER MAPPING FOR asciiword, word WITH search_%1$s', language);
    END LOOP;
END $$;

-- A document as search sees it, beside its row so that lists do not drag it along. Written by shared/documents/search_index.py.
CREATE TABLE document_search (
    document_id      uuid PRIMARY KEY,
    owner_id         uuid NOT NULL,
    language         text NOT NULL,                             -- the configuration it was stemmed by, without `search_`
    contents         tsvector NOT NULL,                         -- the pages' words (weight D, of a huge document's later ones C), then the name (A)
    name             tsvector NOT NULL,                         -- file name and title alone
    words            integer NOT NULL,                          -- how many words have positions: the length that ranking divides by
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
) WITH (toast_tuple_target = 160);                              -- short rows, `contents` elsewhere: a common word visits thousands of them
CREATE INDEX document_search_contents ON document_search USING gin (owner_id, contents);
ALTER TABLE document_search ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_search TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_search TO docuvault_system USING (true);

-- Where snippets are cut: every so many words of a page a passage begins.
CREATE TABLE document_passages (
    document_id  uuid PRIMARY KEY,
    owner_id     uuid NOT NULL,
    words        integer[] NOT NULL,                            -- the position of a passage's first word in `document_search.contents`,
    pages        integer[] NOT NULL,                            -- the page it is on,
    offsets      integer[] NOT NULL,                            -- and the character of the page it begins at, counted from 0
    FOREIGN KEY (owner_id, document_id) REFERENCES documents (owner_id, id) ON DELETE CASCADE
);
ALTER TABLE document_passages ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON document_passages TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON document_passages TO docuvault_system USING (true);

-- In how many of an owner's documents a word stands, as far as it has been counted; `search_changes` holds what has not.
CREATE TABLE search_terms (
    owner_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lexeme     text COLLATE "C" NOT NULL,
    documents  integer NOT NULL,
    PRIMARY KEY (owner_id, lexeme)
) WITH (fillfactor = 80);
ALTER TABLE search_terms ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_terms TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_terms TO docuvault_system USING (true);

-- How many documents and words an owner has by language, as far as counted.
CREATE TABLE search_totals (
    owner_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    language   text NOT NULL,
    documents  bigint NOT NULL,
    words      bigint NOT NULL,
    PRIMARY KEY (owner_id, language)
);
ALTER TABLE search_totals ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_totals TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_totals TO docuvault_system USING (true);

-- The words as they are written, for typos: what a stem has lost is what makes two words look alike. They go when their stem does.
CREATE TABLE search_words (
    owner_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lexeme    text COLLATE "C" NOT NULL,
    word      text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner_id, lexeme, word)
);
CREATE INDEX search_words_similar ON search_words USING gin (owner_id, word gin_trgm_ops);
ALTER TABLE search_words ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_words TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_words TO docuvault_system USING (true);

-- What changed since: appended only, so that writers never wait for one another; `count_search_changes` adds it up.
CREATE TABLE search_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    language   text NOT NULL,
    documents  integer NOT NULL,                                -- 1: these words came with a document; -1: they went with it
    words      integer NOT NULL,                                -- its length, signed likewise
    lexemes    tsvector NOT NULL
);
CREATE INDEX search_changes_of_owner ON search_changes (owner_id);
ALTER TABLE search_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_changes TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_changes TO docuvault_system USING (true);

CREATE TABLE search_new_words (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    language  text NOT NULL,
    words     text[] NOT NULL
);
CREATE INDEX search_new_words_of_owner ON search_new_words (owner_id);
ALTER TABLE search_new_words ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_new_words TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_new_words TO docuvault_system USING (true);

-- Runs as the owner of the tables, as cascades do, so that nobody else needs to write here.
CREATE FUNCTION note_search_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- An account that is being deleted takes its counts with it.
        INSERT INTO search_changes (owner_id, language, documents, words, lexemes)
        SELECT OLD.owner_id, OLD.language, -1, -OLD.words, strip(OLD.contents)
        WHERE EXISTS (SELECT FROM users WHERE id = OLD.owner_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_changes (owner_id, language, documents, words, lexemes)
        VALUES (NEW.owner_id, NEW.language, 1, NEW.words, strip(NEW.contents));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_search_change AFTER INSERT OR UPDATE OR DELETE ON document_search FOR EACH ROW EXECUTE FUNCTION note_search_change();

-- Adds an owner's changes up once there are `enough`; at most one transaction at a time does so for an owner, the others pass by.
-- Long numbers are not counted: each stands in a document or two, and there are more of them than words.
CREATE FUNCTION count_search_changes(owner uuid, enough integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone text[];
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM search_changes WHERE owner_id = owner LIMIT enough) AS waiting) < enough
        OR NOT pg_try_advisory_xact_lock(hashtextextended('search ' || owner, 0))
    THEN
        RETURN;
    END IF;
    WITH taken AS (
        DELETE FROM search_changes WHERE owner_id = owner RETURNING language, documents, words, lexemes
    ), terms AS (
        INSERT INTO search_terms AS t (owner_id, lexeme, documents)
        SELECT owner, lexeme, sum(taken.documents)
        FROM taken, unnest(tsvector_to_array(taken.lexemes)) AS lexeme
        WHERE length(lexeme) <= 4 OR lexeme !~ '[0-9]'
        GROUP BY lexeme
        HAVING sum(taken.documents) <> 0
        ON CONFLICT (owner_id, lexeme) DO UPDATE SET documents = t.documents + excluded.documents
        RETURNING t.lexeme, t.documents
    ), totals AS (
        INSERT INTO search_totals AS t (owner_id, language, documents, words)
        SELECT owner, language, sum(documents), sum(words) FROM taken GROUP BY language
        ON CONFLICT (owner_id, language) DO UPDATE SET documents = t.documents + excluded.documents, words = t.words + excluded.words
    )
    SELECT array_agg(lexeme) INTO gone FROM terms WHERE documents <= 0;
    WITH taken AS (
        DELETE FROM search_new_words WHERE owner_id = owner RETURNING language, words
    )
    INSERT INTO search_words (owner_id, lexeme, word)
    SELECT owner, lexeme, word
    FROM (SELECT DISTINCT language, word FROM taken, unnest(taken.words) AS word) AS fresh,
        unnest(tsvector_to_array(to_tsvector(('search_' || language)::regconfig, word))) AS lexeme
    ON CONFLICT DO NOTHING;
    IF gone IS NOT NULL THEN
        DELETE FROM search_terms WHERE owner_id = owner AND lexeme = ANY (gone) AND documents <= 0;
        DELETE FROM search_words WHERE owner_id = owner AND lexeme = ANY (gone);
    END IF;
END $$;

-- How often a word stands in a document. `ts_rank` of a single word that stands n times, all weights 1, is (1/1 + 1/4 + ... + 1/n^2) / (pi^2/6),
-- which has one n for each value: read back in 3 us, where unnest(contents) would take 130 us for a page or two.
CREATE FUNCTION search_frequency(contents tsvector, lexeme tsquery) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(1 / (pi() ^ 2 / 6 - 1.64493406685 * ts_rank('{1,1,1,1}', contents, lexeme)) - 0.5)
$$;

-- Which of the caller's documents match, in the order of `sort` (`-id`: the newest first, as ids begin with the time) and behind (`after_key`,
-- `after_id`), at most `bound` of them; with `-id` not below `until_id`.
--
-- `@@` is not leakproof, so under row-level security no index would serve it. This function therefore runs as the tables' owner: it takes the
-- tenant from the transaction's own setting and from nowhere else, and gives back ids alone.
--
-- `walk` is for queries that many documents match: it goes through the documents in the order wanted and stops at the bound. Else the index
-- names all matches; of a phrase it knows the words alone, so then it is asked for `coarse`, and as many documents are read as it takes.
-- The values of filters are bound, never written into the statement.
CREATE FUNCTION search_candidates(
    wanted tsquery, coarse tsquery, walk boolean, statuses text[], content_types text[], languages text[], topics uuid[], created_from timestamptz,
    created_to timestamptz, trashed boolean, sort text, after_key text, after_id uuid, until_id uuid, bound integer
) RETURNS TABLE (document_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 500
SET search_path = public, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    owner uuid := nullif(current_setting('app.user', true), '')::uuid;
    sort_column text := CASE ltrim(sort, '-') WHEN 'filename' THEN 'filename' WHEN 'size' THEN 'size' WHEN 'created_at' THEN 'created_at' END;
    sort_type text := CASE sort_column WHEN 'filename' THEN 'text' WHEN 'size' THEN 'bigint' ELSE 'timestamptz' END;
    direction text := CASE WHEN sort LIKE '-%' THEN 'DESC' ELSE 'ASC' END;
    beyond text := CASE WHEN sort LIKE '-%' THEN '<' ELSE '>' END;
    conditions text := 'd.owner_id = $1 AND d.status = ANY ($3) AND d.trashed_at IS ' || CASE WHEN trashed THEN 'NOT NULL' ELSE 'NULL' END;
    matching text := 's.owner_id = $1 AND s.contents @@ ' || CASE WHEN coarse IS NULL OR walk OR sort_column IS NOT NULL THEN '$2' ELSE '$13' END;
BEGIN
    IF owner IS NULL THEN
        RETURN;
    END IF;
    IF content_types IS NOT NULL THEN
        conditions := conditions || ' AND d.content_type = ANY ($4)';
    END IF;
    IF languages IS NOT NULL THEN
        conditions := conditions || ' AND d.language = ANY ($5)';
    END IF;
    FOR number IN 1 .. coalesce(cardinality(topics), 0) LOOP
        conditions := conditions
            || format(' AND d.id IN (SELECT f.document_id FROM document_topics AS f WHERE f.owner_id = $1 AND f.topic_id = ($6)[%s])', number);
    END LOOP;
    IF created_from IS NOT NULL THEN
        conditions := conditions || ' AND d.created_at >= $7';
    END IF;
    IF created_to IS NOT NULL THEN
        conditions := conditions || ' AND d.created_at < $8';
    END IF;
    IF sort_column IS NOT NULL THEN
        IF after_key IS NOT NULL THEN
            conditions := conditions || format(' AND (d.%s, d.id) %s ($9::%s, $10)', sort_column, beyond, sort_type);
        END IF;
    ELSIF walk THEN
        conditions := conditions || ' AND d.id < $10 AND d.id >= $11';
    ELSIF after_id < 'ffffffff-ffff-ffff-ffff-ffffffffffff' OR until_id IS NOT NULL THEN
        -- Not as plain comparisons: by those the planner may walk the primary key, with everybody's documents, instead of asking the index.
        matching := matching || ' AND (s.document_id < $10) IS TRUE AND (s.document_id >= $11) IS TRUE';
    END IF;
    RETURN QUERY EXECUTE
        CASE
            WHEN walk THEN
                'SELECT d.id FROM documents AS d CROSS JOIN LATERAL (SELECT FROM document_search AS s WHERE s.document_id = d.id AND '
                || matching || ' OFFSET 0) AS s WHERE ' || conditions
                || format(' ORDER BY %s d.id %s LIMIT $12', 'd.' || sort_column || ' ' || direction || ',', direction)
            WHEN sort_column IS NULL THEN
                -- All matches by their ids, then the rows of as many as it takes.
                'WITH m AS MATERIALIZED (SELECT s.document_id FROM document_search AS s WHERE ' || matching || '),'
                || ' s AS MATERIALIZED (SELECT document_id FROM m ORDER BY document_id DESC)'
                || ' SELECT s.document_id FROM s CROSS JOIN LATERAL (SELECT FROM documents AS d WHERE d.id = s.document_id AND '
                || conditions || ' OFFSET 0) AS d'
                || CASE WHEN coarse IS NULL THEN '' ELSE
                    ' CROSS JOIN LATERAL (SELECT FROM document_search AS f WHERE f.document_id = s.document_id AND f.contents @@ $2 OFFSET 0) AS f'
                END
                || ' LIMIT $12'
            ELSE
                'WITH s AS MATERIALIZED (SELECT s.document_id FROM document_search AS s WHERE ' || matching || ')'
                || ' SELECT d.id FROM s JOIN documents AS d ON d.id = s.document_id WHERE ' || conditions
                || format(' ORDER BY d.%s %s, d.id %2$s LIMIT $12', sort_column, direction)
        END
        USING owner, wanted, statuses, content_types, languages, topics, created_from, created_to, after_key, after_id,
            coalesce(until_id, '00000000-0000-0000-0000-000000000000'), bound, coarse;
END $$;

-- Loads pg_trgm, so that its setting is known to the session that makes the next function.
SELECT show_limit();

-- Words of the caller's documents that look like these: what a typo may have meant. Security as above.
CREATE FUNCTION search_similar(asked text[]) RETURNS TABLE (asked_word text, word text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
SET search_path = public, pg_temp SET enable_seqscan = off SET pg_trgm.similarity_threshold = 0.2 AS $$
    SELECT a.word, near.word
    FROM unnest(asked) AS a (word) CROSS JOIN LATERAL (
        SELECT w.word
        FROM search_words AS w
        WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid AND w.word % a.word
            AND length(w.word) BETWEEN length(a.word) - 2 AND length(a.word) + 2
        UNION
        SELECT n.word
        FROM search_new_words AS w, unnest(w.words) AS n (word)
        WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid
            AND length(n.word) BETWEEN length(a.word) - 2 AND length(a.word) + 2 AND n.word % a.word
        ORDER BY 1
    ) AS near (word)
    ORDER BY similarity(near.word, a.word) DESC, near.word
    LIMIT 50
$$;

-- In how many of the caller's documents these stand, counted on the spot up to a hundred: for what is not counted beforehand.
CREATE FUNCTION search_count(asked text[]) RETURNS TABLE (lexeme text, documents bigint)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 10
SET search_path = public, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
    SELECT a.lexeme, (
        SELECT count(*)
        FROM (
            SELECT FROM document_search AS s
            WHERE s.owner_id = nullif(current_setting('app.user', true), '')::uuid AND s.contents @@ quote_literal(a.lexeme)::tsquery
            LIMIT 100
        ) AS found
    )
    FROM unnest(asked) AS a (lexeme)
$$;

-- The stems of words in each of these languages, and whether the language takes the word (as `spoken`) for one that says nothing.
CREATE FUNCTION search_stems(words text[], spoken text[], languages text[])
RETURNS TABLE (number bigint, word text, lexeme text, is_stop_word boolean) LANGUAGE sql STABLE AS $$
    SELECT w.number, w.word, lexeme,
        bool_or(CASE WHEN language = 'simple' THEN false ELSE ts_lexize((language || '_stem')::regdictionary, w.spoken) = '{}' END)
    FROM unnest(words, spoken) WITH ORDINALITY AS w (word, spoken, number)
    CROSS JOIN unnest(languages) AS language
    CROSS JOIN unnest(tsvector_to_array(to_tsvector(('search_' || language)::regconfig, w.word))) AS lexeme
    GROUP BY w.number, w.word, lexeme
$$;

-- In how many of an owner's documents each stem stands, counted or not yet; long numbers on the spot.
CREATE FUNCTION search_documents(owner uuid, lexemes text[]) RETURNS TABLE (lexeme text, documents bigint) LANGUAGE sql STABLE AS $$
    SELECT lexeme, greatest(sum(documents), 0)::bigint
    FROM (
        SELECT t.lexeme, t.documents FROM search_terms AS t WHERE t.owner_id = owner AND t.lexeme = ANY (lexemes)
        UNION ALL
        SELECT l.lexeme, c.documents
        FROM search_changes AS c JOIN unnest(lexemes) AS l (lexeme) ON c.lexemes @@ quote_literal(l.lexeme)::tsquery
        WHERE c.owner_id = owner AND (length(l.lexeme) <= 4 OR l.lexeme !~ '[0-9]')
        UNION ALL
        SELECT n.lexeme, n.documents
        FROM search_count((SELECT array_agg(l) FROM unnest(lexemes) AS l WHERE length(l) > 4 AND l ~ '[0-9]')) AS n
    ) AS counted
    GROUP BY lexeme
$$;

REVOKE ALL ON FUNCTION search_candidates, search_similar, search_count, count_search_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_candidates, search_similar, search_count, count_search_changes TO docuvault_app, docuvault_system;

REVOKE INSERT, UPDATE, DELETE ON search_terms, search_words, search_totals, search_changes FROM docuvault_app, docuvault_system;

-- migrate:down

DROP TABLE search_new_words, search_changes, search_words, search_totals, search_terms, document_passages, document_search CASCADE;
DROP FUNCTION note_search_change, count_search_changes, search_frequency, search_candidates, search_similar, search_documents, search_stems,
    search_count;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT cfgname FROM pg_ts_config WHERE cfgname LIKE 'search\_%' LOOP
        EXECUTE format('DROP TEXT SEARCH CONFIGURATION %I', name);
    END LOOP;
    FOR name IN SELECT dictname FROM pg_ts_dict WHERE dictname LIKE 'search\_%' LOOP
        EXECUTE format('DROP TEXT SEARCH DICTIONARY %I', name);
    END LOOP;
END $$;
