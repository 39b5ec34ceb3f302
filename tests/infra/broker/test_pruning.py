"""The outbox does not grow for ever, however busy the hour was."""

import pytest

from infra.local.postgres import Postgres
from shared.events import pruning
from tests.infra.broker.conftest import Outbox, analyse


@pytest.mark.parametrize("statistics_of", ["an idle moment", "a busy moment"])
async def test_all_that_is_long_done_goes_in_one_run(outbox: Outbox, postgres: Postgres, statistics_of: str) -> None:
    if statistics_of == "an idle moment":
        await outbox.fill(5000, "done")
        await outbox.empty()
        await analyse(postgres, vacuum=False)  # as if nothing would ever be in all these pages
    await outbox.fill(2 * pruning.BATCH + 1, "done")
    await outbox.execute("UPDATE events SET created_at = now() - interval '8 days'")
    await outbox.execute("UPDATE deliveries SET finished_at = now() - interval '8 days'")
    if statistics_of == "a busy moment":
        await analyse(postgres)
    await outbox.publish(times=2)
    await pruning.prune(outbox.database)
    assert await outbox.states() == {"ready": 2}
    assert await outbox.value("SELECT count(*) FROM events") == 2


async def test_of_the_garbage_the_newest_is_kept_for_a_month(outbox: Outbox) -> None:
    await outbox.execute("INSERT INTO bucket_event_rejects (payload, reason) SELECT 'flood', '' FROM generate_series(1, 15000)")
    await outbox.execute("INSERT INTO bucket_event_rejects (payload, reason, created_at) VALUES ('old', '', now() - interval '31 days')")
    await pruning.prune(outbox.database)
    assert await outbox.value("SELECT count(*) FROM bucket_event_rejects") == pruning.REJECTS_KEPT - 1
    assert await outbox.value("SELECT max(id) - min(id) < 10000 FROM bucket_event_rejects")
    assert await outbox.value("SELECT count(*) FROM bucket_event_rejects WHERE payload = 'old'") == 0
