"""What changed among an owner's documents, and how far their jobs have come, as server-sent events (HTML Living Standard, 9.2).

Changes are numbered per owner without gaps by the database (`document_changes`), in the transaction that made them. A stream that
resumes with `Last-Event-ID` gets what it missed; one that was away longer than KEPT gets `reset` and must list anew. Several changes of one
document since the last look are one event: the document as it is now.

Each process has one hub: one connection that LISTENs, and once a second one query for all connected owners in case a wake-up was lost.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg

from shared.clock import now
from shared.config import settings
from shared.db import TenantDatabase, Transaction, database
from shared.db.listen import listen
from shared.documents import jobs
from shared.documents.lifecycle import CHANGES_CHANNEL
from shared.documents.models import DOCUMENT_COLUMNS, Document
from shared.errors import Unavailable

log = logging.getLogger("docuvault.documents")

COMMENT_SECONDS = 15.0
JOBS_SECONDS = 1.0
"""How often the progress of jobs is told at most."""
LATE = timedelta(seconds=10)
"""How long after the time that it says a job's end may be seen: the transaction that ended it began before it was committed."""
POLL_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""How long changes gather after some were told: a hundred documents under way cost 50 looks a second, not one each."""
BATCH = 200
KEPT = timedelta(hours=24)

StillAllowed = Callable[[], Awaitable[bool]]


async def stream(db: TenantDatabase, *, last_event_id: str | None, ends_at: datetime, still_allowed: StillAllowed) -> AsyncIterator[bytes]:
    """The owner's changes as they happen, until `ends_at` or until `still_allowed`, asked before any is told and every 15 s, says no."""
    async with hub().subscribed(db.owner_id) as changed:
        position, reset = await _position(db, last_event_id)
        yield f"id: {position}\nevent: reset\ndata: {{}}\n\n".encode() if reset else b": connected\n\n"
        comment_at = now() + timedelta(seconds=COMMENT_SECONDS)
        progress = _JobNews(db)
        while True:
            changed.clear()
            again_at = comment_at
            try:
                reached, events, more = await _events_after(db, position)
                told, jobs_at = await progress.news()
                position, events = reached, events + told  # only now: what is read and not told would be lost
                again_at = min(again_at, jobs_at or again_at)
            except Unavailable:
                events, more = [], False
                again_at = now() + timedelta(seconds=POLL_SECONDS)  # what was told is not told again
            if events and not await still_allowed():
                return
            for event in events:
                yield event
            if events:
                await asyncio.sleep(GATHER_SECONDS)
            if not more:
                await _wait(changed, min(ends_at, comment_at, again_at))
            if now() >= ends_at:
                return
            if now() >= comment_at:
                if not await still_allowed():
                    return
                yield b": still here\n\n"
                comment_at = now() + timedelta(seconds=COMMENT_SECONDS)


async def prune(tx: Transaction) -> None:
    """Forgets changes older than KEPT."""
    while True:
        forgotten = await tx.execute(
            """
            DELETE FROM document_changes
            WHERE ctid = ANY (ARRAY(SELECT ctid FROM document_changes WHERE at < now() - %(kept)s LIMIT 10000 FOR UPDATE SKIP LOCKED))
            """,
            {"kept": KEPT},
        )
        if forgotten < 10000:
            return


@dataclass(frozen=True)
class _KnownChanges:
    newest: int
    oldest: int | None


async def _position(db: TenantDatabase, last_event_id: str | None) -> tuple[int, bool]:
    """After which change to go on, and whether what came before it cannot be told any more."""
    async with db.transaction() as tx:
        numbers = await tx.fetch_one(
            """
            SELECT change_seq AS newest,
                (SELECT min(seq) FROM document_changes WHERE document_changes.owner_id = account_usage.owner_id) AS oldest
            FROM account_usage WHERE owner_id = %(owner)s
            """,
            {"owner": db.owner_id},
            row=_KnownChanges,
        )
    if numbers is None or last_event_id is None:
        return (numbers.newest if numbers else 0), False
    if not last_event_id.isascii() or not last_event_id.isdecimal() or len(last_event_id) > 18:
        return numbers.newest, True
    last = int(last_event_id)
    known = last == numbers.newest or (last < numbers.newest and numbers.oldest is not None and last + 1 >= numbers.oldest)
    return (last, False) if known else (numbers.newest, True)


@dataclass(frozen=True)
class _NumberedChange:
    seq: int
    document_id: UUID
    removed: bool


async def _events_after(db: TenantDatabase, position: int) -> tuple[int, list[bytes], bool]:
    """The next position, the events up to it, and whether there may be more."""
    async with db.transaction() as tx:
        changes = await tx.fetch_all(
            """
            SELECT seq, document_id, removed FROM document_changes
            WHERE owner_id = %(owner)s AND seq > %(position)s
            ORDER BY seq LIMIT %(batch)s
            """,
            {"owner": db.owner_id, "position": position, "batch": BATCH},
            row=_NumberedChange,
        )
        if not changes:
            return position, [], False
        latest = {change.document_id: change for change in changes}
        documents = {
            document.id: document
            for document in await tx.fetch_all(
                f"SELECT {DOCUMENT_COLUMNS} FROM documents AS d WHERE d.owner_id = %(owner)s AND d.id = ANY(%(ids)s)",
                {"owner": db.owner_id, "ids": [change.document_id for change in latest.values() if not change.removed]},
                row=Document,
            )
        }
    events: list[bytes] = []
    for change in sorted(latest.values(), key=lambda each: each.seq):
        document = documents.get(change.document_id)
        if change.removed:
            events.append(f'id: {change.seq}\nevent: document_removed\ndata: {{"id":"{change.document_id}"}}\n\n'.encode())
        elif document is not None:  # else its removal is among the changes that follow
            events.append(f"id: {change.seq}\nevent: document\ndata: {document.model_dump_json()}\n\n".encode())
    return changes[-1].seq, events, len(changes) == BATCH


class _JobNews:
    """What has become of the owner's jobs since it was last told, at most once in JOBS_SECONDS.

    These events have no number, for a job can be asked for at any time; a stream begins with the jobs that are under way. A look finds a
    hundred jobs at most, the newest; one that was never seen under way is told if it is found within LATE of its end.
    """

    def __init__(self, db: TenantDatabase) -> None:
        self._db = db
        self._since = self._looked_at = now()
        """What ended before need not be looked for (any more)."""
        self._told: dict[UUID, tuple[str, int, int]] = {}
        self._looked = False

    async def news(self) -> tuple[list[bytes], datetime | None]:
        """The events, and when to ask again, if there may be more before anything else changes."""
        again_at = self._looked_at + timedelta(seconds=JOBS_SECONDS)
        if self._looked and now() < again_at:
            return [], again_at
        self._looked, self._looked_at = True, now()
        # What was told to be under way is followed to its end, however long its last transaction took to commit.
        watched = [job_id for job_id, (state, *_) in self._told.items() if state == "running"]
        found = await jobs.under_way_or_ended_since(self._db, self._since, watched)
        self._since = max(self._since, self._looked_at - LATE)
        told, self._told = self._told, {job.id: (job.state, job.done, len(job.failed)) for job in found}
        return [f"event: job\ndata: {job.model_dump_json()}\n\n".encode() for job in found if self._told[job.id] != told.get(job.id)], None


async def _wait(changed: asyncio.Event, until: datetime) -> None:
    try:
        async with asyncio.timeout(max(0.0, (until - now()).total_seconds())):
            await changed.wait()
    except TimeoutError:
        pass


class Hub:
    """Tells this process's open streams when their owner's documents may have changed. Runs only while there are any."""

    def __init__(self) -> None:
        self._streams: dict[UUID, set[asyncio.Event]] = {}
        self._seen: dict[UUID, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def subscribed(self, owner_id: UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever something may have changed."""
        changed = asyncio.Event()
        self._streams.setdefault(owner_id, set()).add(changed)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(listen(settings().database_url, CHANGES_CHANNEL, self._heard)),
                asyncio.create_task(self._poll()),
            ]
        try:
            yield changed
        finally:
            streams = self._streams[owner_id]
            streams.discard(changed)
            if not streams:
                del self._streams[owner_id]
                self._seen.pop(owner_id, None)
            if not self._streams:
                tasks, self._tasks = self._tasks, []
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self, owner_id: UUID) -> None:
        for changed in self._streams.get(owner_id, ()):
            changed.set()

    def _heard(self, payload: str) -> None:
        with suppress(ValueError):
            self._tell(UUID(payload))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                numbers = await self._numbers()
            except Unavailable:
                continue
            except psycopg.Error:
                log.exception("changes could not be polled")
                continue
            for number in numbers:
                if self._seen.get(number.owner_id, -1) != number.change_seq:
                    self._seen[number.owner_id] = number.change_seq
                    self._tell(number.owner_id)

    async def _numbers(self) -> "list[_Number]":
        async with database().system() as tx:
            return await tx.fetch_all(
                "SELECT owner_id, change_seq FROM account_usage WHERE owner_id = ANY(%(owners)s)",
                {"owners": list(self._streams)},
                row=_Number,
            )


@dataclass(frozen=True)
class _Number:
    owner_id: UUID
    change_seq: int


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """The running event loop's hub."""
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
