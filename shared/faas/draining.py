"""Whether this process is about to stop: long streams end, so that their clients reconnect elsewhere."""

import asyncio
from weakref import WeakKeyDictionary

_draining: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()


def _event() -> asyncio.Event:
    return _draining.setdefault(asyncio.get_running_loop(), asyncio.Event())


def start() -> None:
    """Tells every stream to end."""
    _event().set()


def is_started() -> bool:
    """Whether the process is draining."""
    return _event().is_set()


async def started() -> None:
    """Returns once the process is draining."""
    await _event().wait()
