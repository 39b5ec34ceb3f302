"""Every minute: looks after documents and jobs that should have moved on, because a notification was lost or a delivery died."""

from shared.documents import jobs, reconciliation
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("* * * * *", queue="system")
async def reconcile_uploads(tick: Tick) -> None:
    await jobs.wake_standing()
    await reconciliation.reconcile()
