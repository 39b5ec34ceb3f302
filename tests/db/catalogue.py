"""What a database's catalogue says, and rows for any table in it."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from shared.ids import new_id


@dataclass(frozen=True)
class Table:
    """A table of the application's schema."""

    name: str
    secured: bool
    """Row-level security is on."""
    readable: bool
    """docuvault_app may select from it (or from some of its columns)."""
    system_readable: bool
    """docuvault_system may."""
    tenant: str | None
    """The tenant policy's condition."""
    system: str | None
    """The system policy's condition."""

    @property
    def owner_column(self) -> str:
        """The column that says whose row it is."""
        assert self.tenant is not None
        return self.tenant.removeprefix("(").partition(" ")[0]


async def tables(connection: psycopg.AsyncConnection[Any]) -> list[Table]:
    """Every table but dbmate's own."""
    rows = await connection.execute(
        """
        SELECT c.relname, c.relrowsecurity, has_any_column_privilege('docuvault_app', c.oid, 'SELECT'),
               has_any_column_privilege('docuvault_system', c.oid, 'SELECT'),
               (SELECT qual FROM pg_policies p WHERE p.tablename = c.relname AND 'docuvault_app' = ANY(p.roles)),
               (SELECT qual FROM pg_policies p WHERE p.tablename = c.relname AND 'docuvault_system' = ANY(p.roles))
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> 'schema_migrations'
        ORDER BY c.relname
        """
    )
    return [Table(*row) for row in await rows.fetchall()]


async def views(connection: psycopg.AsyncConnection[Any]) -> list[str]:
    """Views and materialised views, which would run with their owner's rights."""
    rows = await connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')")
    return [row[0] for row in await rows.fetchall()]


async def unconstrain(connection: psycopg.AsyncConnection[Any]) -> None:
    """Drops checks, references and triggers, so that any row can stand anywhere. For a database of a test's own."""
    constraints = await connection.execute(
        """
        SELECT conrelid::regclass, conname FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f') AND conrelid <> 0
        """
    )
    for table, name in await constraints.fetchall():
        await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    triggers = await connection.execute(
        """
        SELECT t.tgrelid::regclass, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace
        """
    )
    for table, name in await triggers.fetchall():
        await connection.execute(f'DROP TRIGGER "{name}" ON {table}')


async def insert_row(connection: psycopg.AsyncConnection[Any], table: str, given: dict[str, Any]) -> None:
    """A row of made-up values, but for those given."""
    rows = await connection.execute(
        """
        SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
        WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
          AND a.attnotnull AND (NOT a.atthasdef OR a.attname = ANY(%s))
        """,
        [table, list(given)],
    )
    values = {name: made_up(kind) for name, kind in await rows.fetchall()} | given
    columns = ", ".join(f'"{name}"' for name in values)
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(['%s'] * len(values))})", list(values.values()))


_NUMBERS = count(1)


def made_up(kind: str) -> Any:
    """A value of a PostgreSQL type; no number, day, text, id or bytes twice, as each of them may be a primary key."""
    if kind == "uuid":
        return new_id()
    if kind.endswith("[]"):
        return []
    if kind in ("json", "jsonb"):
        return Jsonb({})
    if kind == "bytea":
        return new_id().bytes
    if kind in ("smallint", "integer", "bigint", "numeric", "real", "double precision"):
        return next(_NUMBERS)
    if kind == "boolean":
        return False
    if kind.startswith("timestamp"):
        return "2026-01-01T00:00:00Z"
    if kind == "date":
        return date(2000, 1, 1) + timedelta(days=next(_NUMBERS))
    if kind == "interval":
        return "1 day"
    if kind == "tsvector":
        return ""
    if kind in ("text", "citext", "character varying", "name"):
        return new_id().hex
    raise NotImplementedError(f"a value of type {kind}")


async def shape(connection: psycopg.AsyncConnection[Any]) -> list[tuple[Any, ...]]:
    """Everything of a schema that migrations make, in a form that two databases can be compared by."""
    found: list[tuple[Any, ...]] = []
    for query in (
        """
        SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated::text,
               a.attidentity::text, a.attacl::text, pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped
        """,
        "SELECT 'table', relname, relkind::text, relrowsecurity, relacl::text, reloptions::text FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')",
        "SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT 'policy', tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies",
        "SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
        "SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        """
        SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
          AND p.prokind = 'f'
        """,
        """
        SELECT 'type', t.typname, t.typtype::text FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd')
        """,
        "SELECT 'configuration', cfgname FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace",
        "SELECT 'version', version FROM schema_migrations",
    ):
        found += await (await connection.execute(query)).fetchall()
    return sorted(found, key=repr)
