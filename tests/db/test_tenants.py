"""Row-level security, table by table, as the catalogue names them: nobody sees another's rows, whatever the query forgets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from infra.postgres.migrate import migrate
from shared.db import Database
from shared.ids import new_id
from tests.db.catalogue import Table, insert_row, tables, unconstrain, views
from tests.db.conftest import OwnDatabase

TENANT_CONDITION = "(NULLIF(current_setting('app.user'::text, true), ''::text))::uuid"


@dataclass
class Filled:
    """A database with a row of each of two owners in every tenant table."""

    db: Database
    superuser: psycopg.AsyncConnection[Any]
    tables: list[Table]
    one: UUID
    other: UUID

    @property
    def tenant_tables(self) -> list[Table]:
        return [table for table in self.tables if table.readable or table.tenant]


@pytest.fixture
async def filled(empty_database: Callable[[], Awaitable[OwnDatabase]]) -> AsyncIterator[Filled]:
    own = await empty_database()
    await migrate(own.url("docuvault_migrate"))
    async with await own.connect("postgres") as superuser:
        await unconstrain(superuser)
        found = await tables(superuser)
        one, other = new_id(), new_id()
        for table in found:
            for owner in (one, other):
                await insert_row(superuser, table.name, {table.owner_column: owner} if table.tenant else {})
        db = Database(own.url("docuvault_app"), pool_size=2)
        try:
            yield Filled(db, superuser, found, one, other)
        finally:
            await db.close()


async def test_every_table_has_row_level_security_and_a_system_policy(filled: Filled) -> None:
    assert len(filled.tables) > 15
    assert [table.name for table in filled.tables if not table.secured] == []
    assert [table.name for table in filled.tables if table.system_readable and table.system != "true"] == []


async def test_every_table_that_the_app_may_read_has_the_tenant_policy(filled: Filled) -> None:
    assert {"documents", "topics", "detail_proposals"} <= {table.name for table in filled.tenant_tables}
    wrong = [table.name for table in filled.tenant_tables if table.tenant != f"({table.owner_column} = {TENANT_CONDITION})"]
    assert wrong == []


async def test_there_are_no_views_that_would_pass_by_the_policies(filled: Filled) -> None:
    assert await views(filled.superuser) == []


async def test_a_tenant_sees_its_own_rows_and_no_others(filled: Filled) -> None:
    for table in filled.tenant_tables:
        async with filled.db.tenant(filled.one) as tx:
            assert await tx.fetch_value(f"SELECT array_agg({table.owner_column}) FROM {table.name}") == [filled.one], table.name


async def test_a_transaction_without_a_tenant_sees_nothing(filled: Filled) -> None:
    for table in filled.tenant_tables:
        async with filled.db._transaction("BEGIN") as tx:
            assert await tx.fetch_value(f"SELECT count({table.owner_column}) FROM {table.name}") == 0, table.name


async def test_after_a_tenants_transaction_the_connection_has_no_tenant_any_more(filled: Filled) -> None:
    async with filled.db.tenant(filled.one) as tx:
        process = await tx.fetch_value("SELECT pg_backend_pid()")
    async with filled.db._transaction("BEGIN") as tx:
        assert await tx.fetch_value("SELECT pg_backend_pid()") == process
        assert await tx.fetch_value("SELECT current_setting('app.user', true)") == ""
        assert await tx.fetch_value("SELECT current_user") == "docuvault_app"
        for table in filled.tenant_tables:
            assert await tx.fetch_value(f"SELECT count({table.owner_column}) FROM {table.name}") == 0, table.name


async def test_a_tenant_can_neither_change_nor_remove_anothers_rows(filled: Filled) -> None:
    for table in filled.tenant_tables:
        column = table.owner_column
        for statement in (f"DELETE FROM {table.name}", f"UPDATE {table.name} SET {column} = {column}"):
            async with filled.db.tenant(filled.one) as tx:
                try:
                    await tx.execute(f"{statement} WHERE {column} = %s", [filled.other])
                except psycopg.errors.InsufficientPrivilege:
                    await tx.connection.execute("ROLLBACK")
                    await tx.connection.execute("BEGIN")
        rows = await filled.superuser.execute(f"SELECT count(*) FROM {table.name} WHERE {column} = %s", [filled.other])
        assert await rows.fetchone() == (1,), table.name


async def test_a_tenant_cannot_write_rows_for_another(filled: Filled) -> None:
    for table in filled.tenant_tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with filled.db.tenant(filled.one) as tx:
                await insert_row(tx.connection, table.name, {table.owner_column: filled.other})


async def test_what_only_system_work_uses_the_app_cannot_even_name(filled: Filled) -> None:
    for table in filled.tables:
        if table.tenant is None:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with filled.db.tenant(filled.one) as tx:
                    await tx.fetch_value(f"SELECT count(*) FROM {table.name}")


async def test_system_work_sees_every_row(filled: Filled) -> None:
    for table in filled.tables:
        if not table.system_readable:
            continue
        async with filled.db.system() as tx:
            assert await tx.fetch_value(f"SELECT count(*) FROM {table.name}") == 2, table.name


async def test_the_app_owns_nothing_and_cannot_change_the_schema(filled: Filled) -> None:
    async with filled.db._transaction("BEGIN") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM pg_class WHERE pg_has_role('docuvault_app', relowner, 'USAGE')") == 0
    for statement in (
        "CREATE TABLE mine (x int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE documents DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON documents",
        "CREATE TEMPORARY TABLE pg_temp.documents (x int)",
        "TRUNCATE documents",
        "SET ROLE docuvault_migrate",
        "SET ROLE postgres",
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)):
            async with filled.db._transaction("BEGIN") as tx:
                await tx.execute(statement)


async def test_functions_that_run_with_their_owners_rights_have_a_fixed_search_path(filled: Filled) -> None:
    rows = await filled.superuser.execute(
        """
        SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND prosecdef
          AND NOT 'search_path=public, pg_temp' = ANY(coalesce(proconfig, '{}'))
        """
    )
    assert await rows.fetchall() == []
