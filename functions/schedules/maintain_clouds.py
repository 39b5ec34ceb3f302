"""Every five minutes: removes what moves have left behind, takes up moves that stand still, checks each connection once a day."""

from shared.cloud import upkeep
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("*/5 * * * *")
async def maintain_clouds(tick: Tick) -> None:
    await upkeep.run()
