"""Every five minutes: removes what moves have left behind, takes up moves that stand still, checks each connection once a day."""

from shared.cloud import upkeep
from shared.faas import Event, on_schedule


@on_schedule("*/5 * * * *")
async def maintain_clouds(event: Event) -> None:
    await upkeep.run()
