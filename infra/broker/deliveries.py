"""The deliveries table as brokers use it: claim, finish, extend, release. Every function runs in the caller's system transaction,
with SETTINGS.

A claim is a lease: `leased_by` says whose, `attempts` which try. What a broker writes about a delivery counts only while both still fit,
so a broker that outlived its lease changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from infra.broker.retries import MAX_ATTEMPTS
from shared.db import Transaction
from shared.time_budgets import LEASE_EXTENDED_EVERY_SECONDS, LEASE_SECONDS

SETTINGS = """
    SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off
"""
"""Of a broker's transaction (`Database.system`).

Commits are not waited for: at least once either way, what a crash of the server forgets is delivered again. And indexes are walked: the
planner's statistics are mostly of an idle moment, and by those it would rather read and sort all that an owner has waiting.
"""


@dataclass(frozen=True)
class DeliveryLease:
    """How long a claim holds, and how often it is extended while the function runs. A broker that died is noticed after `seconds`."""

    seconds: float = LEASE_SECONDS
    extend_every: float = LEASE_EXTENDED_EVERY_SECONDS


@dataclass(frozen=True)
class Delivery:
    """A claimed delivery: which function, which try, and the event."""

    id: UUID
    function: str
    queue: str
    attempt: int
    lane: UUID
    cost: int
    turn: int
    event_id: UUID
    type: str
    owner_id: UUID | None
    subject: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class DeliveryResult:
    """How a try ended. `delay` in seconds, for `waiting`; `counted` is False if the function was never reached."""

    delivery: Delivery
    state: Literal["done", "dead", "waiting", "ready"]
    error: str | None = None
    delay: float = 0.0
    counted: bool = True


@dataclass(frozen=True)
class Shares:
    """How many deliveries of one owner (one lane) may be claimed: `others`, or what `of` says of the lane."""

    others: int
    of: Mapping[UUID, int]


async def claim(
    tx: Transaction, broker: str, queue: str, limit: int, after: UUID, lease: DeliveryLease, shares: Shares | None = None
) -> list[Delivery]:
    """Up to `limit` ready deliveries of `queue`, leased to `broker`, spread evenly over the owners next in turn after `after`: of each
    the cheapest, no more than its share.

    Owners with ready deliveries are found by walking the index from one to the next, so the cost depends on `limit` alone (and on how many
    owners have no share left). Rows another broker is claiming are passed over.
    """
    shares = shares or Shares(limit, {})
    # Each odd expression leaves the planner one index: for `lane = … ORDER BY id` it may walk the primary key past all that is done,
    # for joins in place of the array and the second lateral subquery it may read whole tables.
    return await tx.fetch_all(
        """
        WITH RECURSIVE ahead AS (
            (
                SELECT lane, 1 AS turn FROM deliveries
                WHERE state = 'ready' AND queue = %(queue)s AND lane > %(after)s
                ORDER BY lane LIMIT 1
            )
            UNION ALL
            SELECT following.lane, ahead.turn + 1
            FROM ahead CROSS JOIN LATERAL (
                SELECT lane FROM deliveries
                WHERE state = 'ready' AND queue = %(queue)s AND lane > ahead.lane
                ORDER BY lane LIMIT 1
            ) AS following
            WHERE ahead.turn < %(owners)s
        ), behind AS (
            (
                SELECT lane, (SELECT count(*)::integer FROM ahead) + 1 AS turn FROM deliveries
                WHERE state = 'ready' AND queue = %(queue)s AND lane <= %(after)s AND (SELECT count(*) FROM ahead) < %(owners)s
                ORDER BY lane LIMIT 1
            )
            UNION ALL
            SELECT following.lane, behind.turn + 1
            FROM behind CROSS JOIN LATERAL (
                SELECT lane FROM deliveries
                WHERE state = 'ready' AND queue = %(queue)s AND lane > behind.lane AND lane <= %(after)s
                ORDER BY lane LIMIT 1
            ) AS following
            WHERE behind.turn < %(owners)s
        ), turns AS (
            SELECT walked.lane, walked.turn, coalesce(holder.share, %(others)s) AS share
            FROM (SELECT lane, turn FROM ahead UNION ALL SELECT lane, turn FROM behind) AS walked
            LEFT JOIN unnest(%(holders)s::uuid[], %(shares)s::integer[]) AS holder (lane, share) ON holder.lane = walked.lane
            WHERE coalesce(holder.share, %(others)s) > 0
        ), picked AS (
            SELECT candidate.id, turns.turn
            FROM turns CROSS JOIN LATERAL (
                SELECT id FROM deliveries
                WHERE state = 'ready' AND queue = %(queue)s AND lane BETWEEN turns.lane AND turns.lane
                ORDER BY lane, cost, id
                LIMIT least(turns.share, (SELECT ceil(%(limit)s::numeric / greatest(count(*), 1))::integer FROM turns AS each))
                FOR UPDATE SKIP LOCKED
            ) AS candidate
            LIMIT %(limit)s
        ), claimed AS (
            UPDATE deliveries
            SET state = 'running', attempts = attempts + 1, leased_by = %(broker)s, lease_until = now() + %(lease)s * interval '1 second',
                started_at = now()
            WHERE id = ANY (ARRAY(SELECT id FROM picked))
            RETURNING id, function, queue, attempts AS attempt, lane, cost, event_id
        )
        SELECT claimed.id, claimed.function, claimed.queue, claimed.attempt, claimed.lane, claimed.cost, picked.turn,
            event.id AS event_id, event.type, event.owner_id, event.subject, event.data, event.created_at
        FROM claimed
        JOIN picked ON picked.id = claimed.id
        CROSS JOIN LATERAL (
            SELECT id, type, owner_id, subject, data, created_at FROM events WHERE id = claimed.event_id OFFSET 0
        ) AS event
        """,
        {
            "queue": queue,
            "after": after,
            "limit": limit,
            "owners": limit + sum(share <= 0 for share in shares.of.values()),
            "others": shares.others,
            "holders": list(shares.of),
            "shares": list(shares.of.values()),
            "broker": broker,
            "lease": lease.seconds,
        },
        row=Delivery,
    )


async def finish(tx: Transaction, broker: str, results: Sequence[DeliveryResult]) -> int:
    """Writes how tries ended; how many of them still held their lease, the others are ignored."""
    return await tx.execute(
        """
        UPDATE deliveries
        SET state = result.state,
            attempts = deliveries.attempts - CASE WHEN result.counted THEN 0 ELSE 1 END,
            available_at = CASE WHEN result.state = 'waiting' THEN now() + result.delay * interval '1 second'
                ELSE deliveries.available_at END,
            last_error = coalesce(result.error, deliveries.last_error),
            finished_at = CASE WHEN result.state IN ('done', 'dead') THEN now() END,
            leased_by = NULL, lease_until = NULL
        FROM unnest(
            %(ids)s::uuid[], %(attempts)s::integer[], %(states)s::text[], %(errors)s::text[], %(delays)s::float8[], %(counted)s::boolean[]
        ) AS result (id, attempt, state, error, delay, counted)
        WHERE deliveries.id = result.id AND deliveries.state = 'running'
            AND deliveries.leased_by = %(broker)s AND deliveries.attempts = result.attempt
        """,
        {
            "broker": broker,
            "ids": [result.delivery.id for result in results],
            "attempts": [result.delivery.attempt for result in results],
            "states": [result.state for result in results],
            "errors": [result.error for result in results],
            "delays": [result.delay for result in results],
            "counted": [result.counted for result in results],
        },
    )


@dataclass(frozen=True)
class _Held:
    id: UUID


async def extend(tx: Transaction, broker: str, deliveries: Iterable[Delivery], lease: DeliveryLease) -> set[UUID]:
    """Extends the leases of `deliveries`; the ids of those that are still `broker`'s."""
    claimed = list(deliveries)
    held = await tx.fetch_all(
        """
        UPDATE deliveries SET lease_until = now() + %(lease)s * interval '1 second'
        FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[]) AS mine (id, attempt)
        WHERE deliveries.id = mine.id AND deliveries.state = 'running'
            AND deliveries.leased_by = %(broker)s AND deliveries.attempts = mine.attempt
        RETURNING deliveries.id
        """,
        {
            "broker": broker,
            "lease": lease.seconds,
            "ids": [delivery.id for delivery in claimed],
            "attempts": [delivery.attempt for delivery in claimed],
        },
        row=_Held,
    )
    return {row.id for row in held}


async def release_expired(tx: Transaction) -> int:
    """Makes deliveries ready again whose broker let the lease run out; one that has used up its attempts is dead. How many there were."""
    return await tx.execute(
        """
        UPDATE deliveries
        SET state = CASE WHEN attempts >= %(most)s THEN 'dead' ELSE 'ready' END,
            finished_at = CASE WHEN attempts >= %(most)s THEN now() END,
            last_error = 'the broker that ran it went away',
            leased_by = NULL, lease_until = NULL
        WHERE id = ANY (ARRAY(
            SELECT id FROM deliveries WHERE state = 'running' AND lease_until < now() ORDER BY lease_until LIMIT 1000 FOR UPDATE SKIP LOCKED
        ))
        """,
        {"most": MAX_ATTEMPTS},
    )


async def promote_waiting(tx: Transaction) -> int:
    """Makes deliveries ready whose time has come; how many."""
    return await tx.execute(
        """
        UPDATE deliveries SET state = 'ready'
        WHERE id = ANY (ARRAY(
            SELECT id FROM deliveries WHERE state = 'waiting' AND available_at <= now()
            ORDER BY available_at LIMIT 1000 FOR UPDATE SKIP LOCKED
        ))
        """
    )
