"""Delivering: claims what is ready, calls functions, writes down how it went.

One coroutine, the pump, does all the talking to PostgreSQL, a transaction a turn: results, leases, what became ready, new claims. While a
transaction is under way results and free places gather for the next one, and for GATHER_SECONDS after it began unless a slot would stand
empty, so that a busy broker writes in batches and an idle one acts at once. Functions run as tasks, at most so many a queue.

In queues of which owners have shares, an owner takes one more slot only while more slots are free than it holds already (the dynamic
thresholds of Choudhury and Hahne, 1998, for switches with a shared memory): alone it gets half of them, two get a third each. An eighth of
the slots is kept for owners that have not used them much lately, so that somebody who comes new finds one however many others are at
work. Each broker looks at its own slots only.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from infra.broker import deliveries
from infra.broker.cancellation import end
from infra.broker.deliveries import Delivery, DeliveryLease, DeliveryResult, Shares
from infra.broker.retries import retry_delay
from infra.broker.targets import DeliveryOutcome, DeliveryRefused, Done, Failed, Targets, Unreached
from shared.db import Database
from shared.errors import Unavailable
from shared.time_budgets import DRAIN_SECONDS

log = logging.getLogger("docuvault.broker")

POLL_SECONDS = 1.0
PROBE_SECONDS = 0.25
GATHER_SECONDS = 0.02
"""From one transaction to the next, if nobody waits for that: a fifth of what is claimed ahead."""
AHEAD_SECONDS = 0.1
"""Claimed ahead is what can be run in this time: nothing for slow functions, so that claims stay fair and brokers share the work."""
AHEAD_AT_MOST = 100
HEAVY_SECONDS = 2.0
"""An owner that has used slots for so long lately is no newcomer; what it used counts half after HEAVY_HALF_LIFE_SECONDS."""
HEAVY_HALF_LIFE_SECONDS = 30.0
_FORGOTTEN_SECONDS = 0.05
_NO_LANE = UUID(int=0)


@dataclass(frozen=True)
class QueueLimit:
    """How many deliveries of a queue run at once in one broker, how many seconds each may take, and whether owners have shares of it."""

    concurrency: int
    seconds: float
    shared: bool = False


@dataclass
class _DeliveryQueue:
    name: str
    limit: QueueLimit
    after: UUID = _NO_LANE
    waiting: deque[Delivery] = field(default_factory=deque)
    running: Counter[UUID] = field(default_factory=Counter)
    """By owner; deliveries without one count as one owner's."""
    maybe_more: bool = True
    held_back: bool = False
    """Whether owners may have more that their share did not let them claim."""
    used: dict[UUID, float] = field(default_factory=dict)
    """Seconds of slots that owners have used lately."""
    average_seconds: float = 1.0
    started_at: float = 0.0

    @property
    def free(self) -> int:
        return self.limit.concurrency - self.running.total()

    @property
    def ahead(self) -> int:
        """How many deliveries may be held beside those that run. None if nothing has begun for a while: what runs is slow."""
        seconds = max(self.average_seconds, time.monotonic() - self.started_at)
        return min(AHEAD_AT_MOST, int(self.limit.concurrency * AHEAD_SECONDS / max(seconds, 1e-4)))

    @property
    def room(self) -> int:
        """How many deliveries to claim now; 0 until it is worth a statement."""
        ahead = self.ahead
        # What waits for its owner's share keeps nobody else from being claimed.
        waiting = sum(not self._full(delivery.lane) for delivery in self.waiting) if self.free else len(self.waiting)
        room = self.free + ahead - waiting
        return room if room > ahead // 2 else 0

    @property
    def starves(self) -> bool:
        """Whether a slot stands empty that something may be ready for, and nothing is claimed."""
        return self.maybe_more and self.free > 0 and not self.waiting

    @property
    def shares(self) -> Shares:
        """How many more of each owner may be held: half of what is free, for one who holds nothing.

        Ahead, an owner's share is refilled once half of it is used up, so that it is worth a statement."""
        if not self.limit.shared:
            return Shares(self.limit.concurrency + AHEAD_AT_MOST, {})
        ahead = math.ceil(self.ahead / 2)
        held = Counter(delivery.lane for delivery in self.waiting)
        of = {}
        for lane in self.running.keys() | held.keys() | self.used.keys():
            if lane != _NO_LANE:
                free = self._free_for(lane)
                most = max(0, math.ceil((free - self.running[lane]) / 2)) + (ahead if free > 0 or self.running[lane] else 0)
                of[lane] = most - held[lane] if held[lane] <= most // 2 else 0
        return Shares(math.ceil(self.free / 2) + ahead, of)

    def next(self) -> Delivery | None:
        """Takes out the first that may run now."""
        if self.free > 0:
            for place, delivery in enumerate(self.waiting):
                if not self._full(delivery.lane):
                    del self.waiting[place]
                    return delivery
        return None

    def excess(self) -> list[Delivery]:
        """Takes out what was claimed ahead when deliveries were quicker than they are now: it keeps others from being claimed."""
        found = []
        while len(self.waiting) > self.ahead + self.free:
            found.append(self.waiting.pop())
        return found

    def began(self, delivery: Delivery) -> None:
        self.running[delivery.lane] += 1
        self.started_at = time.monotonic()

    def ended(self, delivery: Delivery, seconds: float) -> None:
        self.running[delivery.lane] -= 1
        if not self.running[delivery.lane]:
            del self.running[delivery.lane]
        self.average_seconds += 0.1 * (seconds - self.average_seconds)
        if self.limit.shared and delivery.lane != _NO_LANE:
            self.used[delivery.lane] = self.used.get(delivery.lane, 0.0) + seconds
        if self.held_back and (not self.running[delivery.lane] or any(share > 0 for share in self.shares.of.values())):
            self.maybe_more = True

    def forget(self, seconds: float) -> None:
        """So much time has gone by since it was called last."""
        remains = 0.5 ** (seconds / HEAVY_HALF_LIFE_SECONDS)
        self.used = {lane: used * remains for lane, used in self.used.items() if used * remains > _FORGOTTEN_SECONDS}

    def _free_for(self, lane: UUID) -> int:
        reserved = self.limit.concurrency // 8 if self.used.get(lane, 0.0) > HEAVY_SECONDS else 0
        return self.free - reserved

    def _full(self, lane: UUID) -> bool:
        """Whether the owner holds as many slots as are free for it. Deliveries without an owner (schedules) are nobody's share."""
        return self.limit.shared and lane != _NO_LANE and self.running[lane] >= self._free_for(lane)


class Dispatcher:
    """Delivers until `drain()`. `wake()` tells it that something became ready."""

    def __init__(
        self, database: Database, targets: Targets, broker: str, limits: Mapping[str, QueueLimit], *, lease: DeliveryLease | None = None
    ) -> None:
        self._database = database
        self._targets = targets
        self._broker = broker
        self._lease = lease or DeliveryLease()
        self._queues = {name: _DeliveryQueue(name, limit) for name, limit in limits.items()}
        self._tasks: dict[UUID, tuple[Delivery, asyncio.Task[None]]] = {}
        self._results: list[DeliveryResult] = []
        self._work = asyncio.Event()
        self._draining = False
        self._unreachable = False
        self._probe: asyncio.Task[None] | None = None
        self._extend_at = 0.0
        self._poll_at = 0.0
        self._retry_at = math.inf
        self._forgot_at = time.monotonic()
        self._turn_at = -math.inf

    def wake(self, queue: str = "") -> None:
        """Something may be ready in `queue` (any, if it is empty): look at once."""
        for each in self._queues.values():
            each.maybe_more = each.maybe_more or queue in ("", each.name)
        self._work.set()

    async def run(self) -> None:
        """Delivers; returns after `drain()` once nothing runs any more."""
        while not (self._draining and not self._tasks and not self._results):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(self._poll_at, self._retry_at) - time.monotonic())):
                    await self._work.wait()
            self._work.clear()
            await self._gather()
            try:
                await self._turn()
            except (Unavailable, psycopg.Error) as lost:
                log.warning("deliveries wait for the database", extra={"fields": {"reason": str(lost)}})
                await asyncio.sleep(PROBE_SECONDS)
                self.wake()

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Claims no more, gives back what was not begun, waits for what runs. After `seconds` the rest is left to its lease."""
        self._draining = True
        self._put_back()
        running = [task for _, task in self._tasks.values()]
        if running:
            _, late = await asyncio.wait(running, timeout=seconds)
            await end(late)
        if self._probe is not None:
            await end([self._probe])
        self._work.set()

    async def _gather(self) -> None:
        """Returns when the next transaction is due."""
        while not (self._draining or any(queue.starves for queue in self._queues.values())):
            left = self._turn_at + GATHER_SECONDS - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._work.wait()
            self._work.clear()

    async def _turn(self) -> None:
        """One transaction, if there is anything to do."""
        moment = time.monotonic()
        held = [delivery for delivery, _ in self._tasks.values()] + [
            delivery for queue in self._queues.values() for delivery in queue.waiting
        ]
        extending = bool(held) and moment >= self._extend_at
        polling = moment >= min(self._poll_at, self._retry_at)
        if polling:
            for queue in self._queues.values():
                queue.forget(moment - self._forgot_at)
            self._forgot_at = moment
            self._results += [
                DeliveryResult(delivery, "ready", counted=False) for queue in self._queues.values() for delivery in queue.excess()
            ]
        results, self._results = self._results, []
        claiming = (
            []
            if self._draining or self._unreachable
            else [queue for queue in self._queues.values() if (queue.maybe_more or polling) and queue.room]
        )
        if not (results or extending or polling or claiming):
            return
        self._turn_at = moment
        still_held: set[UUID] = set()
        claimed: list[tuple[_DeliveryQueue, list[Delivery]]] = []
        for queue in claiming:
            queue.maybe_more = False
        try:
            async with self._database.system(deliveries.SETTINGS) as tx:
                if results:
                    await deliveries.finish(tx, self._broker, results)
                if extending:
                    still_held = await deliveries.extend(tx, self._broker, held, self._lease)
                if polling:
                    await deliveries.release_expired(tx)
                    await deliveries.promote_waiting(tx)
                for queue in claiming:
                    room, shares = max(1, queue.room), queue.shares
                    found = await deliveries.claim(tx, self._broker, queue.name, room, queue.after, self._lease, shares)
                    queue.held_back = not found and any(share <= 0 for share in shares.of.values())
                    claimed.append((queue, found))
        except BaseException:
            self._results = results + self._results
            raise
        if extending:
            self._extend_at = moment + self._lease.extend_every
            self._give_up([delivery for delivery in held if delivery.id not in still_held])
        if polling:
            self._poll_at, self._retry_at = moment + POLL_SECONDS, math.inf
        for queue, found in claimed:
            if found:
                queue.after = max(found, key=lambda delivery: delivery.turn).lane
                queue.waiting.extend(_in_turns(found))
                # Uneven owners give fewer than asked for though there are more; only nothing means nothing.
                queue.maybe_more = True
                if not held:
                    self._extend_at = moment + self._lease.extend_every
            self._start(queue)
            if queue.maybe_more and queue.room:
                self._work.set()
        if self._draining or self._unreachable:
            self._put_back()

    def _put_back(self) -> None:
        """Makes ready again what is claimed and not begun."""
        for queue in self._queues.values():
            self._results += [DeliveryResult(delivery, "ready", counted=False) for delivery in queue.waiting]
            queue.waiting.clear()
        self._work.set()

    def _start(self, queue: _DeliveryQueue) -> None:
        while not (self._draining or self._unreachable) and (delivery := queue.next()) is not None:
            queue.began(delivery)
            self._tasks[delivery.id] = (delivery, asyncio.create_task(self._deliver(queue, delivery)))

    async def _deliver(self, queue: _DeliveryQueue, delivery: Delivery) -> None:
        started = time.monotonic()
        outcome: DeliveryOutcome | None = None
        try:
            outcome = await self._targets.call(delivery, queue.limit.seconds)
        except Exception as bug:
            log.exception("a delivery could not be sent", extra={"fields": {"delivery": str(delivery.id)}})
            outcome = Failed(f"{type(bug).__name__}: {bug}")
        finally:
            queue.ended(delivery, time.monotonic() - started)
            if self._tasks.get(delivery.id, (None,))[0] is delivery:
                del self._tasks[delivery.id]
                if outcome is not None:
                    self._results.append(self._result(delivery, outcome))
            self._start(queue)
            self._work.set()

    def _result(self, delivery: Delivery, outcome: DeliveryOutcome) -> DeliveryResult:
        fields = {"delivery": str(delivery.id), "function": delivery.function, "attempt": delivery.attempt}
        match outcome:
            case Done():
                return DeliveryResult(delivery, "done")
            case DeliveryRefused(reason):
                log.warning("delivery rejected, it is a dead letter", extra={"fields": {**fields, "reason": reason}})
                return DeliveryResult(delivery, "dead", _storable(reason))
            case Unreached(reason) if self._targets.shared:
                self._pause(reason)
                return DeliveryResult(delivery, "ready", _storable(reason), counted=False)
            case Unreached(reason) | Failed(reason):
                delay = retry_delay(delivery.attempt)
                if delay is None:
                    log.error("delivery given up, it is a dead letter", extra={"fields": {**fields, "reason": reason}})
                    return DeliveryResult(delivery, "dead", _storable(reason))
                log.warning(
                    "delivery failed, it is tried again", extra={"fields": {**fields, "seconds": round(delay, 1), "reason": reason}}
                )
                self._retry_at = min(self._retry_at, time.monotonic() + delay + 0.02)
                return DeliveryResult(delivery, "waiting", _storable(reason), delay=delay)

    def _give_up(self, lost: list[Delivery]) -> None:
        """Forgets deliveries whose lease is gone: someone else runs them now."""
        gone = {delivery.id: delivery for delivery in lost}
        for queue in self._queues.values():
            queue.waiting = deque(delivery for delivery in queue.waiting if gone.get(delivery.id) is not delivery)
        for delivery in lost:
            running = self._tasks.get(delivery.id)
            if running is not None and running[0] is delivery:
                log.warning(
                    "lease lost, the result is ignored", extra={"fields": {"delivery": str(delivery.id), "function": delivery.function}}
                )
                del self._tasks[delivery.id]
                running[1].cancel()

    def _pause(self, reason: str) -> None:
        """All functions live behind one address that takes no events just now: claim nothing until it does."""
        if self._unreachable or self._draining:
            return
        self._unreachable = True
        log.warning("functions cannot be reached, deliveries wait", extra={"fields": {"reason": reason}})
        self._put_back()
        self._probe = asyncio.create_task(self._until_reachable())

    async def _until_reachable(self) -> None:
        while True:
            if await self._targets.reachable():
                break
            await asyncio.sleep(PROBE_SECONDS)
        self._unreachable = False
        log.info("functions can be reached again")
        self.wake()


def _in_turns(found: list[Delivery]) -> list[Delivery]:
    """One of each owner, then the second of each, and so on."""
    seen: dict[UUID, int] = {}
    ranked = []
    for delivery in sorted(found, key=lambda delivery: (delivery.cost, delivery.id)):
        rank = seen[delivery.lane] = seen.get(delivery.lane, 0) + 1
        ranked.append((rank, delivery.turn, delivery))
    return [delivery for _, _, delivery in sorted(ranked, key=lambda entry: entry[:2])]


def _storable(text: str) -> str:
    """PostgreSQL's text holds neither NUL nor lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")[:2000]
