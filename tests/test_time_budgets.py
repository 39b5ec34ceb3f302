"""The time limits fit together: who waits for another waits longer than that one may take."""

from typing import get_args

import pytest

from infra.broker.broker import queue_limits
from infra.broker.deliveries import DeliveryLease
from shared import time_budgets
from shared.config import settings
from shared.extraction.limits import Limits
from shared.faas.declarations import Queue
from shared.time_budgets import DELIVERY_SECONDS, FULL_READING, QUICK_READING, RECOGNITION, ReadingBudget


@pytest.mark.parametrize("budget", [QUICK_READING, FULL_READING, RECOGNITION])
def test_a_child_on_a_busy_machine_has_more_wall_time_than_cpu_time(budget: ReadingBudget) -> None:
    assert budget.wall_seconds >= 3 * budget.cpu_seconds
    limits = Limits.within(budget)
    assert (limits.cpu_seconds, limits.wall_seconds, limits.niceness) == (budget.cpu_seconds, budget.wall_seconds, budget.niceness)


CHILDREN = [("documents", [QUICK_READING]), ("large", [FULL_READING]), ("recognition", [RECOGNITION, RECOGNITION])]


@pytest.mark.parametrize(("queue", "children"), CHILDREN)
def test_a_delivery_lasts_longer_than_its_children(queue: str, children: list[ReadingBudget]) -> None:
    assert DELIVERY_SECONDS[queue] > 1.2 * sum(child.wall_seconds for child in children)


def test_what_may_take_longer_steps_back_further() -> None:
    budgets = [QUICK_READING, FULL_READING, RECOGNITION]
    assert [budget.niceness for budget in budgets] == sorted({budget.niceness for budget in budgets})
    assert [budget.cpu_seconds for budget in budgets] == sorted({budget.cpu_seconds for budget in budgets})


def test_a_slice_has_time_for_its_last_page() -> None:
    assert RECOGNITION.cpu_seconds > time_budgets.SLICE_CPU_SECONDS + time_budgets.PAGE_CPU_SECONDS
    assert 10 * RECOGNITION.cpu_seconds < time_budgets.DOCUMENT_RECOGNITION_CPU_SECONDS


def test_every_queue_has_its_limit_from_the_table() -> None:
    limits = queue_limits(settings())
    assert set(limits) == set(get_args(Queue)) == set(DELIVERY_SECONDS)
    assert {queue: limit.seconds for queue, limit in limits.items()} == DELIVERY_SECONDS


def test_a_lease_survives_extensions_that_fail() -> None:
    assert DeliveryLease().seconds >= 3 * DeliveryLease().extend_every
