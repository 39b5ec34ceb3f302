"""Requests that leave this house: the guard that says where they may go, and the one place that makes the clients that send them."""

from shared.outbound.guard import HostNotAllowed, UrlGuard, UrlNotAllowed

__all__ = ["HostNotAllowed", "UrlGuard", "UrlNotAllowed"]
