"""What is due in the clouds of all owners: leftovers to remove, moves that nothing carries out any more, connections to check.

Runs every five minutes and stops taking more after a while; any number of runs may go on side by side.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from shared.cloud import connections, leftovers, moves
from shared.db import TenantDatabase, database
from shared.errors import DomainError, NotFound
from shared.events.catalogue import MoveRequested
from shared.storage import StorageUnavailable

log = logging.getLogger("docuvault.cloud")

OWNERS_AT_ONCE = 4
BATCH = 100
TIME_LIMIT_SECONDS = 45.0
CHECKED_EVERY_HOURS = 24
STRANDED_AFTER_MINUTES = 60
"""When a move that no delivery carries out is announced again: its delivery has become a dead letter, or its connection was broken."""


@dataclass(frozen=True)
class _DueMove:
    owner_id: UUID
    document_id: UUID
    move_id: UUID


@dataclass(frozen=True)
class _DueConnection:
    owner_id: UUID
    id: UUID


async def run() -> None:
    """Does what is due. What a cloud does not let us do is tried again at a later run."""
    ends = time.monotonic() + TIME_LIMIT_SECONDS
    await _each(await _owners_with_leftovers(), _remove_leftovers, ends)
    await _announce_stranded()
    await _each(await _connections_to_check(), _check, ends)


async def _owners_with_leftovers() -> list[tuple[UUID, UUID]]:
    async with database().system() as tx:
        owners: list[UUID] = await tx.fetch_value(
            """
            SELECT coalesce(array_agg(DISTINCT owner_id), '{}')
            FROM (SELECT owner_id FROM storage_leftovers WHERE due_at <= now() LIMIT 10000) AS due
            """
        )
    return [(owner, owner) for owner in owners]


async def _remove_leftovers(db: TenantDatabase, _: UUID) -> None:
    await leftovers.remove_due(db, most=BATCH)


async def _announce_stranded() -> None:
    async with database().system() as tx:
        stranded = await tx.fetch_all(
            """
            UPDATE document_moves AS m SET created_at = now(), id = gen_random_uuid()
            WHERE m.document_id = ANY (ARRAY(
                SELECT waiting.document_id FROM document_moves AS waiting
                LEFT JOIN cloud_connections AS target ON target.id = waiting.to_connection
                WHERE waiting.created_at < now() - make_interval(mins => %(minutes)s) AND coalesce(target.state, 'ok') = 'ok'
                    AND NOT EXISTS (
                        SELECT FROM events JOIN deliveries ON deliveries.event_id = events.id
                        WHERE events.dedup_key = %(event)s || '/' || waiting.id AND deliveries.state IN ('ready', 'waiting', 'running')
                    )
                ORDER BY waiting.created_at LIMIT %(batch)s FOR UPDATE OF waiting SKIP LOCKED
            ))
            RETURNING m.owner_id, m.document_id, m.id AS move_id
            """,
            {"minutes": STRANDED_AFTER_MINUTES, "event": MoveRequested.TYPE, "batch": BATCH},
            row=_DueMove,
        )
        for move in stranded:
            await moves.announce(tx, move.owner_id, move.document_id, move.move_id)


async def _connections_to_check() -> list[tuple[UUID, UUID]]:
    async with database().system() as tx:
        due = await tx.fetch_all(
            """
            UPDATE cloud_connections SET checked_at = now()
            WHERE id = ANY (ARRAY(
                SELECT id FROM cloud_connections WHERE checked_at < now() - make_interval(hours => %(hours)s)
                ORDER BY checked_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
            ))
            RETURNING owner_id, id
            """,
            {"hours": CHECKED_EVERY_HOURS, "batch": BATCH},
            row=_DueConnection,
        )
    return [(connection.owner_id, connection.id) for connection in due]


async def _check(db: TenantDatabase, connection_id: UUID) -> None:
    await connections.check(db, connection_id)


async def _each(due: list[tuple[UUID, UUID]], work: Callable[[TenantDatabase, UUID], Awaitable[None]], ends: float) -> None:
    slots = asyncio.Semaphore(OWNERS_AT_ONCE)

    async def one(owner_id: UUID, subject: UUID) -> None:
        async with slots:
            if time.monotonic() > ends:
                return
            try:
                await work(TenantDatabase(database(), owner_id), subject)
            except (StorageUnavailable, NotFound) as failed:
                log.info("a cloud was not looked after", extra={"fields": {"reason": failed.code}})
            except DomainError:
                log.exception("a cloud was not looked after")

    await asyncio.gather(*(one(owner_id, subject) for owner_id, subject in due))
