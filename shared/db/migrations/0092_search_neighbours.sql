-- migrate:up

-- Which words stand beside each other: a Bloom filter (shared/search/neighbours.py), in the row itself, so that most documents without a
-- phrase are passed over without reading their positions, which are stored out of line. Null where it is not known: a long document, or one
-- that an older analysis indexed.
ALTER TABLE document_search ADD neighbours bytea;
ALTER TABLE document_search ALTER neighbours SET STORAGE MAIN;

-- migrate:down

ALTER TABLE document_search DROP neighbours;
