"""How many calls to providers run at once: relations between numbers that stand in several places."""

from infra.broker.broker import queue_limits
from shared.ai.registry import PROVIDERS
from shared.assistant.tasks import PLACES, TURN_SECONDS
from shared.config import settings
from shared.time_budgets import DELIVERY_SECONDS, DRAIN_SECONDS

OWNERS = 8


def test_eight_owners_can_have_all_their_calls_at_once() -> None:
    """By the rule of infra/broker/dispatcher.py: another slot only while more are free than the owner holds, an eighth left for others."""
    slots = queue_limits(settings())["ai"].concurrency
    free_before_the_last = slots - (OWNERS * PLACES - 1) - slots // 8
    assert free_before_the_last > PLACES - 1


def test_no_provider_is_asked_for_more_at_once_than_an_owner_has_places() -> None:
    assert max(facts.at_once for facts in PROVIDERS.values()) <= PLACES


def test_a_turn_ends_within_its_delivery_and_begins_nothing_new_while_a_stop_waits() -> None:
    assert TURN_SECONDS + max(facts.seconds for facts in PROVIDERS.values()) < DELIVERY_SECONDS["ai"]
    assert TURN_SECONDS < DRAIN_SECONDS
