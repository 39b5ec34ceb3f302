"""At midnight UTC: yesterday's audit lines, and those of days that were missed, as signed JSON Lines to the bucket."""

from datetime import datetime, timedelta

from shared.audit import exports
from shared.db import database
from shared.faas import Event, on_schedule


@on_schedule("0 0 * * *", queue="system")
async def export_audit_log(event: Event) -> None:
    tick = datetime.fromisoformat(event.data["tick"])
    await exports.export_missing(database(), up_to=tick.date() - timedelta(days=1))
