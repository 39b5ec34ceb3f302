"""Every minute: wakes whatever waits for an AI provider and is due, and ends calls whose process is gone."""

from shared.assistant import call_log, tasks
from shared.db import database
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("* * * * *", queue="system")
async def retry_classifications(tick: Tick) -> None:
    await call_log.end_lost(database())
    await tasks.requeue(database())
