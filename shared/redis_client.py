"""The one place that connects to Redis (or Valkey).

Redis holds hints only (rule 3): every caller decides what happens when it is down, by catching `redis.exceptions.RedisError`.
"""

import asyncio
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shared.config import settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 2.0
FIRST_ANSWERS_SECONDS = 0.5
"""How long a process that has just been started for a request does without Redis."""

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = WeakKeyDictionary()

_postponed_until = 0.0


def postpone() -> None:
    """Keeps Redis out of the first responses of a process that a request is waiting for: loading its client takes as long as all else.

    Limits are counted a moment later, and what is revoked is looked up in PostgreSQL. Counts from the first call on.
    """
    global _postponed_until
    if not _postponed_until:
        _postponed_until = time.monotonic() + FIRST_ANSWERS_SECONDS


def postponed() -> float:
    """For how many more seconds to do without; 0 if nobody has asked for that."""
    return max(0.0, _postponed_until - time.monotonic())


def redis_client() -> "Redis":
    """The running event loop's client: connects at first use, times out after two seconds.

    What got no response is sent once more, newly connected: a restarted server costs no error, but a command may be carried out twice.
    """
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        client = Redis.from_url(
            settings().redis_url,
            socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
            socket_timeout=ANSWER_TIMEOUT_SECONDS,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 1),
        )
        _clients[loop] = client
    return client
