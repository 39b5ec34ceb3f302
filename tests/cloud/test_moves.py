"""Documents move between places: under their human names, verified, and never lost or doubled wherever a process dies."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web

from functions.events.move_stored_document import move_stored_document
from infra.functions import ROOT
from shared.cloud import connections, leftovers, moves
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import details, library, topics
from shared.documents.change_models import DocumentChange
from shared.documents.models import Document
from shared.documents.topic_models import NewTopic
from shared.errors import NotFound
from shared.events.catalogue import MoveRequested
from shared.faas import Rejected
from shared.faas.declarations import EVENT_FUNCTIONS
from shared.identity import accounts
from shared.storage import CredentialsRejected, StorageUnavailable, WrongContent, object_store
from tests.cloud.conftest import connect, files, make_due, ready, waiting_move
from tests.documents.conftest import create, row
from tests.storage.servers.dav_server import DavServer, Fault, cut_after, status

YEAR = "DocuVault/{:%Y}"


async def move(vault: TenantDatabase, document: Document, connection_id: UUID | None) -> str:
    await moves.request(vault, document.id, connection_id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    return await moves.carry_out(vault, document.id, move_id)


async def original_of(document: Document, vault: TenantDatabase) -> bytes:
    from shared.cloud import backends, places

    place = await places.find(vault, document.id)
    assert place is not None
    async with backends.opened(vault, place.connection_id) as backend:
        return await backend.read(place.key, limit=10**9)


async def in_bucket(vault: TenantDatabase, document: Document) -> bool:
    return await object_store().stat(await row(vault, document.id, "object_key")) is not None


async def test_a_document_moves_under_its_name_and_comes_back(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, b"Dear heron\n", "Rechnung: März? 1/2.txt")
    assert await move(vault, document, connection.id) == "moved"
    moved = await library.get(vault, document.id)
    assert (moved.storage.provider, moved.storage.connection_id) == ("webdav", connection.id)
    assert files(server) == {f"{YEAR.format(document.created_at)}/2.txt": b"Dear heron\n"}
    assert await in_bucket(vault, document), "readers may still be at it"
    await make_due(db, vault.owner_id)
    assert await leftovers.remove_due(vault) == 1
    assert not await in_bucket(vault, document)
    assert await move(vault, document, None) == "moved"
    back = await library.get(vault, document.id)
    assert (back.storage.provider, back.storage.connection_id) == ("minio", None)
    assert await original_of(document, vault) == b"Dear heron\n"
    await make_due(db, vault.owner_id)
    assert await leftovers.remove_due(vault) == 1
    assert files(server) == {}
    assert await original_of(document, vault) == b"Dear heron\n"


async def test_an_original_that_is_not_what_it_was_is_not_copied_and_not_tried_again(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, b"Dear heron\n")
    await object_store().put(await row(vault, document.id, "object_key"), b"Dear stork\n", content_type="text/plain")
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    with pytest.raises(Rejected, match="not what it was"):
        await EVENT_FUNCTIONS[move_stored_document.__name__].handler(
            MoveRequested(owner_id=vault.owner_id, document_id=document.id, move_id=move_id)
        )
    assert files(server) == {}
    assert (await library.get(vault, document.id)).storage.provider == "minio"


async def test_names_that_collide_get_numbers(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    documents = [await ready(vault, f"Dear heron {number}\n".encode(), "letter.txt") for number in range(3)]
    folder = server.folder / YEAR.format(documents[0].created_at)
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_bytes(b"somebody's")
    for document in documents:
        assert await move(vault, document, connection.id) == "moved"
    assert {Path(path).name: content for path, content in files(server).items()} == {
        "letter.txt": b"somebody's",
        "letter (2).txt": b"Dear heron 0\n",
        "letter (3).txt": b"Dear heron 1\n",
        "letter (4).txt": b"Dear heron 2\n",
    }


async def test_documents_of_one_name_move_at_once(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    documents = [await ready(vault, f"Dear heron {number}\n".encode(), "letter.txt") for number in range(5)]
    assert await asyncio.gather(*(move(vault, document, connection.id) for document in documents)) == ["moved"] * 5
    for number, document in enumerate(documents):
        assert await original_of(document, vault) == f"Dear heron {number}\n".encode()
    assert len(files(server)) == 5


async def test_the_same_move_twice_at_once_leaves_one_copy(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    outcomes = await asyncio.gather(*(moves.carry_out(vault, document.id, move_id) for _ in range(4)), return_exceptions=True)
    assert outcomes.count("moved") <= 1
    if "moved" not in outcomes:
        assert await moves.carry_out(vault, document.id, move_id) == "moved"
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert await original_of(document, vault) != b""
    assert len(files(server)) == 1


async def test_of_two_deliveries_of_a_move_one_chooses_the_name(vault: TenantDatabase, connection: Connection) -> None:
    document = await ready(vault)
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    first, second = [await moves._load(vault, document.id, move_id) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert await moves._claim(vault, first, "DocuVault/letter.txt")
    with pytest.raises(moves._Elsewhere):
        await moves._claim(vault, second, "DocuVault/letter (2).txt")


async def test_a_move_that_is_done_is_not_done_again(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    document = await ready(vault)
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    assert await moves.carry_out(vault, document.id, move_id) == "moved"
    before = len(server.asked)
    assert await moves.carry_out(vault, document.id, move_id) == "superseded"
    assert await move(vault, document, connection.id) == "already there"
    assert len(server.asked) == before


async def test_a_newer_request_replaces_an_older_one(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await moves.request(vault, document.id, connection.id)
    first = await waiting_move(vault, document.id)

    async def changed_mind(request: web.Request) -> web.StreamResponse | None:
        await moves.request(vault, document.id, None)
        return None

    server.fail("MOVE", changed_mind)
    assert first is not None
    assert await moves.carry_out(vault, document.id, first) == "superseded"
    second = await waiting_move(vault, document.id)
    assert second is not None
    assert await moves.carry_out(vault, document.id, second) == "already there"
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert files(server) == {}
    assert await in_bucket(vault, document)


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("PUT", status(507)),
        ("PUT", status(503)),
        ("PUT", cut_after(1)),
        ("MOVE", status(507)),
        ("MKCOL", status(507)),
        ("PROPFIND", status(401)),
    ],
)
async def test_a_move_that_fails_leaves_the_document_where_it_is(
    vault: TenantDatabase, server: DavServer, connection: Connection, method: str, fault: Fault
) -> None:
    document = await ready(vault)
    server.fail(method, fault)
    with pytest.raises(StorageUnavailable):
        await move(vault, document, connection.id)
    assert (await library.get(vault, document.id)).storage.provider == "minio"
    assert await in_bucket(vault, document)
    assert files(server) == {}
    steps = await row(vault, document.id, "(SELECT state FROM document_steps WHERE document_id = documents.id AND step = 'move')")
    assert steps == "failed"
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    assert await moves.carry_out(vault, document.id, move_id) == "moved"


async def test_a_copy_that_is_not_what_was_sent_is_noticed(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, b"Dear heron\n")

    async def garbled(request: web.Request) -> web.StreamResponse:
        content = await request.read()
        (server.folder / request.rel_url.path.removeprefix("/dav/")).write_bytes(content[:-1] + b"?")
        return web.Response(status=201)

    server.fail("PUT", garbled)
    with pytest.raises(WrongContent):
        await move(vault, document, connection.id)
    assert (await library.get(vault, document.id)).storage.provider == "minio"
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    assert await moves.carry_out(vault, document.id, move_id) == "moved"
    assert await original_of(document, vault) == b"Dear heron\n"
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert list(files(server).values()) == [b"Dear heron\n"]


async def test_a_leftover_that_became_somebody_elses_file_stays(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault, b"Dear heron\n")
    await move(vault, document, connection.id)
    await move(vault, document, None)
    [path] = files(server)
    (server.folder / path).write_bytes(b"another text")
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert files(server) == {path: b"another text"}


async def test_rejected_credentials_break_the_connection_and_mail_its_owner_once(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    from tests.identity.browser import mails_to

    document = await ready(vault)
    for _ in range(2):
        server.fail("PROPFIND", status(401))
        with pytest.raises(CredentialsRejected):
            await move(vault, document, connection.id)
    [broken] = await connections.list_all(vault)
    assert broken.state == "broken"
    assert broken.error
    mails = await mails_to(db, f"{vault.owner_id.hex}@example.org")
    assert [mail.template for mail in mails] == ["cloud_connection_broken"]
    again = await connect(vault, server)
    assert (again.id, again.state, again.error) == (connection.id, "ok", None)


async def test_new_documents_go_to_the_home_that_was_chosen(vault: TenantDatabase, server: DavServer, connection: Connection) -> None:
    before = await ready(vault)
    async with vault.transaction() as tx:
        await accounts.choose_storage(tx, vault.owner_id, connection.id)
    after = await ready(vault)
    assert await waiting_move(vault, before.id) is None
    move_id = await waiting_move(vault, after.id)
    assert move_id is not None
    assert await moves.carry_out(vault, after.id, move_id) == "moved"
    assert (await library.get(vault, after.id)).storage.connection_id == connection.id


async def test_documents_lie_in_the_folder_of_their_topic_if_their_owner_wants_so(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    filed, other, unfiled = [await ready(vault, f"Heron {number}".encode(), filename=f"{number}.txt") for number in range(3)]
    topic = await topics.create(vault, NewTopic(name="Rent: flat / garage?"))
    for document in (filed, other):
        await details.update(vault, document.id, DocumentChange(topic_ids=[topic.id]))
    await move(vault, other, connection.id)
    async with vault.transaction() as tx:
        chosen = await accounts.choose_storage(tx, vault.owner_id, connection.id, "year_and_topic")
        assert chosen is not None
        assert chosen.storage_folders == "year_and_topic"
        unchanged = await accounts.choose_storage(tx, vault.owner_id, connection.id)
        assert unchanged is not None
        assert unchanged.storage_folders == "year_and_topic"
    await move(vault, filed, connection.id)
    await move(vault, unfiled, connection.id)
    year = f"DocuVault/{filed.created_at:%Y}"
    assert set(files(server)) == {f"{year}/Rent_ flat _ garage_/0.txt", f"{year}/1.txt", f"{year}/2.txt"}


async def test_a_file_in_the_place_of_a_topics_folder_keeps_no_document_back(
    vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    topic = await topics.create(vault, NewTopic(name="Rent"))
    await details.update(vault, document.id, DocumentChange(topic_ids=[topic.id]))
    async with vault.transaction() as tx:
        await accounts.choose_storage(tx, vault.owner_id, connection.id, "year_and_topic")
    year = f"DocuVault/{document.created_at:%Y}"
    (server.folder / year).mkdir(parents=True)
    (server.folder / year / "Rent").write_bytes(b"somebody's")
    assert await move(vault, document, connection.id) == "moved"
    assert set(files(server)) == {f"{year}/Rent", f"{year}/{document.id}.txt"}


async def test_a_document_in_a_cloud_is_read_again_from_there(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    from shared.documents import extract_step

    document = await ready(vault, b"Dear heron\n")
    await move(vault, document, connection.id)
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    async with vault.transaction() as tx:
        await tx.execute("UPDATE documents SET status = 'stored', revision = 2 WHERE id = %(id)s", {"id": document.id})
    await extract_step.read(vault, document.id, 2)
    assert (await library.text(vault, document.id)).pages[0].text.strip() == "Dear heron"


async def test_what_was_purged_is_removed_from_the_cloud(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection
) -> None:
    document = await ready(vault)
    await move(vault, document, connection.id)
    async with vault.transaction() as tx:
        await tx.execute("DELETE FROM documents WHERE id = %(id)s", {"id": document.id})
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    assert files(server) == {}


async def test_only_what_is_there_and_ones_own_can_be_moved(
    vault: TenantDatabase, db: Database, other_owner: UUID, connection: Connection
) -> None:
    document = await ready(vault)
    stranger = TenantDatabase(db, other_owner)
    for asking, document_id, connection_id in (
        (stranger, document.id, None),
        (stranger, document.id, connection.id),
        (vault, document.id, other_owner),
    ):
        with pytest.raises(NotFound):
            await moves.request(asking, document_id, connection_id)
    uploading = await create(vault)
    with pytest.raises(moves.NotMovable):
        await moves.request(vault, uploading.document.id, connection.id)


class Deadly:
    """Kills the process that sends the request of that number, before it is carried out or after."""

    process: asyncio.subprocess.Process

    def __init__(self, server: DavServer, number: int, *, after: bool) -> None:
        self._server, self._number, self._after, self._seen = server, number, after, 0

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        self._seen += 1
        if self._seen <= self._number:
            return None
        response = await self._server.respond(request) if self._after else None
        self.process.kill()
        return response or web.Response(status=500)


KILLED = """
import asyncio, sys
from uuid import UUID
from shared.cloud import moves
from shared.db import TenantDatabase, database
async def main():
    print(await moves.carry_out(TenantDatabase(database(), UUID(sys.argv[1])), UUID(sys.argv[2]), UUID(sys.argv[3])))
asyncio.run(main())
"""


@pytest.mark.parametrize("back", [False, True])
async def test_a_move_killed_at_any_request_loses_and_doubles_nothing(
    db: Database, vault: TenantDatabase, server: DavServer, connection: Connection, back: bool
) -> None:
    """kill -9 when the server has the n-th request, before it is carried out and after, for every n that there is."""
    document = await ready(vault, b"Dear heron\n")
    if back:
        await move(vault, document, connection.id)
    await moves.request(vault, document.id, None if back else connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    number, after, killed = 0, False, 0
    while True:
        deadly = Deadly(server, number, after=after)
        for method in ("PROPFIND", "MKCOL", "PUT", "MOVE", "GET", "DELETE"):
            server.faults[method] = [deadly] * 50
        deadly.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(vault.owner_id), str(document.id), str(move_id), cwd=ROOT, stdout=subprocess.PIPE
        )
        said = (await deadly.process.communicate())[0].decode().strip()
        server.faults.clear()
        if deadly.process.returncode != -signal.SIGKILL:
            assert said in ("moved", "superseded")
            break
        killed += 1
        assert await original_of(document, vault) == b"Dear heron\n"
        number, after = (number, True) if not after else (number + 1, False)
    assert killed >= (2 if back else 8)
    await make_due(db, vault.owner_id)
    await leftovers.remove_due(vault)
    moved = await library.get(vault, document.id)
    assert moved.storage.connection_id == (None if back else connection.id)
    assert await original_of(document, vault) == b"Dear heron\n"
    assert list(files(server).values()) == ([] if back else [b"Dear heron\n"])
