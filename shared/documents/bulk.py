"""One action on many documents: by their ids at once, or by a filter as a job that goes on by itself.

Each document is done or has a reason of its own why it was not; an action that has nothing to do for one is done. Batches are transactions
of their own; a batch that the database refuses is tried again document by document, so that one of them costs itself alone.

A job takes the documents that were there when it was asked for, and fit the filter when it comes to them, oldest first. A query's words
choose as a list does that is sorted otherwise than by relevance: documents with all of them.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from shared import audit
from shared.audit import AuditAction, Caller
from shared.db import TenantDatabase, Transaction
from shared.documents import jobs, library, lifecycle, listing, purging, query_filters, reprocessing, topics
from shared.documents.change_models import Action, BulkRequest, BulkResult, FailedItem, Job
from shared.documents.jobs import BatchOutcome, JobWork
from shared.documents.listing import Filters
from shared.documents.models import DocumentFilter
from shared.errors import DomainError, NotFound
from shared.ids import new_id
from shared.search import query as search_query

log = logging.getLogger("docuvault.documents")


BATCH = 100
"""Documents a transaction: a few hundred milliseconds at most, so that nobody waits long for one of them."""
SLICE_SECONDS = 5.0
"""How long a slice of a job begins further batches: then others have their turn."""


@dataclass(frozen=True)
class _BulkOrder:
    """What is to be done to each document, and by whom."""

    action: Action
    topic_ids: list[UUID]
    caller: Caller | None
    job: UUID | None = None

    @property
    def detail(self) -> dict[str, str]:
        return {} if self.job is None else {"job": str(self.job)}


@dataclass
class _BulkOutcome:
    done: set[UUID] = field(default_factory=set)
    failed: list[FailedItem] = field(default_factory=list)

    def add(self, other: "_BulkOutcome") -> None:
        self.done |= other.done
        self.failed += other.failed


async def by_ids(db: TenantDatabase, request: BulkRequest, *, caller: Caller | None = None) -> BulkResult:
    """Does it at once. Raises NotFound if a topic is not the owner's."""
    order = _BulkOrder(request.action, request.topic_ids, caller)
    async with db.transaction() as tx:
        await topics.refuse_strange(tx, db.owner_id, order.topic_ids)
    ids = list(dict.fromkeys(request.ids or ()))
    result = _BulkOutcome()
    for start in range(0, len(ids), BATCH):
        result.add(await _one_by_one_if_refused(db, order, ids[start : start + BATCH]))
    failed = {item.id: item for item in result.failed}
    return BulkResult(done=[one for one in ids if one in result.done], failed=[failed[one] for one in ids if one in failed])


async def by_filter(db: TenantDatabase, request: BulkRequest, *, caller: Caller | None = None) -> Job:
    """Begins a job. Raises NotFound if a topic is not the owner's, ValidationFailed for a query that makes no sense, RateLimited."""
    assert request.filter is not None
    await meaning_of(db, request.filter)
    wanted: dict[str, Any] = {
        "action": request.action,
        "topic_ids": [str(topic) for topic in request.topic_ids],
        "filter": request.filter.model_dump(mode="json"),
        "except": [str(one) for one in request.but],
        "newest": str(new_id()),
        "api_token": None if caller is None or caller.api_token is None else str(caller.api_token),
    }
    async with db.transaction() as tx:
        await topics.refuse_strange(tx, db.owner_id, request.topic_ids)
        return await jobs.create(tx, db.owner_id, "reprocess" if request.action == "reprocess" else "bulk", wanted)


async def empty_trash(db: TenantDatabase, *, caller: Caller | None = None) -> None:
    """Removes for good what is in the trash now: a few documents at once, more as a job. Raises RateLimited."""
    async with db.transaction() as tx:
        some = await _in_trash(tx, db.owner_id, BATCH + 1)
        if len(some) <= BATCH:
            await purging.purge_trashed(tx, db.owner_id, some, caller=caller)
            return
    await by_filter(db, BulkRequest(action="purge", filter=DocumentFilter(trashed=True)), caller=caller)


async def _in_trash(tx: Transaction, owner_id: UUID, most: int) -> list[UUID]:
    found: list[UUID] = await tx.fetch_value(
        """
        SELECT coalesce(array_agg(id), '{}') FROM (
            SELECT id FROM documents WHERE owner_id = %(owner)s AND trashed_at IS NOT NULL ORDER BY id LIMIT %(most)s
        ) AS first
        """,
        {"owner": owner_id, "most": most},
    )
    return found


async def run_slice(db: TenantDatabase, job_id: UUID, slices: int) -> bool:
    """Goes on with a job for SLICE_SECONDS; False, without effect, if that slice is not what comes next (any more)."""
    ends = time.monotonic() + SLICE_SECONDS
    went_on = False
    while True:
        async with db.transaction() as tx:
            work = await jobs.lock(tx, db.owner_id, job_id)
            if work is None or work.slices != slices:
                return went_on
            if work.total is None and (total := await _count(tx, db.owner_id, work)) is not None:
                await jobs.set_total(tx, db.owner_id, job_id, total)
        try:
            batch = await _next_batch(db, work)
        except DomainError as gone:
            # A topic that its query names was deleted meanwhile.
            log.info("a job's filter no longer makes sense", extra={"fields": {"job": str(job_id), "reason": gone.code}})
            await jobs.fail(db, job_id)
            return True
        last = batch.position is None or time.monotonic() > ends
        if not await _do_batch(db, work, batch, goes_on_later=last and batch.position is not None):
            return went_on
        went_on = True
        if last:
            return True


@dataclass(frozen=True)
class _JobBatch:
    """The documents that come next; `position` is where those after them begin, None if there are none."""

    ids: list[UUID]
    position: Any


async def _next_batch(db: TenantDatabase, work: JobWork) -> _JobBatch:
    chosen = DocumentFilter.model_validate(work.request["filter"])
    query, filters = await meaning_of(db, chosen)
    but, newest = set(work.request["except"]), work.request["newest"]
    if query is not None:
        found = await listing.find(db, query, chosen.q or "", filters, "created_at", BATCH, work.position)
        ids = [hit.row.id for hit in found.hits if str(hit.row.id) not in but and str(hit.row.id) <= newest]
        return _JobBatch(ids, found.next_cursor)
    async with db.transaction() as tx:
        ids = await tx.fetch_value(
            f"""
            SELECT coalesce(array_agg(id ORDER BY id), '{{}}') FROM (
                SELECT d.id FROM documents AS d
                WHERE {" AND ".join(listing.conditions_of(filters))}
                    AND d.id > %(after)s AND d.id <= %(newest)s AND NOT d.id = ANY (%(but)s::uuid[])
                ORDER BY d.id LIMIT {BATCH}
            ) AS next
            """,
            filters.parameters() | {"owner": db.owner_id, "after": work.position or str(UUID(int=0)), "newest": newest, "but": list(but)},
        )
    return _JobBatch(ids, str(ids[-1]) if len(ids) == BATCH else None)


async def _count(tx: Transaction, owner_id: UUID, work: JobWork) -> int | None:
    """Of how many documents the job is; None if only doing it tells."""
    chosen = DocumentFilter.model_validate(work.request["filter"])
    if chosen.q is not None and chosen.q.strip():
        return None
    counted: int = await tx.fetch_value(
        f"""
        SELECT count(*) FROM documents AS d
        WHERE {" AND ".join(listing.conditions_of(Filters.of(chosen)))} AND d.id <= %(newest)s AND NOT d.id = ANY (%(but)s::uuid[])
        """,
        Filters.of(chosen).parameters() | {"owner": owner_id, "newest": work.request["newest"], "but": work.request["except"]},
    )
    return counted


async def meaning_of(db: TenantDatabase, chosen: DocumentFilter) -> tuple[search_query.Query | None, Filters]:
    """What a filter means: a query if it has words, and the filters, those in the query among them. Raises ValidationFailed."""
    text = chosen.q or ""
    query = search_query.parse(text)
    filters = await query_filters.narrowed(db, Filters.of(chosen), query.filters)
    return (query if text.strip() and (query.groups or not query.filters) else None), filters


async def _do_batch(db: TenantDatabase, work: JobWork, batch: _JobBatch, *, goes_on_later: bool) -> bool:
    """False, without effect, if the job has moved meanwhile."""
    token = work.request["api_token"]
    order = _BulkOrder(
        action=work.request["action"],
        topic_ids=[UUID(topic) for topic in work.request["topic_ids"]],
        caller=Caller(db.owner_id, "", "", None if token is None else UUID(token)),
        job=work.id,
    )
    given_up = await _give_up_uploads(db, order, batch.ids)
    rest = [one for one in batch.ids if one not in given_up]
    try:
        async with db.transaction() as tx:
            if not await _is_still_there(tx, db.owner_id, work):
                return False
            result = await _apply(tx, db.owner_id, order, rest)
            await _keep(tx, db.owner_id, work, batch, given_up, result, goes_on_later=goes_on_later)
    except psycopg.Error as refused:
        log.warning("a batch is done one by one", extra={"fields": {"job": str(work.id), "reason": type(refused).__name__}})
        result = await _one_by_one(db, order, rest)
        async with db.transaction() as tx:
            if not await _is_still_there(tx, db.owner_id, work):
                return False
            await _keep(tx, db.owner_id, work, batch, given_up, result, goes_on_later=goes_on_later)
    return True


async def _is_still_there(tx: Transaction, owner_id: UUID, work: JobWork) -> bool:
    present = await jobs.lock(tx, owner_id, work.id)
    return present is not None and (present.slices, present.position) == (work.slices, work.position)


async def _keep(
    tx: Transaction, owner_id: UUID, work: JobWork, batch: _JobBatch, given_up: set[UUID], result: _BulkOutcome, *, goes_on_later: bool
) -> None:
    await jobs.advance(tx, owner_id, work.id, BatchOutcome(len(result.done) + len(given_up), result.failed, batch.position))
    if goes_on_later:
        await jobs.go_on(tx, owner_id, work)


async def _one_by_one_if_refused(db: TenantDatabase, order: _BulkOrder, ids: Sequence[UUID]) -> _BulkOutcome:
    given_up = await _give_up_uploads(db, order, ids)
    rest = [one for one in ids if one not in given_up]
    try:
        async with db.transaction() as tx:
            result = await _apply(tx, db.owner_id, order, rest)
    except psycopg.Error as refused:
        log.warning("a batch is done one by one", extra={"fields": {"reason": type(refused).__name__}})
        result = await _one_by_one(db, order, rest)
    result.done |= given_up
    return result


async def _one_by_one(db: TenantDatabase, order: _BulkOrder, ids: Sequence[UUID]) -> _BulkOutcome:
    result = _BulkOutcome()
    for one in ids:
        try:
            async with db.transaction() as tx:
                result.add(await _apply(tx, db.owner_id, order, [one]))
        except psycopg.Error:
            log.exception("a document could not be done", extra={"fields": {"document": str(one), "action": order.action}})
            result.failed.append(FailedItem(id=one, code="internal_error"))
    return result


async def _give_up_uploads(db: TenantDatabase, order: _BulkOrder, ids: Sequence[UUID]) -> set[UUID]:
    """Trashing what is still uploading gives it up, which asks the object store: each by itself."""
    if order.action != "trash":
        return set()
    async with db.transaction() as tx:
        uploading: list[UUID] = await tx.fetch_value(
            """
            SELECT coalesce(array_agg(id), '{}') FROM documents
            WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) AND status = 'uploading'
            """,
            {"owner": db.owner_id, "ids": list(ids)},
        )
    given_up = set()
    for one in uploading:
        try:
            await library.trash(db, one, caller=order.caller)
        except NotFound:
            continue
        given_up.add(one)
    return given_up


async def _apply(tx: Transaction, owner_id: UUID, order: _BulkOrder, ids: Sequence[UUID]) -> _BulkOutcome:
    """The action on a batch, in one transaction."""
    present: list[UUID] = await tx.fetch_value(
        f"""
        SELECT coalesce(array_agg(id ORDER BY id), '{{}}') FROM (
            SELECT id FROM documents WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) ORDER BY id
            {"" if order.action == "purge" else "FOR NO KEY UPDATE"}
        ) AS locked
        """,
        {"owner": owner_id, "ids": list(ids)},
    )
    result = _BulkOutcome(failed=jobs.failures(NotFound.code, [one for one in ids if one not in set(present)]))
    if not present:
        return result
    match order.action:
        case "trash" | "restore":
            result.add(await _move_to_trash_or_back(tx, owner_id, order, present))
        case "purge":
            purged = await purging.purge_trashed(tx, owner_id, present, caller=order.caller, job=order.job)
            result.done |= set(purged)
            result.failed += jobs.failures(purging.NotInTrash.code, [one for one in present if one not in result.done])
        case "add_topics" | "remove_topics":
            await _file_or_unfile(tx, owner_id, order, present)
            result.done |= set(present)
        case "reprocess":
            outcome = await reprocessing.reprocess_some(tx, owner_id, present, caller=order.caller, job=order.job)
            result.done |= set(outcome.under_way)
            result.failed += jobs.failures(library.UploadIncomplete.code, outcome.not_stored)
            result.failed += jobs.failures(lifecycle.OBJECT_MISMATCH, outcome.refused)
    return result


async def _move_to_trash_or_back(tx: Transaction, owner_id: UUID, order: _BulkOrder, ids: Sequence[UUID]) -> _BulkOutcome:
    trash = order.action == "trash"
    changed: list[UUID] = await tx.fetch_value(
        f"""
        WITH changed AS (
            UPDATE documents SET trashed_at = {"now()" if trash else "NULL"}, updated_at = now()
            WHERE owner_id = %(owner)s AND id = ANY (%(ids)s) AND status <> 'uploading' AND trashed_at IS {"" if trash else "NOT"} NULL
            RETURNING id
        )
        SELECT coalesce(array_agg(id), '{{}}') FROM changed
        """,
        {"owner": owner_id, "ids": list(ids)},
    )
    if changed:
        action = AuditAction.DOCUMENT_TRASHED if trash else AuditAction.DOCUMENT_RESTORED
        await audit.record_calls(tx, owner_id, order.caller, action, targets=changed, detail=order.detail)
        lifecycle.wake_listeners(tx, owner_id)
    return _BulkOutcome(done=set(ids))


async def _file_or_unfile(tx: Transaction, owner_id: UUID, order: _BulkOrder, ids: Sequence[UUID]) -> None:
    topic_ids: list[UUID] = await tx.fetch_value(
        "SELECT coalesce(array_agg(id), '{}') FROM topics WHERE owner_id = %(owner)s AND id = ANY (%(topics)s)",
        {"owner": owner_id, "topics": order.topic_ids},
    )  # a job's may have been deleted since it began
    await tx.execute(
        "UPDATE documents SET updated_at = now() WHERE owner_id = %(owner)s AND id = ANY (%(ids)s)", {"owner": owner_id, "ids": list(ids)}
    )
    await topics.lock(tx, owner_id, topic_ids)
    if order.action == "add_topics":
        await topics.file_all(tx, owner_id=owner_id, document_ids=ids, topic_ids=topic_ids)
    else:
        await topics.unfile_all(tx, owner_id=owner_id, document_ids=ids, topic_ids=topic_ids)
    detail = {"changed": ["topics"], **order.detail}
    await audit.record_calls(tx, owner_id, order.caller, AuditAction.DOCUMENT_UPDATED, targets=ids, detail=detail)
    lifecycle.wake_listeners(tx, owner_id)
