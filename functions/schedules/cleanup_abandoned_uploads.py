"""Every half hour: removes uploads that expired, and what they left in the store."""

from shared.documents import reconciliation
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("*/30 * * * *", queue="system")
async def cleanup_abandoned_uploads(tick: Tick) -> None:
    await reconciliation.clean_up()
