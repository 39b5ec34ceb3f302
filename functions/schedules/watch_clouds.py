"""Every minute: announces the watched folders that are to be looked into."""

from shared.cloud import watching
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("* * * * *")
async def watch_clouds(tick: Tick) -> None:
    await watching.announce_due()
