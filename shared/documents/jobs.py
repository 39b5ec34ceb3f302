"""Long work of an owner's, done in slices: `run_job` does one, and publishes the next in the transaction that keeps what it did.

How far a job has come stands in its row, so a worker that dies in the middle costs a slice's last batch, never a document twice, and what
stood still is woken by the reconciler. A job is bounded: an owner has a few under way at once, and the documents that it could not do are
told by id up to FAILED_TOLD.

A job whose pieces are done by events of their own (a file each, of import and export) counts them as they end, by `count`; its slices find
the pieces, and those that nobody will end any more.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.api import cursors
from shared.api.models import Page, PageQuery
from shared.db import TenantDatabase, Transaction, database
from shared.documents import lifecycle
from shared.documents.change_models import FailedItem, Job, JobKind
from shared.errors import InvalidCursor, NotFound, RateLimited
from shared.events import publish
from shared.events.catalogue import JobDue
from shared.ids import new_id

AT_ONCE = 5
"""Jobs an owner may have under way, of imports and exports FILES_AT_ONCE: most of those are of a file or two."""
FILES_AT_ONCE = 50
_OF_FILES = ("import", "export")
FAILED_TOLD = 1_000
QUIET_SECONDS = 60
"""How long a job may stand still before it is woken."""
KEPT_DAYS = 30
COST = 40
"""What a slice counts as among the owner's deliveries: documents that arrive come first."""


_COLUMNS = "id, kind, state, total, done, failed, created_at, finished_at"
_ENDS = "state = 'running' AND total IS NOT NULL AND done + %(done)s + failed_count + %(failures)s >= total"


async def create(
    tx: Transaction, owner_id: UUID, kind: JobKind, request: Mapping[str, Any], *, total: int | None = None, position: Any = None
) -> Job:
    """A job, its first slice announced. Raises RateLimited if the owner has AT_ONCE (or FILES_AT_ONCE) under way."""
    # One at a time for an owner: of two requests at once the second sees the first one's job.
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('jobs ' || %(owner)s::text, 0))", {"owner": owner_id})
    most = FILES_AT_ONCE if kind in _OF_FILES else AT_ONCE
    running: int = await tx.fetch_value(
        """
        SELECT count(*) FROM jobs
        WHERE owner_id = %(owner)s AND state = 'running' AND (kind = ANY (%(of_files)s)) = %(like_these)s
        """,
        {"owner": owner_id, "of_files": list(_OF_FILES), "like_these": kind in _OF_FILES},
    )
    if running >= most:
        raise RateLimited(30, f"{most} jobs are under way already; wait for one of them to end, or cancel it.")
    job = await tx.fetch_one(
        f"""
        INSERT INTO jobs (id, owner_id, kind, request, total, position)
        VALUES (%(id)s, %(owner)s, %(kind)s, %(request)s, %(total)s, %(position)s)
        RETURNING {_COLUMNS}
        """,
        {
            "id": new_id(),
            "owner": owner_id,
            "kind": kind,
            "request": Jsonb(dict(request)),
            "total": total,
            "position": None if position is None else Jsonb(position),
        },
        row=Job,
    )
    assert job is not None
    lifecycle.wake_listeners(tx, owner_id)
    await publish(tx, JobDue(owner_id=owner_id, job_id=job.id, slices=0), cost=COST)
    return job


async def get(db: TenantDatabase, job_id: UUID) -> Job:
    """One of the owner's jobs. Raises NotFound."""
    async with db.transaction() as tx:
        job = await tx.fetch_one(
            f"SELECT {_COLUMNS} FROM jobs WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": job_id}, row=Job
        )
    if job is None:
        raise NotFound
    return job


async def list_page(db: TenantDatabase, query: PageQuery) -> Page[Job]:
    """The owner's jobs of the last KEPT_DAYS, newest first. Raises InvalidCursor."""
    binding = {"list": "jobs", "owner": str(db.owner_id)}
    before = UUID(int=2**128 - 1)
    if query.cursor is not None:
        values = cursors.decode(query.cursor, binding)
        if len(values) != 1:
            raise InvalidCursor
        before = UUID(values[0])
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            f"SELECT {_COLUMNS} FROM jobs WHERE owner_id = %(owner)s AND id < %(before)s ORDER BY id DESC LIMIT %(limit)s",
            {"owner": db.owner_id, "before": before, "limit": query.limit + 1},
            row=Job,
        )
    items = found[: query.limit]
    more = len(found) > query.limit
    return Page[Job](items=items, next_cursor=cursors.encode([str(items[-1].id)], binding) if more else None)


async def cancel(db: TenantDatabase, job_id: UUID) -> Job:
    """Ends a job after what it is just doing; what it has done stays done. One that has ended stays as it is. Raises NotFound."""
    async with db.transaction() as tx:
        await tx.execute(
            """
            UPDATE jobs SET state = 'cancelled', updated_at = now(), finished_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running'
            """,
            {"owner": db.owner_id, "id": job_id},
        )
        lifecycle.wake_listeners(tx, db.owner_id)
    return await get(db, job_id)


@dataclass(frozen=True)
class JobWork:
    """A job under way, as the module of its kind goes on with it."""

    id: UUID
    kind: JobKind
    request: dict[str, Any]
    position: Any
    slices: int
    total: int | None


@dataclass
class BatchOutcome:
    """What a batch came to: how many were done and which failed; `position` from which to go on, None at the end."""

    done: int = 0
    failed: list[FailedItem] = field(default_factory=list)
    position: Any = None


async def lock(tx: Transaction, owner_id: UUID, job_id: UUID) -> JobWork | None:
    """The job as far as it has come, locked until the transaction ends; None if it is not under way (any more)."""
    return await tx.fetch_one(
        """
        SELECT id, kind, request, position, slices, total FROM jobs
        WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running' FOR NO KEY UPDATE
        """,
        {"owner": owner_id, "id": job_id},
        row=JobWork,
    )


async def set_total(tx: Transaction, owner_id: UUID, job_id: UUID, total: int) -> None:
    """Says of how many."""
    await tx.execute(
        "UPDATE jobs SET total = %(total)s WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": owner_id, "id": job_id, "total": total}
    )


async def advance(tx: Transaction, owner_id: UUID, job_id: UUID, outcome: BatchOutcome) -> None:
    """Keeps what a batch came to; without a position the job is done."""
    await tx.execute(
        f"""
        UPDATE jobs
        SET done = done + %(done)s, failed_count = failed_count + %(failures)s, position = %(position)s, updated_at = now(),
            failed = CASE WHEN jsonb_array_length(failed) < {FAILED_TOLD} THEN failed || %(failed)s ELSE failed END,
            state = CASE WHEN %(ended)s THEN 'done' ELSE state END,
            finished_at = CASE WHEN %(ended)s THEN now() END,
            total = CASE WHEN %(ended)s THEN done + %(done)s + failed_count + %(failures)s ELSE total END
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {
            "owner": owner_id,
            "id": job_id,
            "done": outcome.done,
            "failures": len(outcome.failed),
            "failed": Jsonb([item.model_dump(mode="json") for item in outcome.failed[:FAILED_TOLD]]),
            "position": None if outcome.position is None else Jsonb(outcome.position),
            "ended": outcome.position is None,
        },
    )
    lifecycle.wake_listeners(tx, owner_id)


async def count(tx: Transaction, owner_id: UUID, job_id: UUID, *, done: int = 0, failed: Sequence[FailedItem] = ()) -> None:
    """Pieces of a job have come to their end; the job is done once its total is known and reached."""
    await tx.execute(
        f"""
        UPDATE jobs
        SET done = done + %(done)s, failed_count = failed_count + %(failures)s, updated_at = now(),
            failed = CASE WHEN jsonb_array_length(failed) < {FAILED_TOLD} THEN failed || %(failed)s ELSE failed END,
            state = CASE WHEN {_ENDS} THEN 'done' ELSE state END,
            finished_at = CASE WHEN {_ENDS} THEN now() ELSE finished_at END,
            total = CASE WHEN {_ENDS} THEN done + %(done)s + failed_count + %(failures)s ELSE total END
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {
            "owner": owner_id,
            "id": job_id,
            "done": done,
            "failures": len(failed),
            "failed": Jsonb([item.model_dump(mode="json") for item in failed[:FAILED_TOLD]]),
        },
    )
    lifecycle.wake_listeners(tx, owner_id)


async def set_unfinished(tx: Transaction, owner_id: UUID, job_id: UUID, unfinished: int) -> None:
    """Says how many pieces are still to end; those that went away without being counted count no more, and the job may be done.

    Lock the job before counting them: then none of them ends in between.
    """
    await tx.execute(
        "UPDATE jobs SET total = done + failed_count + %(unfinished)s WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running'",
        {"owner": owner_id, "id": job_id, "unfinished": unfinished},
    )
    await count(tx, owner_id, job_id)


async def keep_position(tx: Transaction, owner_id: UUID, work: JobWork, position: Any) -> bool:
    """Says how far the job has come; False, without effect, if it is not where `work` says any more, or not under way."""
    return bool(
        await tx.execute(
            """
            UPDATE jobs SET position = %(position)s, updated_at = now()
            WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running' AND slices = %(slices)s AND position = %(before)s
            """,
            {
                "owner": owner_id,
                "id": work.id,
                "slices": work.slices,
                "before": Jsonb(work.position),
                "position": Jsonb(position),
            },
        )
    )


async def running(tx: Transaction, owner_id: UUID, job_id: UUID) -> bool:
    """Whether the job is still under way."""
    return bool(
        await tx.fetch_value(
            "SELECT true FROM jobs WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running'", {"owner": owner_id, "id": job_id}
        )
    )


async def kind_of(db: TenantDatabase, job_id: UUID) -> JobKind | None:
    """What a job does; None if there is no such job."""
    async with db.transaction() as tx:
        kind: JobKind | None = await tx.fetch_value(
            "SELECT kind FROM jobs WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": job_id}
        )
    return kind


async def go_on(tx: Transaction, owner_id: UUID, work: JobWork) -> None:
    """Announces the slice after `work`'s."""
    await tx.execute(
        "UPDATE jobs SET slices = %(slices)s, updated_at = now() WHERE owner_id = %(owner)s AND id = %(id)s",
        {"owner": owner_id, "id": work.id, "slices": work.slices + 1},
    )
    await publish(tx, JobDue(owner_id=owner_id, job_id=work.id, slices=work.slices + 1), cost=COST)


async def fail(db: TenantDatabase, job_id: UUID) -> None:
    """Ends a job that cannot go on."""
    async with db.transaction() as tx:
        await _fail(tx, db.owner_id, job_id)


async def _fail(tx: Transaction, owner_id: UUID, job_id: UUID) -> None:
    await tx.execute(
        """
        UPDATE jobs SET state = 'failed', updated_at = now(), finished_at = now()
        WHERE owner_id = %(owner)s AND id = %(id)s AND state = 'running'
        """,
        {"owner": owner_id, "id": job_id},
    )
    lifecycle.wake_listeners(tx, owner_id)


async def under_way_or_ended_since(db: TenantDatabase, since: datetime, watched: Collection[UUID] = ()) -> list[Job]:
    """The owner's jobs that are under way, have ended since then, or are `watched`: the newest hundred, newest first."""
    async with db.transaction() as tx:
        return await tx.fetch_all(
            f"""
            SELECT {_COLUMNS} FROM jobs
            WHERE owner_id = %(owner)s AND (state = 'running' OR finished_at > %(since)s OR id = ANY (%(watched)s))
            ORDER BY id DESC LIMIT 100
            """,
            {"owner": db.owner_id, "since": since, "watched": list(watched)},
            row=Job,
        )


@dataclass(frozen=True)
class _StandingJob:
    id: UUID
    owner_id: UUID
    slices: int
    dead: bool


async def wake_standing() -> None:
    """Looks after jobs that stood still: one whose delivery was lost is announced again, one whose delivery is dead has failed.

    A job whose delivery is on its way only waits its turn, and keeps no other from being looked after.
    """
    async with database().system() as tx:
        standing = await tx.fetch_all(
            """
            SELECT id, owner_id, slices, 'dead' = ANY (states) AS dead
            FROM jobs, LATERAL (
                SELECT coalesce(array_agg(deliveries.state), '{}') AS states
                FROM events JOIN deliveries ON deliveries.event_id = events.id
                WHERE events.dedup_key = %(type)s || '/' || jobs.id || '/' || jobs.slices
            ) AS delivered
            WHERE state = 'running' AND updated_at < now() - make_interval(secs => %(quiet)s)
                AND NOT states && ARRAY['ready', 'waiting', 'running']
            ORDER BY updated_at LIMIT 100 FOR NO KEY UPDATE OF jobs SKIP LOCKED
            """,
            {"type": JobDue.TYPE, "quiet": QUIET_SECONDS},
            row=_StandingJob,
        )
        for job in standing:
            if job.dead:
                await _fail(tx, job.owner_id, job.id)
                continue
            due = JobDue(owner_id=job.owner_id, job_id=job.id, slices=job.slices)
            await tx.execute("DELETE FROM events WHERE dedup_key = %(key)s", {"key": due.dedup_key})
            await tx.execute("UPDATE jobs SET updated_at = now() WHERE id = %(id)s", {"id": job.id})
            await publish(tx, due, cost=COST)


async def prune() -> None:
    """Forgets jobs that ended KEPT_DAYS ago, of everyone."""
    async with database().system() as tx:
        await tx.execute("DELETE FROM jobs WHERE finished_at < now() - make_interval(days => %(days)s)", {"days": KEPT_DAYS})


def failures(code: str, ids: Sequence[UUID]) -> list[FailedItem]:
    """All of these failed for one reason."""
    return [FailedItem(id=one, code=code) for one in ids]
