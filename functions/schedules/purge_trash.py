"""Every night: removes for good what has been in the trash for thirty days."""

from shared.documents import purging
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("30 2 * * *", queue="system")
async def purge_trash(tick: Tick) -> None:
    await purging.purge_expired()
