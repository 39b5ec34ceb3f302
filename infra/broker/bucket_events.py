"""From the Redis list to PostgreSQL: bucket notifications become events.

An entry moves by BLMOVE into this broker's in-flight list, is written as an event in PostgreSQL (once, by bucket, key and sequencer) and
only then leaves the in-flight list. What a broker that died left in flight goes back on the list once its heartbeat has run out. Redis
down: tried again, and the reconciler finds what was lost. PostgreSQL down: the entry stays in flight until it is back. Garbage is kept
aside in `bucket_event_rejects` and never blocks.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

import psycopg
import psycopg.errors
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.broker.cancellation import end, last_act
from infra.broker.notification_format import Unintelligible, parse
from infra.notification_list import LIST
from shared.db import Database, Transaction
from shared.errors import Unavailable
from shared.events import publish
from shared.events.catalogue import BucketNotification
from shared.events.subscriptions import SUBSCRIPTIONS, Subscription
from shared.storage.object_keys import is_internal

log = logging.getLogger("docuvault.broker")

BROKERS = "docuvault:brokers"
BATCH = 100
WAIT_SECONDS = 1.0
"""How long one BLMOVE waits; must be shorter than the client's time-out."""
HEARTBEAT_SECONDS = 2.0
HEARTBEAT_EXPIRY_SECONDS = 8
RECOVER_SECONDS = 5.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.1, 2.0
_KEPT_PAYLOAD = 64 * 2**10
_POISONED = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, ValueError)
"""What PostgreSQL or its driver says of an entry that cannot be written, however often one tries."""


def in_flight_list(broker: str) -> str:
    """What `broker` has taken and not yet written."""
    return f"{LIST}:in-flight:{broker}"


def heartbeat_key(broker: str) -> str:
    """Exists while `broker` lives."""
    return f"docuvault:broker:{broker}"


class BucketEvents:
    """Takes notifications until cancelled; `published` is called with each queue that a batch had events for."""

    def __init__(self, database: Database, redis: Redis, broker: str, published: Callable[[str], None]) -> None:
        self._database = database
        self._redis = redis
        self._broker = broker
        self._published = published
        self._in_flight = in_flight_list(broker)
        self._lists_unknown = True
        """Whether the in-flight list may hold more than the batch at hand: after an error a reply may have been lost."""

    async def run(self) -> None:
        """Runs until cancelled; what is then in flight goes back on the list."""
        beating = asyncio.create_task(self._beat())
        try:
            await self._take_all()
        finally:
            await last_act(self._leave(beating))

    async def _take_all(self) -> None:
        backoff = _FIRST_BACKOFF
        idle_waits = 0
        while True:
            try:
                batch = await self._take()
                if batch:
                    await self._write(batch)
                    await self._drop(batch)
                    idle_waits = 0
                else:
                    # Now and then look for an entry whose move was carried out though its reply was lost.
                    idle_waits += 1
                    self._lists_unknown = idle_waits % 10 == 0
                backoff = _FIRST_BACKOFF
            except (RedisError, OSError) as lost:
                if backoff == _FIRST_BACKOFF:
                    log.warning("bucket events wait for Redis", extra={"fields": {"reason": str(lost)}})
                self._lists_unknown = True
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)

    async def _take(self) -> list[bytes]:
        if self._lists_unknown:
            await self._show_life()
            left = await self._redis.lrange(self._in_flight, 0, BATCH - 1)
            if len(left) < BATCH:
                self._lists_unknown = False
            if left:
                return _bytes(left)
        first = await self._redis.blmove(LIST, self._in_flight, WAIT_SECONDS, "LEFT", "RIGHT")  # type: ignore[arg-type]
        if first is None:
            return []
        batch = _bytes([first])
        more = min(await self._redis.llen(LIST), BATCH - 1)
        if more:
            pipeline = self._redis.pipeline(transaction=False)
            for _ in range(more):
                pipeline.lmove(LIST, self._in_flight, "LEFT", "RIGHT")
            batch += [entry for entry in await pipeline.execute() if entry is not None]
        return batch

    async def _drop(self, batch: list[bytes]) -> None:
        # By value: whatever else happened to the list meanwhile, only what is written is dropped.
        pipeline = self._redis.pipeline(transaction=False)
        for entry in batch:
            pipeline.lrem(self._in_flight, 1, entry)  # type: ignore[arg-type]
        pipeline.llen(self._in_flight)
        left = (await pipeline.execute())[-1]
        # The client repeats what got no answer: then the first answer's entries are in flight and in no batch.
        self._lists_unknown = self._lists_unknown or left > 0

    async def _write(self, batch: list[bytes]) -> None:
        """Writes the batch, however long PostgreSQL is away."""
        backoff = _FIRST_BACKOFF
        while True:
            try:
                await self._write_together(batch)
                return
            except (Unavailable, psycopg.Error) as lost:
                if backoff == _FIRST_BACKOFF:
                    log.warning("bucket events wait for the database", extra={"fields": {"reason": str(lost)}})
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)

    async def _write_together(self, batch: list[bytes]) -> None:
        queues: set[str] = set()
        try:
            queues = await write_notifications(self._database, batch)
        except _POISONED as poisoned:
            if len(batch) > 1:
                log.warning("a batch of bucket events is written one by one", extra={"fields": {"reason": type(poisoned).__name__}})
                for entry in batch:
                    await self._write_together([entry])
                return
            async with self._database.system() as tx:
                await _keep_aside(tx, batch[0], f"could not be written: {type(poisoned).__name__}")
        for queue in queues:
            self._published(queue)

    async def _beat(self) -> None:
        recover_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._show_life()
                if loop.time() >= recover_at:
                    await self._recover_dead()
                    recover_at = loop.time() + RECOVER_SECONDS
            except (RedisError, OSError):
                pass  # the taking side says so
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _show_life(self) -> None:
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.set(heartbeat_key(self._broker), "1", ex=HEARTBEAT_EXPIRY_SECONDS)
        pipeline.sadd(BROKERS, self._broker)
        await pipeline.execute()

    async def _recover_dead(self) -> None:
        for name in await self._redis.smembers(BROKERS):
            broker = _bytes([name])[0].decode()
            if broker != self._broker and not await self._redis.exists(heartbeat_key(broker)):
                moved = await self._give_back(in_flight_list(broker))
                await self._redis.srem(BROKERS, broker)
                log.warning("took over from a broker that died", extra={"fields": {"broker": broker, "entries": moved}})

    async def _give_back(self, in_flight: str) -> int:
        """Moves entries back to the front of the list, each atomically; two brokers may do it at once."""
        moved = 0
        while await self._redis.lmove(in_flight, LIST, "RIGHT", "LEFT") is not None:
            moved += 1
        return moved

    async def _leave(self, beating: asyncio.Task[None]) -> None:
        await end([beating])
        try:
            await self._give_back(self._in_flight)
            await self._redis.delete(heartbeat_key(self._broker))
            await self._redis.srem(BROKERS, self._broker)
        except (RedisError, OSError):
            pass  # another broker finds it once the heartbeat has run out


async def write_notifications(database: Database, batch: list[bytes]) -> set[str]:
    """Writes list entries as events with their deliveries, or keeps them aside, all in one transaction; the queues of the deliveries.

    Raises Unavailable."""
    events: dict[str, tuple[BucketNotification, tuple[Subscription, ...]]] = {}
    rejects: list[tuple[bytes, str]] = []
    for entry in batch:
        try:
            notifications = parse(entry)
        except Unintelligible as garbage:
            rejects.append((entry, str(garbage)))
            continue
        for notification in notifications:
            subscribed = subscriptions_for(notification.type)
            if subscribed and not is_internal(notification.key):
                events[notification.dedup_key] = notification, subscribed
    if not events and not rejects:
        return set()
    async with database.system() as tx:
        # In one order everywhere, so that two brokers with the same entries wait for one another instead of deadlocking.
        for _, (notification, subscribed) in sorted(events.items(), key=lambda event: event[0]):
            await publish(tx, notification, subscriptions={notification.type: subscribed})
        for entry, reason in rejects:
            await _keep_aside(tx, entry, reason)
    return {subscription.queue for _, subscribed in events.values() for subscription in subscribed}


def subscriptions_for(event_name: str) -> tuple[Subscription, ...]:
    """The functions whose declared pattern (`s3:ObjectCreated:*`) fits the event's name."""
    return tuple(
        subscription
        for pattern, subscribed in SUBSCRIPTIONS.items()
        if pattern.startswith("s3:") and fnmatchcase(event_name, pattern)
        for subscription in subscribed
    )


def _bytes(entries: Iterable[bytes | str]) -> list[bytes]:
    """The client is one that does not decode; its types do not say so."""
    return [entry if isinstance(entry, bytes) else entry.encode() for entry in entries]


async def _keep_aside(tx: Transaction, entry: bytes, reason: str) -> None:
    payload = entry[:_KEPT_PAYLOAD].decode("utf-8", "replace").replace("\x00", "\ufffd")
    clean_reason = reason.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")[:500]
    log.warning("a bucket event was kept aside", extra={"fields": {"reason": clean_reason, "bytes": len(entry)}})
    await tx.execute(
        "INSERT INTO bucket_event_rejects (payload, reason) VALUES (%(payload)s, %(reason)s)",
        {"payload": payload, "reason": clean_reason},
    )
