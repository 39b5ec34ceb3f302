-- migrate:up

-- A tsvector has positions for 16,000 words. What follows them in a long document has a tsvector for each so many, in which its phrases are
-- found. Null for all others.
ALTER TABLE document_search ADD further tsvector[];
DO $$ BEGIN
    ALTER TABLE document_search ALTER further SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;

-- migrate:down

ALTER TABLE document_search DROP further;
