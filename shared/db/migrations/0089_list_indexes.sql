-- migrate:up

-- Lists by date have what is undated at their end, whichever way they are sorted. By CASE, not by coalesce(), which PostgreSQL does not take
-- for leakproof: under row-level security an index on it gave the order alone, and neither a range of dates nor a later page began in it.
DROP INDEX documents_by_issued_on, documents_by_issued_on_descending;
CREATE INDEX documents_by_issued_on
    ON documents (owner_id, (CASE WHEN issued_on IS NULL THEN 'infinity'::date ELSE issued_on END), id);
CREATE INDEX documents_by_issued_on_descending
    ON documents (owner_id, (CASE WHEN issued_on IS NULL THEN '-infinity'::date ELSE issued_on END) DESC, id DESC);

-- What failed or is still on its way: few among many, and looked at often.
CREATE INDEX documents_not_ready ON documents (owner_id, status, created_at DESC, id DESC) WHERE status <> 'ready';

-- How many documents a sender has is counted in the index alone.
DROP INDEX documents_by_sender;
CREATE INDEX documents_by_sender
    ON documents (owner_id, sender_id, created_at DESC, id DESC) INCLUDE (trashed_at) WHERE sender_id IS NOT NULL;

-- migrate:down

DROP INDEX documents_by_sender;
CREATE INDEX documents_by_sender ON documents (owner_id, sender_id, created_at DESC, id DESC) WHERE sender_id IS NOT NULL;
DROP INDEX documents_not_ready, documents_by_issued_on, documents_by_issued_on_descending;
CREATE INDEX documents_by_issued_on ON documents (owner_id, (coalesce(issued_on, 'infinity'::date)), id);
CREATE INDEX documents_by_issued_on_descending ON documents (owner_id, (coalesce(issued_on, '-infinity'::date)) DESC, id DESC);
