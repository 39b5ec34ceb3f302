"""Domain events: facts published in the caller's transaction, delivered at least once to every subscribed function."""

from shared.events.publish import DELIVERIES_CHANNEL, publish

__all__ = ["DELIVERIES_CHANNEL", "publish"]
