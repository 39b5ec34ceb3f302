"""The one place that connects to Redis (or Valkey).

Redis holds hints only (rule 3): every caller decides what happens when it is down, by catching `redis.exceptions.RedisError`.
"""

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from shared.config import settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 2.0

_clients: "WeakKeyDictionary[asyncio.AbstractEventLoop, Redis]" = WeakKeyDictionary()


def redis_client() -> "Redis":
    """The running event loop's client: connects at first use, times out after two seconds, never retries by itself."""
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
