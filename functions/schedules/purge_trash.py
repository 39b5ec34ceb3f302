"""Every night: removes for good what has been in the trash for thirty days."""

from shared.documents import purging
from shared.faas import Event, on_schedule


@on_schedule("30 2 * * *", queue="system")
async def purge_trash(event: Event) -> None:
    await purging.purge_expired()
