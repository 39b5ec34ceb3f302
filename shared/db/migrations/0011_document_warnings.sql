-- migrate:up

-- What of a document could not be read or indexed although the rest of it was: [{code, detail}], written by the step that found it.
ALTER TABLE documents ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';

-- migrate:down

ALTER TABLE documents DROP COLUMN warnings;
