"""Every minute: looks after documents and jobs that should have moved on, because a notification was lost or a delivery died."""

from shared.documents import jobs, reconciliation
from shared.faas import Event, on_schedule


@on_schedule("* * * * *", queue="system")
async def reconcile_uploads(event: Event) -> None:
    await jobs.wake_standing()
    await reconciliation.reconcile()
