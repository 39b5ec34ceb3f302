"""Every hour: removes expired sessions and tokens, forgotten failures, mails and deliveries long done, responses kept for a day."""

from shared.db import database
from shared.documents import jobs
from shared.events import pruning as event_pruning
from shared.events.catalogue import Tick
from shared.faas import idempotency, on_schedule
from shared.identity import pruning as identity_pruning


@on_schedule("0 * * * *", queue="system")
async def prune_expired(tick: Tick) -> None:
    await identity_pruning.prune(database())
    await event_pruning.prune(database())
    await idempotency.prune(database())
    await jobs.prune()
