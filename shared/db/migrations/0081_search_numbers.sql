-- migrate:up

-- Facets look the ids of thousands of numbers up: from the index alone, where each was a row to read.
CREATE UNIQUE INDEX document_search_numbered ON document_search (owner_id, number) INCLUDE (document_id);
DROP INDEX document_search_number;

-- migrate:down

CREATE UNIQUE INDEX document_search_number ON document_search (owner_id, number);
DROP INDEX document_search_numbered;
