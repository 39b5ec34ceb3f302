"""One broker: bucket notifications, the outbox and the clock, side by side. Several brokers may run at once."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from infra.broker.bucket_events import BucketEvents
from infra.broker.cancellation import end
from infra.broker.dispatcher import Dispatcher, QueueLimit
from infra.broker.heartbeat import keep_beating
from infra.broker.scheduler import Clock
from infra.broker.schema import until_migrated
from infra.broker.targets import Targets
from shared.audit.chain import keep_sealing
from shared.config import Settings
from shared.db import Database
from shared.db.listen import listen
from shared.events import DELIVERIES_CHANNEL
from shared.identity.bootstrap import see_to_admin
from shared.redis_client import redis_client
from shared.time_budgets import DELIVERY_SECONDS

log = logging.getLogger("docuvault.broker")

WRITE_RESULTS_SECONDS = 3.0


def queue_limits(settings: Settings) -> dict[str, QueueLimit]:
    """Slow OCR never delays a mail, nor a line of text: each queue has limits of its own.

    Owners have no shares in recognition: its slices are short, so taking turns is enough, and one who is alone gets all cores.
    """
    return {
        "documents": QueueLimit(settings.broker_documents_concurrency, DELIVERY_SECONDS["documents"], shared=True),
        "large": QueueLimit(settings.broker_large_concurrency, DELIVERY_SECONDS["large"], shared=True),
        "recognition": QueueLimit(settings.broker_recognition_concurrency, DELIVERY_SECONDS["recognition"]),
        "email": QueueLimit(settings.broker_email_concurrency, DELIVERY_SECONDS["email"], shared=True),
        "system": QueueLimit(settings.broker_system_concurrency, DELIVERY_SECONDS["system"]),
        # Nearly all of it is waiting for somebody else's machine; each owner's share of it is bounded (shared/assistant/tasks.py).
        "ai": QueueLimit(settings.broker_ai_concurrency, DELIVERY_SECONDS["ai"], shared=True),
    }


def new_broker_name() -> str:
    """Names this process's leases and in-flight list; never used again."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


async def run_broker(settings: Settings, stop: asyncio.Event, *, limits: Mapping[str, QueueLimit] | None = None) -> None:
    """Runs once the database has its schema until `stop` is set, then lets running deliveries finish and gives back the rest."""
    name = new_broker_name()
    database = Database(settings.database_url, pool_size=4)
    if not await until_migrated(database, stop):
        await database.close()
        return
    targets = Targets(settings.function_url_template, settings.worker_url, settings.secret_key, remote=settings.remote_functions)
    dispatcher = Dispatcher(database, targets, name, limits or queue_limits(settings))
    intake = [
        asyncio.create_task(BucketEvents(database, redis_client(), name, dispatcher.wake).run(), name="bucket events"),
        asyncio.create_task(Clock(database, lambda: dispatcher.wake()).run(), name="clock"),
        asyncio.create_task(listen(settings.database_url, DELIVERIES_CHANNEL, dispatcher.wake), name="listener"),
        asyncio.create_task(keep_sealing(database, stop), name="audit sealer"),
        asyncio.create_task(see_to_admin(database, settings, stop), name="first admin"),
    ]
    if settings.broker_heartbeat:
        intake.append(asyncio.create_task(keep_beating(database, Path(settings.broker_heartbeat)), name="heartbeat"))
    delivering = asyncio.create_task(dispatcher.run(), name="dispatcher")
    stopping = asyncio.create_task(stop.wait())
    log.info("broker runs", extra={"fields": {"broker": name, "functions": targets.url("*")}})
    try:
        # None of these ends by itself: if one does, it is a bug, and the supervisor starts a fresh process.
        done, _ = await asyncio.wait([stopping, delivering, *intake], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        # At once: leaving a Redis that is down takes a while, and nothing is to begin in it.
        draining = asyncio.create_task(dispatcher.drain())
        await end([*intake, stopping])
        await draining
        await asyncio.wait([delivering], timeout=WRITE_RESULTS_SECONDS)
        await end([delivering])
        await targets.close()
        await database.close()
        await redis_client().aclose()
