"""Where functions live, and posting events to them.

FUNCTION_URL_TEMPLATE with `{service}` (for all functions, or for those of REMOTE_FUNCTIONS), or the worker at WORKER_URL. aiohttp was
chosen by measurement: at 20 requests at a time it takes 0.3 ms of processor time each; httpx and httpcore take 3 ms.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from infra.broker.deliveries import Delivery
from shared.clock import now
from shared.events.signing import NOT_BEGUN_HEADER, REJECTED_HEADER, Unsignable, request_for

CONNECT_SECONDS = 5.0
KEPT_ALIVE_SECONDS = 1.0
"""Shorter than servers keep an idle connection (functions-framework: 2 s, granian: 30 s), so that none is used in the moment it is closed,
nor after it, if we stood still meanwhile."""
_DETAIL_BYTES = 2048


@dataclass(frozen=True)
class Done:
    """The function returned."""


@dataclass(frozen=True)
class DeliveryRefused:
    """The function says it will never succeed, or the event cannot be sent at all."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """Anything else: worth another try."""

    reason: str


@dataclass(frozen=True)
class Unreached:
    """No connection was made, or what hosts the function is stopping: the function has not run."""

    reason: str


DeliveryOutcome = Done | DeliveryRefused | Failed | Unreached


class Targets:
    """Functions' addresses and the connections to them (kept alive). Use within one event loop; `close()` at the end."""

    def __init__(self, template: str, worker_url: str, secrets: Sequence[bytes], *, remote: Sequence[str] = ()) -> None:
        self._template = template
        self._worker = f"{worker_url}/{{service}}"
        self._remote = frozenset(remote)
        """The functions that the template is for; empty: all."""
        self._secrets = tuple(secrets)
        self._session: aiohttp.ClientSession | None = None

    def url(self, function: str) -> str:
        """Where `function` takes its events."""
        return self._template_of(function).replace("{service}", function.replace("_", "-"))

    @property
    def shared(self) -> bool:
        """Whether all functions live behind one address, so that one of them unreachable means all of them."""
        if self._template and self._remote:
            return False  # some at the template's, some at the worker's
        return "{service}" not in urlsplit(self._template or self._worker).netloc

    def _template_of(self, function: str) -> str:
        return self._template if self._template and (not self._remote or function in self._remote) else self._worker

    async def call(self, delivery: Delivery, seconds: float) -> DeliveryOutcome:
        """POSTs the event, signed; waits `seconds` for the function."""
        try:
            headers, body = request_for(
                event_id=delivery.event_id,
                type=delivery.type,
                owner_id=delivery.owner_id,
                subject=delivery.subject,
                data=delivery.data,
                time=delivery.created_at,
                secrets=self._secrets,
                now=now(),
            )
        except Unsignable as never:
            return DeliveryRefused(str(never))
        session = self._session or self._open()
        try:
            timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
            async with session.post(
                self.url(delivery.function), data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                detail = (await answer.content.read(_DETAIL_BYTES)).decode("utf-8", "replace")
                if 200 <= answer.status < 300:
                    return Done()
                if answer.status == 422 and REJECTED_HEADER in answer.headers:
                    return DeliveryRefused(detail)
                if answer.status == 503 and NOT_BEGUN_HEADER in answer.headers:
                    return Unreached(detail)
                return Failed(f"{answer.status} {detail}".strip())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as unreached:
            return Unreached(str(unreached) or "the connection timed out")
        except TimeoutError:
            return Failed(f"the function took more than {seconds:g} seconds")
        except (aiohttp.ClientError, OSError) as lost:
            return Failed(f"the connection was lost: {str(lost) or type(lost).__name__}")

    async def reachable(self) -> bool:
        """Whether what lives behind the one address of all functions takes events: it responds, and not that it is stopping."""
        session = self._session or self._open()
        timeout = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
        try:
            async with session.get(self.url("health"), timeout=timeout, allow_redirects=False) as answer:
                return NOT_BEGUN_HEADER not in answer.headers
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE_SECONDS, socket_factory=_watched_socket)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), skip_auto_headers=("Accept", "Accept-Encoding")
        )
        return self._session


def _watched_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within half a minute that the other machine is gone: a function may take a quarter of an hour to respond."""
    family, kind, protocol, _, _ = address
    opened = socket.socket(family, kind, protocol)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # not everywhere under these names
            opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return opened
