#!/bin/sh
# The database and its roles (infra/postgres/roles.sql), with the passwords that DATABASE_URL and DATABASE_MIGRATE_URL name. PostgreSQL's image
# runs it once, when the data folder is made; after a password was changed, run it again:
#   docker compose exec postgres /docker-entrypoint-initdb.d/10-roles.sh
set -eu
password_of() { # password_of NAME URL
  password="${2#*://*:}"
  password="${password%%@*}"
  case "$2" in
    *://*:*@*) ;;
    *) password="" ;;
  esac
  case "$password" in
    "" | *[!A-Za-z0-9._~-]*)
      echo "$1: needs a password of letters, digits and . _ ~ - alone. Example: $1=postgresql://docuvault_app:secret@postgres:5432/docuvault" >&2
      exit 1
      ;;
  esac
  printf %s "$password"
}
app="$(password_of DATABASE_URL "${DATABASE_URL:-}")"
migrate="$(password_of DATABASE_MIGRATE_URL "${DATABASE_MIGRATE_URL:-}")"
# On standard input, not on the command line, which others on the machine can see.
{
  printf "\\set app_password '%s'\n\\set migrate_password '%s'\n" "$app" "$migrate"
  cat /docuvault/roles.sql
} | psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres
