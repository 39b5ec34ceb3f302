"""Which functions each event wakes.

Generated from the functions' declarations by `./scripts/generate`; do not edit.
"""

from typing import NamedTuple


class Subscription(NamedTuple):
    function: str
    queue: str


SUBSCRIPTIONS: dict[str, tuple[Subscription, ...]] = {
}
