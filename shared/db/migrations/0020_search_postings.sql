-- migrate:up

-- Search by postings of our own instead of a GIN index: for each word of an owner the documents that it stands in, packed, with how often
-- and how long the document is. BM25 over every document then reads a few kilobytes a word, where GIN names documents alone and ranking had
-- to read each one's tsvector, which bounded it to a few hundred of them.
--
-- What is indexed already is taken over as it stands (its words as the former analysis made them), so that search works at once; documents
-- with an older `analysis` are indexed anew one by one in the background (shared/documents/reindexing.py, scripts/reindex).

DROP INDEX document_search_contents;
DROP TRIGGER note_search_change ON document_search;
DROP FUNCTION note_search_change, count_search_changes, search_frequency, search_candidates, search_count, search_documents, search_stems,
    search_similar;
DROP TABLE search_changes, search_new_words;

-- One number for each time a document is indexed: what postings know it by. Taken without a lock, so writers never wait for one another.
CREATE SEQUENCE search_numbers AS integer;

ALTER TABLE document_search
    ADD number integer,
    ADD lexemes text[] COLLATE "C",                             -- every word to find it by, once
    ADD frequencies bytea,                                      -- how often each counts: a byte for each of `lexemes`, 255 for more
    ADD length_code smallint,                                   -- `words` on a logarithmic scale, in a byte
    ADD analysis smallint NOT NULL DEFAULT 0;                   -- shared/search/index.py's ANALYSIS that made this
-- Faster to read than pglz, where the server has it.
DO $$ BEGIN
    ALTER TABLE document_search ALTER lexemes SET COMPRESSION lz4, ALTER frequencies SET COMPRESSION lz4, ALTER contents SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
UPDATE document_search AS s
SET number = nextval('search_numbers'), lexemes = made.lexemes, frequencies = coalesce(made.frequencies, ''),
    length_code = least(255, round(12 * log(2, d.words + 1)))
FROM document_search AS d CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(word.lexeme ORDER BY word.lexeme), '{}') AS lexemes,
        string_agg(substring(int2send(least(255, greatest(1, cardinality(word.positions)))::smallint) FROM 2), '' ORDER BY word.lexeme) AS frequencies
    FROM unnest(d.contents) AS word
) AS made
WHERE s.document_id = d.document_id;
ALTER TABLE document_search
    ALTER number SET NOT NULL, ALTER lexemes SET NOT NULL, ALTER frequencies SET NOT NULL, ALTER length_code SET NOT NULL;
CREATE UNIQUE INDEX document_search_number ON document_search (owner_id, number);
CREATE INDEX document_search_analysis ON document_search (analysis, document_id);

-- A posting has 6 bytes: the number (big-endian), the frequency, the length's code. Of a word, the last few hundred stand beside its count,
-- where each batch of documents appends to them; what is full moves to search_postings and is written no more.
TRUNCATE search_terms, search_totals, search_words;
ALTER TABLE search_terms ADD tail bytea NOT NULL DEFAULT '';
ALTER TABLE search_terms ALTER tail SET STORAGE MAIN;
ALTER TABLE search_terms SET (toast_tuple_target = 4080);
CREATE TABLE search_postings (
    owner_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lexeme    text COLLATE "C" NOT NULL,
    lowest    integer NOT NULL,                                 -- of the numbers in `postings`
    highest   integer NOT NULL,
    postings  bytea NOT NULL,
    PRIMARY KEY (owner_id, lexeme, lowest)
) WITH (toast_tuple_target = 4080);
ALTER TABLE search_postings ALTER postings SET STORAGE MAIN;
ALTER TABLE search_postings ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_postings TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_postings TO docuvault_system USING (true);

-- What changed since: appended only, so that writers never wait for one another; `merge_search_changes` takes it over.
CREATE TABLE search_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    language   text NOT NULL,
    documents  integer NOT NULL,                                -- 1: this number came; -1: it went, and these were its lexemes
    words      integer NOT NULL,                                -- its length, signed likewise
    number     integer NOT NULL,
    lexemes    text[] COLLATE "C"
);
CREATE INDEX search_changes_of_owner ON search_changes (owner_id, id);
CREATE INDEX search_changes_by_number ON search_changes (number);
ALTER TABLE search_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_changes TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_changes TO docuvault_system USING (true);

-- Words as they are written, each with its lexeme, until they are taken over into search_words.
CREATE TABLE search_new_words (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    words     text[] NOT NULL,
    lexemes   text[] NOT NULL
);
CREATE INDEX search_new_words_of_owner ON search_new_words (owner_id);
ALTER TABLE search_new_words ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON search_new_words TO docuvault_app USING (owner_id = nullif(current_setting('app.user', true), '')::uuid);
CREATE POLICY system ON search_new_words TO docuvault_system USING (true);

-- Runs as the owner of the tables, as cascades do, so that nobody else needs to write here.
CREATE FUNCTION note_search_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        -- What was never merged leaves no trace. Where a merge has just taken it, this waits until that is committed, and finds nothing.
        DELETE FROM search_changes WHERE number = OLD.number AND documents = 1;
        -- An account that is being deleted takes its postings with it.
        IF NOT FOUND THEN
            INSERT INTO search_changes (owner_id, language, documents, words, number, lexemes)
            SELECT OLD.owner_id, OLD.language, -1, -OLD.words, OLD.number, OLD.lexemes
            WHERE EXISTS (SELECT FROM users WHERE id = OLD.owner_id);
        END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO search_changes (owner_id, language, documents, words, number)
        VALUES (NEW.owner_id, NEW.language, 1, NEW.words, NEW.number);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note_search_change AFTER INSERT OR UPDATE OF number OR DELETE ON document_search
    FOR EACH ROW EXECUTE FUNCTION note_search_change();

CREATE FUNCTION search_posting_numbers(postings bytea) RETURNS SETOF integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (get_byte(postings, at) << 24) | (get_byte(postings, at + 1) << 16) | (get_byte(postings, at + 2) << 8) | get_byte(postings, at + 3)
    FROM generate_series(0, length(postings) - 6, 6) AS at
$$;

-- The postings without those of `gone` (each an int4send of a number).
CREATE FUNCTION search_postings_without(postings bytea, gone bytea[]) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(substring(postings FROM at FOR 6), '' ORDER BY at), '')
    FROM generate_series(1, length(postings) - 5, 6) AS at
    WHERE substring(postings FROM at FOR 4) <> ALL (gone)
$$;

-- Takes an owner's changes over into the postings once there are `enough`; at most one transaction at a time does so for an owner, the
-- others pass by. `most` bounds what one document's transaction is burdened with. Gives back how many changes were taken over.
CREATE FUNCTION merge_search_changes(owner uuid, enough integer, most integer DEFAULT 256) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    full_tail CONSTANT integer := 1536;
    crowded text[];
    gone text[];
    came integer;
    went integer;
BEGIN
    IF (SELECT count(*) FROM (SELECT FROM search_changes WHERE owner_id = owner LIMIT enough) AS waiting) < enough
        OR NOT pg_try_advisory_xact_lock(hashtextextended('search ' || owner, 0))
    THEN
        RETURN 0;
    END IF;
    WITH chosen AS (
        -- One that another transaction is just taking back is left for later.
        SELECT id FROM search_changes WHERE owner_id = owner AND documents = 1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM search_changes AS c USING chosen WHERE c.id = chosen.id RETURNING c.language, c.words, c.number
    ), added AS (
        SELECT found.lexeme, count(*) AS documents,
            string_agg(
                int4send(s.number) || substring(s.frequencies FROM found.place::integer FOR 1) || substring(int2send(s.length_code) FROM 2), ''
                ORDER BY s.number
            ) AS postings
        FROM taken JOIN document_search AS s ON s.owner_id = owner AND s.number = taken.number
            CROSS JOIN unnest(s.lexemes) WITH ORDINALITY AS found (lexeme, place)
        GROUP BY found.lexeme
    ), terms AS (
        INSERT INTO search_terms AS t (owner_id, lexeme, documents, tail)
        SELECT owner, lexeme, documents, postings FROM added ORDER BY lexeme
        ON CONFLICT (owner_id, lexeme) DO UPDATE SET documents = t.documents + excluded.documents, tail = t.tail || excluded.tail
        RETURNING t.lexeme, length(t.tail) AS size
    ), totals AS (
        INSERT INTO search_totals AS t (owner_id, language, documents, words)
        SELECT owner, language, count(*), sum(words) FROM taken GROUP BY language
        ON CONFLICT (owner_id, language) DO UPDATE SET documents = t.documents + excluded.documents, words = t.words + excluded.words
    )
    SELECT (SELECT count(*) FROM taken), array_agg(lexeme) FILTER (WHERE size >= full_tail) INTO came, crowded FROM terms;
    IF crowded IS NOT NULL THEN
        INSERT INTO search_postings (owner_id, lexeme, lowest, highest, postings)
        SELECT owner, t.lexeme, min(number), max(number), t.tail
        FROM search_terms AS t CROSS JOIN search_posting_numbers(t.tail) AS number
        WHERE t.owner_id = owner AND t.lexeme = ANY (crowded)
        GROUP BY t.lexeme, t.tail;
        UPDATE search_terms SET tail = '' WHERE owner_id = owner AND lexeme = ANY (crowded);
    END IF;
    WITH chosen AS (
        SELECT id FROM search_changes WHERE owner_id = owner AND documents = -1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM search_changes AS c USING chosen WHERE c.id = chosen.id RETURNING c.language, c.words, c.number, c.lexemes
    ), removed AS (
        SELECT lexeme, count(*) AS documents, array_agg(int4send(number)) AS keys, array_agg(number) AS numbers
        FROM taken, unnest(taken.lexemes) AS lexeme
        GROUP BY lexeme
    ), terms AS (
        UPDATE search_terms AS t
        SET documents = t.documents - r.documents, tail = search_postings_without(t.tail, r.keys)
        FROM removed AS r WHERE t.owner_id = owner AND t.lexeme = r.lexeme
        RETURNING t.lexeme, t.documents
    ), postings AS (
        UPDATE search_postings AS p
        SET postings = search_postings_without(p.postings, r.keys)
        FROM removed AS r
        WHERE p.owner_id = owner AND p.lexeme = r.lexeme
            AND EXISTS (SELECT FROM unnest(r.numbers) AS number WHERE number BETWEEN p.lowest AND p.highest)
    ), totals AS (
        INSERT INTO search_totals AS t (owner_id, language, documents, words)
        SELECT owner, language, -count(*), sum(words) FROM taken GROUP BY language
        ON CONFLICT (owner_id, language) DO UPDATE SET documents = t.documents + excluded.documents, words = t.words + excluded.words
    )
    SELECT (SELECT count(*) FROM taken), array_agg(lexeme) FILTER (WHERE documents <= 0) INTO went, gone FROM terms;
    WITH taken AS (
        DELETE FROM search_new_words WHERE owner_id = owner RETURNING words, lexemes
    )
    INSERT INTO search_words (owner_id, lexeme, word)
    SELECT DISTINCT owner, fresh.lexeme, fresh.word FROM taken, unnest(taken.words, taken.lexemes) AS fresh (word, lexeme)
    ON CONFLICT DO NOTHING;
    IF gone IS NOT NULL THEN
        DELETE FROM search_terms WHERE owner_id = owner AND lexeme = ANY (gone) AND documents <= 0;
        DELETE FROM search_postings WHERE owner_id = owner AND lexeme = ANY (gone) AND postings = '';
        DELETE FROM search_words WHERE owner_id = owner AND lexeme = ANY (gone);
    END IF;
    RETURN came + went;
END $$;

-- An owner's postings of these lexemes, merged or not yet. Run by the caller, under row-level security; text equality is leakproof, so the
-- primary keys serve it there, too.
CREATE FUNCTION search_postings_of(owner uuid, asked text[]) RETURNS TABLE (lexeme text, postings bytea)
LANGUAGE sql STABLE ROWS 20 SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
    SELECT part.lexeme, string_agg(part.postings, '')
    FROM (
        SELECT p.lexeme, p.postings FROM search_postings AS p WHERE p.owner_id = owner AND p.lexeme = ANY (asked)
        UNION ALL
        SELECT t.lexeme, t.tail FROM search_terms AS t WHERE t.owner_id = owner AND t.lexeme = ANY (asked)
        UNION ALL
        SELECT found.lexeme,
            int4send(s.number) || substring(s.frequencies FROM found.place::integer FOR 1) || substring(int2send(s.length_code) FROM 2)
        FROM search_changes AS c
        JOIN document_search AS s ON s.owner_id = owner AND s.number = c.number
        CROSS JOIN LATERAL unnest(s.lexemes) WITH ORDINALITY AS found (lexeme, place)
        WHERE c.owner_id = owner AND c.documents = 1 AND found.lexeme = ANY (asked)
    ) AS part
    GROUP BY part.lexeme
$$;

-- Loads pg_trgm, so that its setting is known to the session that makes the next functions.
SELECT show_limit();

-- Words of the caller's documents that look like these: what a typo may have meant. Trigram operators are not leakproof, so under row-level
-- security no index would serve them. These functions therefore run as the tables' owner: they take the tenant from the transaction's own
-- setting and from nowhere else.
CREATE FUNCTION search_similar(asked text[]) RETURNS TABLE (asked_word text, word text, lexeme text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
SET search_path = public, pg_temp SET enable_seqscan = off SET pg_trgm.similarity_threshold = 0.2 AS $$
    SELECT a.word, best.word, best.lexeme
    FROM unnest(asked) AS a (word) CROSS JOIN LATERAL (
        SELECT near.word, near.lexeme
        FROM (
            SELECT w.word, w.lexeme
            FROM search_words AS w
            WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid AND w.word % a.word
                AND length(w.word) BETWEEN length(a.word) - 2 AND length(a.word) + 2
            UNION
            SELECT n.word, n.lexeme
            FROM search_new_words AS w, unnest(w.words, w.lexemes) AS n (word, lexeme)
            WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid
                AND length(n.word) BETWEEN length(a.word) - 2 AND length(a.word) + 2 AND n.word % a.word
        ) AS near
        ORDER BY similarity(near.word, a.word) DESC, near.word
        LIMIT 30
    ) AS best
$$;

-- Words of the caller's documents that match these patterns (LIKE), the shortest first: what a prefix stands for, and what a word is part of.
CREATE FUNCTION search_like(patterns text[], most integer) RETURNS TABLE (pattern text, word text, lexeme text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 50
SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    SELECT a.pattern, near.word, near.lexeme
    FROM unnest(patterns) AS a (pattern) CROSS JOIN LATERAL (
        SELECT w.word, w.lexeme
        FROM search_words AS w
        WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid AND w.word LIKE a.pattern
        UNION
        SELECT n.word, n.lexeme
        FROM search_new_words AS w, unnest(w.words, w.lexemes) AS n (word, lexeme)
        WHERE w.owner_id = nullif(current_setting('app.user', true), '')::uuid AND n.word LIKE a.pattern
        ORDER BY 1
        LIMIT most
    ) AS near
$$;

-- Which of these words some of these languages take for words that say nothing.
CREATE FUNCTION search_stop_words(words text[], languages text[]) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT DISTINCT word
    FROM unnest(words) AS word CROSS JOIN unnest(languages) AS language
    WHERE language IN (SELECT replace(dictname, '_stem', '') FROM pg_ts_dict WHERE dictname LIKE '%\_stem')
        AND ts_lexize((language || '_stem')::regdictionary, word) = '{}'
$$;

REVOKE ALL ON FUNCTION search_similar, search_like, merge_search_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_similar, search_like, merge_search_changes TO docuvault_app, docuvault_system;
REVOKE INSERT, UPDATE, DELETE ON search_postings, search_changes FROM docuvault_app, docuvault_system;

-- What is indexed already.
INSERT INTO search_changes (owner_id, language, documents, words, number) SELECT owner_id, language, 1, words, number FROM document_search;
DO $$
DECLARE
    owner uuid;
BEGIN
    FOR owner IN SELECT DISTINCT owner_id FROM search_changes LOOP
        WHILE merge_search_changes(owner, 1, 1000) > 0 LOOP
        END LOOP;
    END LOOP;
END $$;

-- Words are stemmed before they are folded now, and by the application.
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

-- migrate:down

-- The way back loses the index: 0006 goes after this, and every document is to be indexed anew after an upgrade.
DROP FUNCTION search_stop_words, search_like, search_similar, search_postings_of, merge_search_changes, search_postings_without,
    search_posting_numbers, note_search_change CASCADE;
DROP TABLE search_postings, search_new_words, search_changes;
ALTER TABLE search_terms DROP tail;
ALTER TABLE document_search ALTER contents SET COMPRESSION default;
ALTER TABLE document_search DROP number, DROP lexemes, DROP frequencies, DROP length_code, DROP analysis;
DROP SEQUENCE search_numbers;

-- As 0006 made them.
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
CREATE INDEX document_search_contents ON document_search USING gin (owner_id, contents);
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

REVOKE INSERT, UPDATE, DELETE ON search_changes FROM docuvault_app, docuvault_system;
