"""Nobody uses up a server's connections: those that stand in the way of others are closed.

The HTTP server itself closes a connection whose next request's header is not whole after `idle_seconds`, whatever the reason: no byte,
half a header, a header that trickles, a connection kept alive and left alone. How long a body may take is decided where it is read
(`shared.faas.requests`). What neither sees is done here, from outside, because the server has no hook for it: once a second the guard
looks at this process's own sockets, with what the kernel knows of each (TCP_INFO), and closes

- clients that do not read their response: bytes wait for them, and fewer than `unread_rate` a second were taken in `unread_seconds`;
- idle connections when there are more than three quarters of `connections`: of the address that has most, the quietest first; so whoever
  is new is always taken, and a flood of idle connections pushes out itself;
- connections with a request under way when there are nearly `connections` all the same, in the same order;
- idle connections, all of them, when the process is to stop.

IPv6 addresses count by /64. TRUSTED_PROXIES speak for many: they come last.
"""

import asyncio
import heapq
import logging
import os
import resource
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from shared import networks
from shared.faas import client_addresses

log = logging.getLogger("docuvault.connections")

RESERVED_DESCRIPTORS = 512
"""File descriptors that are not for connections: databases, the object store, temporary files."""
LOOK_EVERY_SECONDS = 1.0
LOOK_OFTEN_SECONDS = 0.1
"""When more than half of the connections are taken."""
LOOK_SHARE = 0.05
"""What part of the time looking may take at most: with thousands of connections it is done less often."""
TELL_EVERY_SECONDS = 10.0
LOOKED_AT_ONCE = 128
"""Sockets that are looked at before other work gets its turn: about a millisecond."""

# struct tcp_info (linux/tcp.h): the fields' offsets, the same on every architecture.
_INFO_SIZE = 160
_UNACKED, _LAST_DATA_RECEIVED, _BYTES_ACKED, _NOT_SENT = 24, 52, 120, 144


@dataclass(frozen=True)
class ConnectionLimits:
    """What a server's connections may do."""

    connections: int
    idle_seconds: float = 30.0
    """From a connection's begin, or from its last response, until the next request's header is whole."""
    unread_seconds: float = 30.0
    unread_rate: float = 1024.0
    """Bytes a second that a client must take while some wait for it, over `unread_seconds`."""

    @property
    def crowded(self) -> int:
        """From how many connections on idle ones must go."""
        return self.connections * 3 // 4

    @property
    def full(self) -> int:
        """From how many connections on those with a request under way must go, too, until seven eighths are left."""
        return self.connections * 15 // 16


def within_descriptors(limits: ConnectionLimits) -> ConnectionLimits:
    """The limits with as many connections as this process may have file descriptors for; asks for as many as it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Out of descriptors, the server would try to accept the same connection again and again.
    possible = limits.connections if hard == resource.RLIM_INFINITY else max(hard // 4, hard - RESERVED_DESCRIPTORS)
    if possible >= limits.connections:
        return limits
    log.warning("fewer connections than MAX_CONNECTIONS: the limit of open files", extra={"fields": {"connections": possible}})
    return replace(limits, connections=possible)


ConnectionPeer = tuple[str, str]
"""Address and port, both as text."""


@dataclass(frozen=True, slots=True)
class _OpenConnection:
    """A connection that the server has accepted, as it was when it was looked at."""

    descriptor: int
    inode: int
    """The socket's own number: a descriptor may be another connection's a moment later."""
    client: ConnectionPeer
    quiet_milliseconds: int
    """Since when nothing has come from the client."""
    waiting: bool
    """Whether bytes wait to be sent, or to be acknowledged."""
    acknowledged: int

    def close(self, *, drop_unsent: bool = False) -> None:
        """Ends it for both sides; the server notices by itself. With `drop_unsent` the kernel does not keep what nobody reads."""
        try:
            with _duplicate(self.descriptor) as own:
                if os.fstat(own.fileno()).st_ino != self.inode:
                    return
                if drop_unsent:
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                own.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended by itself


class Guarded:
    """An ASGI application whose server's connections are guarded: `watch` runs beside the server."""

    def __init__(self, application: Callable[..., Awaitable[None]], port: int, limits: ConnectionLimits) -> None:
        self._application = application
        self._port = port
        self._limits = limits
        self._requests: dict[ConnectionPeer, int] = {}
        self._unread: dict[int, tuple[float, int]] = {}
        self._idle_before: set[int] = set()
        self._stopping = asyncio.Event()
        self._closed = self._cut_off = 0
        """Since it was told last."""
        self._tell_at = 0.0

    def stop(self) -> None:
        """From now on idle connections are closed."""
        self._stopping.set()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await self._application(scope, receive, send)
        client = scope["client"]
        requests = self._requests
        # One connection's next request may begin before the application has returned from the last one.
        requests[client] = requests.get(client, 0) + 1
        try:
            await self._application(scope, receive, send)
        finally:
            if requests[client] == 1:
                del requests[client]
            else:
                requests[client] -= 1

    async def watch(self) -> None:
        """Looks at the connections again and again, until cancelled."""
        while True:
            began = time.thread_time()
            try:
                count = await self._look()
            except OSError:
                log.exception("the connections could not be looked at")
                count = 0
            often = self._stopping.is_set() or count * 2 > self._limits.connections
            pause = max(LOOK_OFTEN_SECONDS if often else LOOK_EVERY_SECONDS, (time.thread_time() - began) / LOOK_SHARE)
            if self._stopping.is_set():
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def _look(self) -> int:
        """Closes what must be closed; how many connections there were."""
        connections: list[_OpenConnection] = []
        for looked_at, descriptor in enumerate(os.listdir("/proc/self/fd"), 1):
            if looked_at % LOOKED_AT_ONCE == 0:
                await asyncio.sleep(0)
            connection = _connection(int(descriptor), self._port)
            if connection is not None:
                connections.append(connection)
        closed = self._close_unread(connections, time.monotonic())
        connections = [connection for connection in connections if connection.inode not in closed]
        idle = [each for each in connections if not each.waiting and each.client not in self._requests]
        # Twice in a row: when the application has returned, the server may still be about to send its response.
        settled = [each for each in idle if each.inode in self._idle_before]
        self._idle_before = {each.inode for each in idle}
        if self._stopping.is_set():
            for connection in settled:
                connection.close()
        elif len(connections) > self._limits.crowded:
            self._make_room(connections, settled)
        return len(connections)

    def _close_unread(self, connections: list[_OpenConnection], at: float) -> set[int]:
        """Closes what its client does not read."""
        closed: set[int] = set()
        unread: dict[int, tuple[float, int]] = {}
        for connection in connections:
            if not connection.waiting:
                continue
            since, acknowledged = self._unread.get(connection.inode, (at, connection.acknowledged))
            if at - since < self._limits.unread_seconds:
                unread[connection.inode] = (since, acknowledged)
            elif connection.acknowledged - acknowledged < (at - since) * self._limits.unread_rate:
                connection.close(drop_unsent=True)
                closed.add(connection.inode)
            else:
                unread[connection.inode] = (at, connection.acknowledged)
        self._unread = unread
        if closed:
            log.info("clients did not read their responses", extra={"fields": {"closed": len(closed)}})
        return closed

    def _make_room(self, connections: list[_OpenConnection], candidates: list[_OpenConnection]) -> None:
        idle = _of_whom_there_are_most(candidates, connections, len(connections) - self._limits.crowded)
        gone = {each.inode for each in idle}
        left = [each for each in connections if each.inode not in gone]
        busy: list[_OpenConnection] = []
        if len(left) > self._limits.full:
            busy = _of_whom_there_are_most(left, left, len(left) - self._limits.connections * 7 // 8)
        for connection in (*idle, *busy):
            connection.close()
        self._closed += len(idle)
        self._cut_off += len(busy)
        if time.monotonic() >= self._tell_at:
            fields = {"connections": len(connections), "idle_closed": self._closed, "cut_off": self._cut_off}
            log.warning("too many connections", extra={"fields": fields})
            self._closed = self._cut_off = 0
            self._tell_at = time.monotonic() + TELL_EVERY_SECONDS


def _of_whom_there_are_most(candidates: list[_OpenConnection], connections: list[_OpenConnection], number: int) -> list[_OpenConnection]:
    """`number` of the candidates at most: always one of the address that still has the most connections, its quietest."""
    counts: dict[str, int] = defaultdict(int)
    for connection in connections:
        counts[networks.network(connection.client[0])] += 1
    quietest_last: dict[str, list[_OpenConnection]] = defaultdict(list)
    for connection in sorted(candidates, key=lambda each: each.quiet_milliseconds):
        quietest_last[networks.network(connection.client[0])].append(connection)
    # Those who speak for many come after all others, however many connections they have.
    heap = [(client_addresses.is_trusted_proxy(each[0].client[0]), -counts[network], network) for network, each in quietest_last.items()]
    heapq.heapify(heap)
    chosen: list[_OpenConnection] = []
    while heap and len(chosen) < number:
        proxy, count, network = heapq.heappop(heap)
        chosen.append(quietest_last[network].pop())
        if quietest_last[network]:
            heapq.heappush(heap, (proxy, count + 1, network))
    return chosen


def _connection(descriptor: int, port: int) -> _OpenConnection | None:
    """What `descriptor` is, if it is an accepted connection of the server that listens on `port`."""
    try:
        with _duplicate(descriptor) as own:
            here, peer = own.getsockname(), own.getpeername()
            if not isinstance(here, tuple) or here[1] != port:
                return None
            info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
            inode = os.fstat(own.fileno()).st_ino
    except OSError:
        return None  # no socket, not connected, or closed meanwhile
    if len(info) < _INFO_SIZE:
        return None
    (unacked,), (not_sent,) = struct.unpack_from("=I", info, _UNACKED), struct.unpack_from("=I", info, _NOT_SENT)
    (quiet,), (acknowledged,) = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED), struct.unpack_from("=Q", info, _BYTES_ACKED)
    return _OpenConnection(descriptor, inode, (peer[0], str(peer[1])), quiet, bool(unacked or not_sent), acknowledged)


def _duplicate(descriptor: int) -> socket.socket:
    """A descriptor of our own for the socket that `descriptor` is just now: the server's threads may close that one, and use its number
    for another, at any moment. Raises OSError.
    """
    own = os.dup(descriptor)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=own)
    except OSError:  # no socket
        os.close(own)
        raise
