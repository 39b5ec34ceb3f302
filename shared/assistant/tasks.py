"""Documents that wait for a provider: who is next, how many at a time, how often.

The backlog stands in `ai_tasks`. A delivery of `ClassificationDue` takes tasks of its owner, one after the other for `TURN_SECONDS`, and
publishes the next one when it is done; one that finds as many running as the owner may have just ends. So however much waits and however
slow the owner's provider is, it holds no more than its few places of the queue. What was lost with a process is found again by `requeue`,
every minute.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.db import Database, Transaction
from shared.events import publish
from shared.events.catalogue import ClassificationDue

ATTEMPTS = 5
"""Calls that one request for a classification gets."""
ATTEMPTS_EVER = 20
"""Calls that a document gets, whatever asks for them, short of its owner by hand."""

PLACES = 4
"""The most that one owner has at once, whatever the provider."""

TURN_SECONDS = 5.0
"""For so long a function goes on with an owner's tasks before others have their turn: a delivery for each would cost a quick provider a
tenth of its time."""

LEASE_MARGIN_SECONDS = 60.0
FIRST_RETRY_SECONDS = 60.0
LONGEST_RETRY_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Task:
    """A document that a provider is to read."""

    document_id: UUID
    revision: int
    attempts: int
    by_owner: bool
    created_at: datetime


async def request(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int, *, by_owner: bool = False) -> None:
    """Puts a document in line, and wakes a function for it if the owner has a free place. For the revision that already waits nothing
    changes, unless by hand. `lock` comes before the document's row is locked."""
    await lock(tx, owner_id)
    before: int = await tx.fetch_value(
        """
        WITH requested AS (
            INSERT INTO ai_tasks AS t (document_id, owner_id, revision, state, by_owner)
            VALUES (%(document)s, %(owner)s, %(revision)s, 'waiting', %(by_owner)s)
            ON CONFLICT (document_id) DO UPDATE
            SET revision = excluded.revision, by_owner = excluded.by_owner, not_before = now(), attempts = 0, created_at = now(),
                attempts_ever = CASE WHEN excluded.by_owner THEN 0 ELSE t.attempts_ever END,
                state = CASE
                    WHEN t.state = 'running' AND t.lease_until > now() AND t.revision = excluded.revision THEN 'running' ELSE 'waiting'
                END
            WHERE excluded.by_owner OR t.revision <> excluded.revision
        )
        SELECT count(*) FROM (
            SELECT FROM ai_tasks
            WHERE owner_id = %(owner)s AND document_id <> %(document)s
                AND ((state = 'waiting' AND not_before <= now()) OR (state = 'running' AND lease_until > now()))
            LIMIT %(places)s
        ) AS busy
        """,
        {"document": document_id, "owner": owner_id, "revision": revision, "by_owner": by_owner, "places": PLACES},
    )
    # Each of so many tasks has its own function under way, which wakes the next one when it is done with it.
    if before < PLACES or by_owner:
        await wake(tx, owner_id)


async def park(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int) -> None:
    """Puts a document aside that no call can be made for, until the settings change."""
    await tx.execute(
        """
        INSERT INTO ai_tasks AS t (document_id, owner_id, revision, state)
        VALUES (%(document)s, %(owner)s, %(revision)s, 'gave_up')
        ON CONFLICT (document_id) DO UPDATE SET revision = excluded.revision, state = 'gave_up', attempts = 0
        """,
        {"document": document_id, "owner": owner_id, "revision": revision},
    )


async def wake(tx: Transaction, owner_id: UUID) -> None:
    """Wakes a function to take the owner's next task."""
    await publish(tx, ClassificationDue(owner_id=owner_id))


async def claim(tx: Transaction, owner_id: UUID, *, at_once: int, seconds: float) -> Task | None:
    """The owner's next task, leased for `seconds` and a little; None if nothing is due or `at_once` are running already."""
    await lock(tx, owner_id)
    return await tx.fetch_one(
        """
        UPDATE ai_tasks SET state = 'running', lease_until = now() + make_interval(secs => %(seconds)s)
        WHERE document_id = (
            SELECT document_id FROM ai_tasks
            WHERE owner_id = %(owner)s AND state = 'waiting' AND not_before <= now()
            ORDER BY by_owner DESC, not_before, document_id LIMIT 1
        ) AND owner_id = %(owner)s AND (
            SELECT count(*) FROM ai_tasks WHERE owner_id = %(owner)s AND state = 'running' AND lease_until > now()
        ) < %(at_once)s
        RETURNING document_id, revision, attempts, by_owner, created_at
        """,
        {"owner": owner_id, "at_once": at_once, "seconds": seconds + LEASE_MARGIN_SECONDS},
        row=Task,
    )


async def count_attempt(tx: Transaction, document_id: UUID) -> bool:
    """Counts a call for the document; False if it has had all of them. In the transaction that admits the call."""
    return bool(
        await tx.execute(
            """
            UPDATE ai_tasks SET attempts = attempts + 1, attempts_ever = attempts_ever + 1
            WHERE document_id = %(document)s AND attempts < %(attempts)s AND attempts_ever < %(ever)s
            """,
            {"document": document_id, "attempts": ATTEMPTS, "ever": ATTEMPTS_EVER},
        )
    )


async def finish(
    tx: Transaction, owner_id: UUID, task: Task, *, retry_in: float | None = None, gave_up: bool = False, wake_next: bool = True
) -> None:
    """The task is done, or waits for `retry_in` seconds, or is given up; and a function is woken for the owner's next one, unless the
    caller goes on to `claim` it in this transaction."""
    await lock(tx, owner_id)
    await tx.execute(
        """
        UPDATE ai_tasks SET lease_until = NULL,
            state = CASE WHEN %(retry_in)s::float8 IS NOT NULL THEN 'waiting' WHEN %(gave_up)s THEN 'gave_up' ELSE 'done' END,
            not_before = now() + make_interval(secs => coalesce(%(retry_in)s, 0))
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND revision = %(revision)s AND state = 'running'
        """,
        {"owner": owner_id, "document": task.document_id, "revision": task.revision, "retry_in": retry_in, "gave_up": gave_up},
    )
    if wake_next and await tx.fetch_value(
        "SELECT true FROM ai_tasks WHERE owner_id = %(owner)s AND state = 'waiting' AND not_before <= now() LIMIT 1", {"owner": owner_id}
    ):
        await wake(tx, owner_id)


async def postpone_all(tx: Transaction, owner_id: UUID, seconds: float) -> None:
    """Nothing of the owner's is worth trying before that: not each of a thousand tasks has to find out by itself."""
    await tx.execute(
        """
        UPDATE ai_tasks SET not_before = now() + make_interval(secs => %(seconds)s)
        WHERE owner_id = %(owner)s AND state = 'waiting' AND not_before < now() + make_interval(secs => %(seconds)s)
        """,
        {"owner": owner_id, "seconds": seconds},
    )


async def hasten(tx: Transaction, owner_id: UUID) -> None:
    """The settings changed: what waits, or was given up because nothing could be done about it, is tried again at once."""
    changed = await tx.execute(
        """
        UPDATE ai_tasks SET not_before = now(), state = 'waiting', attempts = 0
        WHERE owner_id = %(owner)s AND state IN ('waiting', 'gave_up') AND attempts_ever < %(ever)s
        """,
        {"owner": owner_id, "ever": ATTEMPTS_EVER},
    )
    for _ in range(min(changed, PLACES)):
        await wake(tx, owner_id)


async def hasten_all(tx: Transaction) -> None:
    """The system's settings changed: the same for everyone, as of the next minute. For system transactions."""
    await tx.execute(
        """
        UPDATE ai_tasks SET not_before = now(), state = 'waiting', attempts = 0
        WHERE state IN ('waiting', 'gave_up') AND attempts_ever < %(ever)s
        """,
        {"ever": ATTEMPTS_EVER},
    )


def retry_seconds(attempts: int) -> float:
    """How long to wait after so many attempts: a minute, four, sixteen, an hour, … at most six."""
    return float(min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 4.0 ** max(0, attempts - 1)))


@dataclass(frozen=True)
class _Due:
    owner_id: UUID


async def requeue(db: Database) -> int:
    """Makes tasks wait again whose process is gone, and wakes a function for every place that an owner with due tasks may have. How many
    owners there were."""
    async with db.system() as tx:
        await tx.execute("UPDATE ai_tasks SET state = 'waiting', lease_until = NULL WHERE state = 'running' AND lease_until < now()")
        due = await tx.fetch_all(
            "SELECT DISTINCT owner_id FROM ai_tasks WHERE state = 'waiting' AND not_before <= now() LIMIT 1000", row=_Due
        )
        for owner in due:
            for _ in range(PLACES):
                await wake(tx, owner.owner_id)
    return len(due)


async def created_at(tx: Transaction, owner_id: UUID, document_id: UUID, revision: int) -> datetime | None:
    """Since when this revision has been in line, or None."""
    found: datetime | None = await tx.fetch_value(
        "SELECT created_at FROM ai_tasks WHERE owner_id = %(owner)s AND document_id = %(document)s AND revision = %(revision)s",
        {"owner": owner_id, "document": document_id, "revision": revision},
    )
    return found


async def lock(tx: Transaction, owner_id: UUID) -> None:
    """One at a time for each owner: otherwise the last to finish and the first to find no place could miss one another."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('ai tasks ' || %(owner)s, 0))", {"owner": str(owner_id)})
