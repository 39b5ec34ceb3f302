-- The database `docuvault` and its three roles; run by a superuser, before the migrations, as often as one likes:
--   psql -v ON_ERROR_STOP=1 [-v app_password=... -v migrate_password=...] -f roles.sql postgres
--
-- docuvault_migrate owns the database and with it the schema. docuvault_app is what the functions connect as: DML only, under row-level
-- security. docuvault_system sees all rows; the app takes that role for a transaction (SET LOCAL ROLE) and never holds it otherwise.

-- Two at once: the second waits until the first has gone.
DO $$ BEGIN PERFORM pg_advisory_lock(hashtext('docuvault roles')); END $$;

SELECT 'CREATE ROLE docuvault_migrate LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'docuvault_migrate') \gexec

SELECT 'CREATE ROLE docuvault_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'docuvault_app') \gexec

SELECT 'CREATE ROLE docuvault_system NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'docuvault_system') \gexec

GRANT docuvault_system TO docuvault_app WITH INHERIT FALSE, SET TRUE, ADMIN FALSE;

\if :{?app_password}
ALTER ROLE docuvault_app PASSWORD :'app_password';
\endif
\if :{?migrate_password}
ALTER ROLE docuvault_migrate PASSWORD :'migrate_password';
\endif

SELECT 'CREATE DATABASE docuvault OWNER docuvault_migrate'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'docuvault') \gexec

REVOKE ALL ON DATABASE docuvault FROM PUBLIC;
GRANT CONNECT ON DATABASE docuvault TO docuvault_app, docuvault_system;
