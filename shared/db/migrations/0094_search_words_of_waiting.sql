-- migrate:up

-- When the last document that was merged with a word went, the word as it is written was forgotten, though a document that waited to be
-- merged had it, too: typos and suggestions did not know it any more.
CREATE OR REPLACE FUNCTION merge_search_changes(owner uuid, enough integer, most integer DEFAULT 256, most_lexemes integer DEFAULT 60000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    full_tail CONSTANT integer := 1536;
    crowded text[];
    gone text[];
    came integer;
    went integer;
    learnt integer;
BEGIN
    IF (
            (SELECT count(*) FROM (SELECT FROM search_changes WHERE owner_id = owner LIMIT enough) AS waiting) < enough
            AND (SELECT count(*) FROM (SELECT FROM search_new_words WHERE owner_id = owner LIMIT enough) AS waiting) < enough
        )
        OR NOT pg_try_advisory_xact_lock(hashtextextended('search ' || owner, 0))
    THEN
        RETURN 0;
    END IF;
    -- As a foreign key would: whoever deletes the account waits for this, or this for them.
    PERFORM FROM users WHERE id = owner FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH waiting AS (
        -- One that another transaction is just taking back is left for later.
        SELECT id, number FROM search_changes WHERE owner_id = owner AND documents = 1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), chosen AS (
        -- A byte for each lexeme: as many are known without reading any.
        SELECT id FROM (
            SELECT w.id, sum(size.lexemes) OVER (ORDER BY w.id) - size.lexemes AS before
            FROM waiting AS w CROSS JOIN LATERAL (
                SELECT coalesce((
                    SELECT octet_length(s.frequencies) FROM document_search AS s WHERE s.owner_id = owner AND s.number = w.number
                ), 0) AS lexemes
            ) AS size
        ) AS w
        WHERE before < most_lexemes
    ), taken AS (
        DELETE FROM search_changes AS c USING chosen WHERE c.id = chosen.id RETURNING c.language, c.words, c.number
    ), indexed AS MATERIALIZED (
        -- Frequencies as a value of their own: as stored, out of line, they would be read again for each lexeme.
        SELECT int4send(s.number) AS number, s.frequencies || ''::bytea AS frequencies, substring(int2send(s.length_code) FROM 2) AS length,
            s.lexemes
        FROM taken JOIN document_search AS s ON s.owner_id = owner AND s.number = taken.number
    ), added AS (
        SELECT lexeme, count(*) AS documents, string_agg(posting, ''::bytea ORDER BY posting) AS postings
        FROM (
            SELECT found.lexeme, i.number || substring(i.frequencies FROM found.place::integer FOR 1) || i.length AS posting
            FROM indexed AS i CROSS JOIN LATERAL unnest(i.lexemes) WITH ORDINALITY AS found (lexeme, place)
            OFFSET 0
        ) AS found
        GROUP BY lexeme
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
    WITH waiting AS (
        SELECT id, cardinality(lexemes) AS size
        FROM search_changes WHERE owner_id = owner AND documents = -1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), chosen AS (
        SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM waiting) AS w WHERE before < most_lexemes
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
    WITH chosen AS (
        -- Each has a few thousand at most.
        SELECT id FROM search_new_words WHERE owner_id = owner ORDER BY id LIMIT most
    ), taken AS (
        DELETE FROM search_new_words AS n USING chosen WHERE n.id = chosen.id RETURNING n.words, n.lexemes
    ), written AS (
        INSERT INTO search_words (owner_id, lexeme, word)
        SELECT DISTINCT owner, fresh.lexeme, fresh.word FROM taken, unnest(taken.words, taken.lexemes) AS fresh (word, lexeme)
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO learnt FROM taken;
    IF gone IS NOT NULL THEN
        DELETE FROM search_terms WHERE owner_id = owner AND lexeme = ANY (gone) AND documents <= 0;
        DELETE FROM search_postings WHERE owner_id = owner AND lexeme = ANY (gone) AND postings = '';
        -- A document that waits may have brought its words already.
        DELETE FROM search_words WHERE owner_id = owner AND lexeme IN (
            SELECT unnest(gone)
            EXCEPT
            SELECT unnest(s.lexemes)
            FROM search_changes AS c JOIN document_search AS s ON s.owner_id = owner AND s.number = c.number
            WHERE c.owner_id = owner AND c.documents = 1 AND s.lexemes && gone
        );
    END IF;
    RETURN came + went + learnt;
END $$;

-- migrate:down

CREATE OR REPLACE FUNCTION merge_search_changes(owner uuid, enough integer, most integer DEFAULT 256, most_lexemes integer DEFAULT 60000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    full_tail CONSTANT integer := 1536;
    crowded text[];
    gone text[];
    came integer;
    went integer;
    learnt integer;
BEGIN
    IF (
            (SELECT count(*) FROM (SELECT FROM search_changes WHERE owner_id = owner LIMIT enough) AS waiting) < enough
            AND (SELECT count(*) FROM (SELECT FROM search_new_words WHERE owner_id = owner LIMIT enough) AS waiting) < enough
        )
        OR NOT pg_try_advisory_xact_lock(hashtextextended('search ' || owner, 0))
    THEN
        RETURN 0;
    END IF;
    -- As a foreign key would: whoever deletes the account waits for this, or this for them.
    PERFORM FROM users WHERE id = owner FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH waiting AS (
        -- One that another transaction is just taking back is left for later.
        SELECT id, number FROM search_changes WHERE owner_id = owner AND documents = 1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), chosen AS (
        -- A byte for each lexeme: as many are known without reading any.
        SELECT id FROM (
            SELECT w.id, sum(size.lexemes) OVER (ORDER BY w.id) - size.lexemes AS before
            FROM waiting AS w CROSS JOIN LATERAL (
                SELECT coalesce((
                    SELECT octet_length(s.frequencies) FROM document_search AS s WHERE s.owner_id = owner AND s.number = w.number
                ), 0) AS lexemes
            ) AS size
        ) AS w
        WHERE before < most_lexemes
    ), taken AS (
        DELETE FROM search_changes AS c USING chosen WHERE c.id = chosen.id RETURNING c.language, c.words, c.number
    ), indexed AS MATERIALIZED (
        -- Frequencies as a value of their own: as stored, out of line, they would be read again for each lexeme.
        SELECT int4send(s.number) AS number, s.frequencies || ''::bytea AS frequencies, substring(int2send(s.length_code) FROM 2) AS length,
            s.lexemes
        FROM taken JOIN document_search AS s ON s.owner_id = owner AND s.number = taken.number
    ), added AS (
        SELECT lexeme, count(*) AS documents, string_agg(posting, ''::bytea ORDER BY posting) AS postings
        FROM (
            SELECT found.lexeme, i.number || substring(i.frequencies FROM found.place::integer FOR 1) || i.length AS posting
            FROM indexed AS i CROSS JOIN LATERAL unnest(i.lexemes) WITH ORDINALITY AS found (lexeme, place)
            OFFSET 0
        ) AS found
        GROUP BY lexeme
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
    WITH waiting AS (
        SELECT id, cardinality(lexemes) AS size
        FROM search_changes WHERE owner_id = owner AND documents = -1 ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED
    ), chosen AS (
        SELECT id FROM (SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM waiting) AS w WHERE before < most_lexemes
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
    WITH chosen AS (
        -- Each has a few thousand at most.
        SELECT id FROM search_new_words WHERE owner_id = owner ORDER BY id LIMIT most
    ), taken AS (
        DELETE FROM search_new_words AS n USING chosen WHERE n.id = chosen.id RETURNING n.words, n.lexemes
    ), written AS (
        INSERT INTO search_words (owner_id, lexeme, word)
        SELECT DISTINCT owner, fresh.lexeme, fresh.word FROM taken, unnest(taken.words, taken.lexemes) AS fresh (word, lexeme)
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO learnt FROM taken;
    IF gone IS NOT NULL THEN
        DELETE FROM search_terms WHERE owner_id = owner AND lexeme = ANY (gone) AND documents <= 0;
        DELETE FROM search_postings WHERE owner_id = owner AND lexeme = ANY (gone) AND postings = '';
        DELETE FROM search_words WHERE owner_id = owner AND lexeme = ANY (gone);
    END IF;
    RETURN came + went + learnt;
END $$;
