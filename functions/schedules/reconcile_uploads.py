"""Every minute: looks after documents that should have moved on, because a notification was lost or a delivery died."""

from shared.documents import reconciliation
from shared.faas import Event, on_schedule


@on_schedule("* * * * *", queue="system")
async def reconcile_uploads(event: Event) -> None:
    await reconciliation.reconcile()
