"""Every minute: merges what waits to be merged, and indexes some documents anew that an older version indexed, until none is left."""

from shared.documents import reindexing
from shared.events.catalogue import Tick
from shared.faas import on_schedule

AT_MOST = 300
"""Documents a run: a few seconds of work, so that it stands in nobody's way."""


@on_schedule("* * * * *", queue="system")
async def refresh_search_index(tick: Tick) -> None:
    await reindexing.merge_waiting()
    await reindexing.reindex(at_most=AT_MOST)
