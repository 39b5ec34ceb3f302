"""What an open stream tells of jobs: each that begins and each that ends, however many there were before."""

import asyncio
from uuid import UUID

from shared.db import Database, TenantDatabase
from shared.documents import bulk, changes, jobs, lifecycle
from shared.documents.change_models import BulkRequest
from shared.documents.models import DocumentFilter
from shared.ids import new_id
from tests.documents.test_changes import Told, _listening


async def ended(vault: TenantDatabase, count: int) -> list[UUID]:
    """Jobs that end just now."""
    ids = [new_id() for _ in range(count)]
    async with vault.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO jobs (id, owner_id, kind, request, state, total, finished_at)
            SELECT id, %(owner)s, 'bulk', '{}', 'done', 0, now() FROM unnest(%(ids)s::uuid[]) AS id
            """,
            {"owner": vault.owner_id, "ids": ids},
        )
        lifecycle.wake_listeners(tx, vault.owner_id)
    return ids


async def until(told: "asyncio.Queue[Told]", job_id: UUID, state: str) -> None:
    """What is told at once: what was lost would be told with the next comment only, or never."""
    async with asyncio.timeout(changes.COMMENT_SECONDS / 2):
        while True:
            event = await told.get()
            assert event.kind == "job"
            if (event.data["id"], event.data["state"]) == (str(job_id), state):
                return


async def test_a_job_is_told_after_a_hundred_others(vault: TenantDatabase) -> None:
    async with _listening(vault) as told:
        for count in (101, 1):
            await until(told, (await ended(vault, count))[-1], "done")
        job = await bulk.by_filter(vault, BulkRequest(action="trash", filter=DocumentFilter()))
        await until(told, job.id, "running")
        assert await bulk.run_slice(vault, job.id, 0)
        await until(told, job.id, "done")


async def test_what_ended_long_ago_is_looked_for_no_more(vault: TenantDatabase) -> None:
    news = changes._JobNews(vault)
    began = news._since
    news._looked_at -= changes.LATE
    await news.news()
    assert news._since == began, "nothing from before the stream"
    news._since -= 2 * changes.LATE
    news._looked = False
    await news.news()
    assert news._since == news._looked_at - changes.LATE


async def test_a_job_that_failed_because_its_delivery_is_dead_is_told(vault: TenantDatabase, db: Database) -> None:
    async with _listening(vault) as told:
        job = await bulk.by_filter(vault, BulkRequest(action="trash", filter=DocumentFilter()))
        await until(told, job.id, "running")
        async with db.system() as tx:
            await tx.execute(
                "UPDATE deliveries SET state = 'dead' WHERE event_id IN (SELECT id FROM events WHERE subject = %s)", (str(job.id),)
            )
            await tx.execute("UPDATE jobs SET updated_at = now() - interval '2 minutes' WHERE id = %s", (job.id,))
        await jobs.wake_standing()
        await until(told, job.id, "failed")
