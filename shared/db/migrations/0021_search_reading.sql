-- migrate:up

-- The postings of a word as one value, read in the order of the primary key: a common word of a large vault has thousands of rows, which were
-- sorted, written to a temporary file and read again when they came as a set. Run by the caller, under row-level security; text equality is
-- leakproof, so the primary keys serve it there, too.
CREATE FUNCTION search_merged_postings(owner uuid, asked text) RETURNS bytea
LANGUAGE sql STABLE SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
    SELECT coalesce((
        SELECT string_agg(p.postings, '' ORDER BY p.lowest) FROM search_postings AS p WHERE p.owner_id = owner AND p.lexeme = asked
    ), '') || coalesce((
        SELECT t.tail FROM search_terms AS t WHERE t.owner_id = owner AND t.lexeme = asked
    ), '')
$$;

-- The same of what is not merged yet, of all that have any. Each document by its key: before statistics are gathered, the planner would
-- rather read all of the owner's.
CREATE FUNCTION search_waiting_postings(owner uuid, asked text[]) RETURNS TABLE (lexeme text, postings bytea)
LANGUAGE sql STABLE ROWS 5 SET enable_seqscan = off SET plan_cache_mode = force_custom_plan AS $$
    SELECT found.lexeme, string_agg(found.posting, '')
    FROM search_changes AS c
    CROSS JOIN LATERAL (
        SELECT l.lexeme,
            int4send(s.number) || substring(s.frequencies FROM l.place::integer FOR 1) || substring(int2send(s.length_code) FROM 2) AS posting
        FROM document_search AS s CROSS JOIN LATERAL unnest(s.lexemes) WITH ORDINALITY AS l (lexeme, place)
        WHERE s.owner_id = owner AND s.number = c.number AND l.lexeme = ANY (asked)
        OFFSET 0
    ) AS found
    WHERE c.owner_id = owner AND c.documents = 1
    GROUP BY found.lexeme
$$;

CREATE OR REPLACE FUNCTION search_postings_of(owner uuid, asked text[]) RETURNS TABLE (lexeme text, postings bytea)
LANGUAGE sql STABLE ROWS 20 SET enable_seqscan = off SET plan_cache_mode = force_custom_plan SET work_mem = '64MB' AS $$
    SELECT part.lexeme, part.postings
    FROM (
        SELECT a.lexeme, search_merged_postings(owner, a.lexeme) || coalesce(w.postings, '') AS postings
        FROM (SELECT DISTINCT unnest(asked) AS lexeme) AS a
        LEFT JOIN search_waiting_postings(owner, asked) AS w ON w.lexeme = a.lexeme
        OFFSET 0
    ) AS part
    WHERE part.postings <> ''
$$;

-- migrate:down

CREATE OR REPLACE FUNCTION search_postings_of(owner uuid, asked text[]) RETURNS TABLE (lexeme text, postings bytea)
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
-- A function with a new setting of its own is made anew without it.
ALTER FUNCTION search_postings_of RESET work_mem;
DROP FUNCTION search_merged_postings, search_waiting_postings;
