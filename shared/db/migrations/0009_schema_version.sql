-- migrate:up

-- A broker starts its work once the schema is the one it was written for.
GRANT SELECT ON schema_migrations TO docuvault_system;

-- migrate:down

REVOKE SELECT ON schema_migrations FROM docuvault_system;
