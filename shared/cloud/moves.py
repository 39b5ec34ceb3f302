"""Moving a document's original from one place to another: the bucket, or a cloud of the owner's.

Nothing is ever lost or doubled, wherever a process dies:
1. the name at the target is chosen where nothing lies, and committed, before anything is written;
2. the copy appears there whole, or not at all (`put_stream`); what an attempt finds there of this very content is its own copy;
3. its hash is computed from what the target has;
4. one transaction makes the document point at the copy, and the source a leftover;
5. leftovers are removed later, when nobody reads the source any more.
A document is moved once at a time: a newer request replaces an older one, whose copy then is a leftover itself.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import psycopg

from shared import audit
from shared.audit import AuditAction, Caller
from shared.clock import now
from shared.cloud import backends, cloud_names, copying, places
from shared.cloud.models import CloudProvider
from shared.db import TenantDatabase, Transaction
from shared.documents import filenames, lifecycle, step_history
from shared.errors import Conflict, NotFound
from shared.events import publish
from shared.events.catalogue import MoveRequested
from shared.ids import new_id
from shared.storage import NameRefused, ObjectMissing, StorageBackend, StorageUnavailable, WrongContent
from shared.storage.backend import FolderEntry
from shared.storage.object_keys import OriginalKey

log = logging.getLogger("docuvault.cloud")

READERS_SECONDS = 900
"""How long the source stays after a move: links to it are good for five minutes, and a step may be reading it."""
NAMES_TRIED = 1000

Outcome = Literal["moved", "superseded", "already there"]


class NotMovable(Conflict):
    code, title = "not_movable", "The document has no original that could be moved"


class _Elsewhere(Exception):
    """A newer request has taken over, or the document is gone."""


@dataclass(frozen=True)
class _MoveRow:
    """A document's place and where it is to go; `size` in bytes."""

    id: UUID
    document_id: UUID
    to_connection: UUID | None
    target_key: str | None
    from_connection: UUID | None
    source_key: str
    object_key: str
    filename: str
    content_type: str
    size: int
    sha256: str | None
    revision: int
    created_at: datetime
    requested_at: datetime
    topic: str | None
    """In whose folder it is to lie; None: in the year's."""

    @property
    def in_place(self) -> bool:
        return self.from_connection == self.to_connection


async def request(db: TenantDatabase, document_id: UUID, connection_id: UUID | None, *, caller: Caller | None = None) -> None:
    """Asks for one of the owner's documents to live in a connection, or with None in the bucket. Raises NotFound, NotMovable."""
    async with db.transaction() as tx:
        if connection_id is not None and not await tx.fetch_value(
            "SELECT true FROM cloud_connections WHERE owner_id = %(owner)s AND id = %(id)s FOR KEY SHARE",
            {"owner": db.owner_id, "id": connection_id},
        ):
            raise NotFound("You have no such connection.")
        movable = await tx.fetch_value(
            """
            SELECT status NOT IN ('uploading') AND coalesce(error ->> 'code', '') <> %(mismatch)s
            FROM documents WHERE owner_id = %(owner)s AND id = %(id)s FOR NO KEY UPDATE
            """,
            {"owner": db.owner_id, "id": document_id, "mismatch": lifecycle.OBJECT_MISMATCH},
        )
        if movable is None:
            raise NotFound
        if not movable:
            raise NotMovable
        await _ask(tx, db.owner_id, document_id, connection_id)
        await audit.record_call(tx, caller, AuditAction.DOCUMENT_MOVE_REQUESTED, target=document_id)


async def request_home(tx: Transaction, owner_id: UUID, document_id: UUID) -> None:
    """A document is ready: if its owner keeps documents elsewhere, it goes there, unless it has been moved before."""
    home: UUID | None = await tx.fetch_value(
        """
        SELECT users.storage_connection_id FROM users JOIN cloud_connections AS home ON home.id = users.storage_connection_id
        WHERE users.id = %(owner)s AND home.state = 'ok' AND EXISTS (
            SELECT FROM documents WHERE owner_id = %(owner)s AND id = %(document)s AND connection_id IS NULL
        ) AND NOT EXISTS (SELECT FROM document_steps WHERE document_id = %(document)s AND step = 'move' AND state = 'done')
        """,
        {"owner": owner_id, "document": document_id},
    )
    if home is not None:
        await _ask(tx, owner_id, document_id, home)


async def _ask(tx: Transaction, owner_id: UUID, document_id: UUID, connection_id: UUID | None) -> None:
    move_id = new_id()
    keys = {"owner": owner_id, "document": document_id, "id": move_id, "connection": connection_id}
    # What an older request may have written already is no document's any more.
    await tx.execute(
        """
        INSERT INTO storage_leftovers (owner_id, connection_id, key, size, due_at)
        SELECT m.owner_id, m.to_connection, m.target_key, d.size, now() + make_interval(secs => %(later)s)
        FROM document_moves AS m JOIN documents AS d ON d.id = m.document_id
        WHERE m.owner_id = %(owner)s AND m.document_id = %(document)s AND m.target_key IS NOT NULL
        """,
        {**keys, "later": READERS_SECONDS},
    )
    await tx.execute(
        """
        INSERT INTO document_moves (document_id, owner_id, id, to_connection) VALUES (%(document)s, %(owner)s, %(id)s, %(connection)s)
        ON CONFLICT (document_id) DO UPDATE
        SET id = excluded.id, to_connection = excluded.to_connection, target_key = NULL, created_at = now()
        """,
        keys,
    )
    await announce(tx, owner_id, document_id, move_id)


async def follow(tx: Transaction, owner_id: UUID, document_id: UUID, connection_id: UUID | None) -> None:
    """Another original is about to take the place of a document's: it goes where the former one, in `connection_id`, is or was to go.

    Call it while the document's row still says what the former one is.
    """
    going: tuple[UUID | None] | None = await tx.fetch_value(
        "SELECT ARRAY[to_connection] FROM document_moves WHERE owner_id = %(owner)s AND document_id = %(document)s",
        {"owner": owner_id, "document": document_id},
    )
    if going is not None:
        [connection_id] = going
    if going is not None or connection_id is not None:
        await _ask(tx, owner_id, document_id, connection_id)


async def announce(tx: Transaction, owner_id: UUID, document_id: UUID, move_id: UUID) -> None:
    """Publishes that the document is to be moved."""
    await publish(tx, MoveRequested(owner_id=owner_id, document_id=document_id, move_id=move_id))


async def carry_out(db: TenantDatabase, document_id: UUID, move_id: UUID) -> Outcome:
    """Moves the document as the request of that id says; any number of times.

    Raises StorageUnavailable and NameRefused: the document is as it was. No further attempt helps after NameRefused and SourceChanged.
    """
    started = now()
    move = await _load(db, document_id, move_id)
    if move is None:
        return "superseded"
    if move.in_place:
        async with db.transaction() as tx:
            await _forget(tx, db.owner_id, move)
        return "already there"
    try:
        async with backends.opened(db, move.from_connection) as source, backends.opened(db, move.to_connection) as target:
            move, key, content_sha256 = await _copied(db, move, source, target, move.filename)
            if await target.sha256(key) != content_sha256 and target.provider == "onedrive" and cloud_names.is_office(move.filename):
                # OneDrive for Business writes into Office files that arrive. Under a name that tells it nothing it leaves them alone.
                move = await _give_name_up(db, move, leaving=await target.look(key))
                move, key, content_sha256 = await _copied(db, move, source, target, cloud_names.neutral(move.filename))
            if await target.sha256(key) != content_sha256:
                await _give_name_up(db, move, leaving=await target.look(key))
                raise WrongContent("The copy is not what was sent; the document stays where it is.")
            stored = await target.stat(key)
            await _switch(db, move, target.provider, key, content_sha256, stored.etag if stored else "", started)
    except _Elsewhere:
        return "superseded"
    except (StorageUnavailable, NameRefused, ObjectMissing) as failed:
        await _record_failure(db, move, started, failed.detail)
        raise
    return "moved"


async def _load(db: TenantDatabase, document_id: UUID, move_id: UUID) -> _MoveRow | None:
    async with db.transaction() as tx:
        return await tx.fetch_one(
            """
            SELECT m.id, m.document_id, m.to_connection, m.target_key, d.connection_id AS from_connection,
                coalesce(d.cloud_key, d.object_key) AS source_key, d.object_key, d.filename, d.content_type, d.size, d.sha256, d.revision,
                d.created_at, m.created_at AS requested_at, (
                    SELECT topics.name FROM document_topics AS filed
                    JOIN topics ON topics.owner_id = filed.owner_id AND topics.id = filed.topic_id
                    WHERE filed.owner_id = m.owner_id AND filed.document_id = m.document_id AND users.storage_folders = 'year_and_topic'
                    ORDER BY filed.created_at, topics.name LIMIT 1
                ) AS topic
            FROM document_moves AS m JOIN documents AS d ON d.owner_id = m.owner_id AND d.id = m.document_id
            JOIN users ON users.id = m.owner_id
            WHERE m.owner_id = %(owner)s AND m.document_id = %(document)s AND m.id = %(move)s
            """,
            {"owner": db.owner_id, "document": document_id, "move": move_id},
            row=_MoveRow,
        )


async def _copied(
    db: TenantDatabase, move: _MoveRow, source: StorageBackend, target: StorageBackend, filename: str
) -> tuple[_MoveRow, str, str]:
    """The move, the key of the copy that is there now, and the hash of what was sent. Raises _Elsewhere."""
    while True:
        try:
            key = move.target_key or await _choose_name(db, move, target, filename)
            original = copying.CopiedOriginal(move.source_key, move.size, move.sha256, move.content_type)
            earlier = move.target_key is not None
            content_sha256 = await copying.copy(original, source, target, key, earlier=earlier, attempt=move.id.hex)
            if content_sha256 is not None:
                return move, key, content_sha256
        except NameRefused:
            if filename == _plain(move):
                raise
            filename = _plain(move)  # rather a name that tells nothing than no copy
        move = await _give_name_up(db, move)


def _plain(move: _MoveRow) -> str:
    """A name that every cloud takes."""
    return f"{move.document_id}{filenames.extension(move.filename)}"


async def _choose_name(db: TenantDatabase, move: _MoveRow, target: StorageBackend, filename: str) -> str:
    """A name at the target under which nothing lies, and that no other document of ours is about to have; committed."""
    for number in range(1, NAMES_TRIED):
        if move.to_connection is None:
            key = str(OriginalKey.new(db.owner_id, move.document_id, filenames.extension(filename)))
        else:
            topic = None if filename == _plain(move) else move.topic
            key = f"{cloud_names.folder_for(move.created_at, topic)}/{cloud_names.name_for(filename, number)}"
        if await target.look(key) is None and await _claim(db, move, key):
            return key
    raise StorageUnavailable(f"There are {NAMES_TRIED} files of this name there.")


async def _claim(db: TenantDatabase, move: _MoveRow, key: str) -> bool:
    """Whether the name is ours now. Raises _Elsewhere, also if another delivery of the same request has chosen a name meanwhile: what it
    writes under that is the copy."""
    keys = {"owner": db.owner_id, "document": move.document_id, "id": move.id, "key": key}
    try:
        async with db.transaction() as tx:
            if await places.living_at(tx, db.owner_id, move.to_connection, [key]):
                return False
            if not await tx.execute(
                """
                UPDATE document_moves SET target_key = %(key)s
                WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(id)s AND target_key IS NULL
                """,
                keys,
            ):
                raise _Elsewhere
    except psycopg.errors.UniqueViolation:
        return False  # another document on its way has it
    return True


async def _give_name_up(db: TenantDatabase, move: _MoveRow, *, leaving: FolderEntry | None = None) -> _MoveRow:
    """The move with no name chosen yet; `leaving`, which lies under the old one, is a leftover. Raises _Elsewhere."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE document_moves SET target_key = NULL WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": move.id}
        )
        if leaving is not None:
            await _leave(tx, db.owner_id, move.to_connection, leaving.key, leaving.size or 0)
    again = await _load(db, move.document_id, move.id)
    if again is None:
        raise _Elsewhere
    return again


async def _switch(
    db: TenantDatabase, move: _MoveRow, provider: CloudProvider | str, key: str, sha256: str, etag: str, started: datetime
) -> None:
    """The document is at its new place from this commit on. Raises _Elsewhere."""
    to_bucket = move.to_connection is None
    async with db.transaction() as tx:
        moved = await tx.execute(
            """
            UPDATE documents AS d
            SET storage_provider = %(provider)s, connection_id = %(connection)s, cloud_key = %(cloud_key)s, object_key = %(object_key)s,
                sha256 = %(sha256)s, etag = %(etag)s, updated_at = now()
            FROM document_moves AS m
            WHERE m.owner_id = %(owner)s AND m.document_id = %(document)s AND m.id = %(id)s AND m.target_key = %(key)s
                AND d.owner_id = m.owner_id AND d.id = m.document_id
                AND d.connection_id IS NOT DISTINCT FROM %(source)s AND coalesce(d.cloud_key, d.object_key) = %(source_key)s
            """,
            {
                "provider": provider,
                "connection": move.to_connection,
                "cloud_key": None if to_bucket else key,
                "object_key": key if to_bucket else move.object_key,
                "sha256": sha256,
                "etag": etag,
                "owner": db.owner_id,
                "document": move.document_id,
                "id": move.id,
                "key": key,
                "source": move.from_connection,
                "source_key": move.source_key,
            },
        )
        if not moved:
            raise _Elsewhere
        await _forget(tx, db.owner_id, move)
        await _leave(tx, db.owner_id, move.from_connection, move.source_key, move.size)
        await step_history.record(
            tx,
            owner_id=db.owner_id,
            document_id=move.document_id,
            revision=move.revision,
            step="move",
            state="done",
            started_at=started,
            detail=None,
        )
        lifecycle.wake_listeners(tx, db.owner_id)


async def _record_failure(db: TenantDatabase, move: _MoveRow, started: datetime, detail: str) -> None:
    async with db.transaction() as tx:
        if not await tx.fetch_value("SELECT true FROM documents WHERE id = %(id)s", {"id": move.document_id}):
            return
        await step_history.record(
            tx,
            owner_id=db.owner_id,
            document_id=move.document_id,
            revision=move.revision,
            step="move",
            state="failed",
            started_at=started,
            detail=detail,
        )


async def _leave(tx: Transaction, owner_id: UUID, connection_id: UUID | None, key: str, size: int) -> None:
    """Makes a copy a leftover, to be removed when nobody can be reading it any more."""
    await tx.execute(
        """
        INSERT INTO storage_leftovers (owner_id, connection_id, key, size, due_at)
        VALUES (%(owner)s, %(connection)s, %(key)s, %(size)s, now() + make_interval(secs => %(later)s))
        """,
        {"owner": owner_id, "connection": connection_id, "key": key, "size": size, "later": READERS_SECONDS},
    )


async def _forget(tx: Transaction, owner_id: UUID, move: _MoveRow) -> None:
    await tx.execute(
        "DELETE FROM document_moves WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(id)s",
        {"owner": owner_id, "document": move.document_id, "id": move.id},
    )
