-- migrate:up

-- What admins ask of deliveries: those given up, newest first, and when each schedule ran last and how long that took.
ALTER TABLE deliveries ADD COLUMN started_at timestamptz;              -- when the last try began
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (id DESC) WHERE state = 'dead';
CREATE INDEX deliveries_of_schedules ON deliveries (function, id DESC) WHERE queue = 'system';

-- The two limits that an admin may set (system_settings), for the app's own role, which sees nothing else there. NULL: not set.
CREATE FUNCTION system_limit(limit_name text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (value #>> '{}')::bigint FROM system_settings
    WHERE name = limit_name AND limit_name IN ('default_quota', 'max_document_size') AND jsonb_typeof(value) = 'number'
$$;
REVOKE ALL ON FUNCTION system_limit FROM PUBLIC;
GRANT EXECUTE ON FUNCTION system_limit TO docuvault_app, docuvault_system;

-- migrate:down

DROP FUNCTION system_limit;
DROP INDEX deliveries_of_schedules;
DROP INDEX deliveries_dead;
CREATE INDEX deliveries_dead ON deliveries (created_at DESC, id DESC) WHERE state = 'dead';
ALTER TABLE deliveries DROP COLUMN started_at;
