"""At midnight UTC: yesterday's audit lines, and those of days that were missed, as signed JSON Lines to the bucket."""

from datetime import timedelta

from shared.audit import daily_exports
from shared.db import database
from shared.events.catalogue import Tick
from shared.faas import on_schedule


@on_schedule("0 0 * * *", queue="system")
async def export_audit_log(tick: Tick) -> None:
    await daily_exports.export_missing(database(), up_to=tick.tick.date() - timedelta(days=1))
