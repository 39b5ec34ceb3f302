"""Every minute: looks after documents that should have moved on, because a notification was lost or a delivery died."""

from shared.documents import reconciliation
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("* * * * *", queue="system")
async def reconcile_uploads(tick: Tick) -> None:
    await reconciliation.reconcile()
