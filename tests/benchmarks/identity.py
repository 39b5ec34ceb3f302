"""Sign-ins/s through HTTP against raw Argon2 hashes/s, other requests during a flood, what authentication adds, 200 refreshes at once.

Everything runs on the same cores: gateway, PostgreSQL, Valkey and the client. Raw hashes and sign-ins take turns, so that whatever else the
machine does weighs on both alike; medians of the rounds.
"""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from infra.local.ports import free_port_block
from shared.faas import Call, ResponseModel, endpoint
from shared.faas.declarations import ENDPOINTS
from tests import services

if TYPE_CHECKING:
    from infra.gateway.app import Gateway

ROUNDS = 4
SECONDS = 4.0
CONNECTIONS = 16
PEOPLE = 24
PASSWORD = "correct horse battery staple"


class Nothing(ResponseModel):
    ok: bool = True


def gateway() -> "Gateway":
    """The functions of `auth` and `account`, health, and two that do nothing: with and without authentication."""
    from infra import functions
    from infra.gateway.app import Gateway
    from shared.faas.routing import Router

    @endpoint("GET", "/api/open", auth="none", returns=Nothing)
    async def open_door(call: Call) -> Nothing:
        return Nothing()

    @endpoint("GET", "/api/closed", auth="user", returns=Nothing)
    async def closed_door(call: Call) -> Nothing:
        return Nothing()

    mine = [ENDPOINTS.pop("open_door"), ENDPOINTS.pop("closed_door")]
    wanted = [path for path in functions.files() if path.parent.name in ("auth", "account") or path.stem == "health"]
    return Gateway(Router([*(ENDPOINTS[functions.load(path)] for path in wanted), *mine]))


@dataclass(frozen=True)
class Answer:
    status: int
    cookies: dict[str, str]
    body: bytes


class Connection:
    """A kept-alive HTTP/1.1 connection that costs next to nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: load\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{lines}\r\n"
        )
        writer.write(head.encode() + body)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.partition(": ")[::2] for line in answered[1:] if line]
        length = next((int(value) for name, value in pairs if name.lower() == "content-length"), 0)
        cookies = {
            value.partition("=")[0]: value.partition("=")[2].partition(";")[0] for name, value in pairs if name.lower() == "set-cookie"
        }
        return Answer(int(answered[0].split()[1]), cookies, await reader.readexactly(length))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


def run() -> None:
    """Prints the figures."""
    holder = services.prepare()
    # The limits are tested elsewhere; here everybody comes from one address.
    limits = {"RATE_LIMIT_LOGIN": "1000000/minute", "RATE_LIMIT_REGISTER": "1000000/minute"}
    os.environ.update(limits | {"RATE_LIMIT_ACCOUNT": "10000000/minute", "RATE_LIMIT_ADDRESS": "10000000/minute"})
    port = free_port_block(1)
    server: subprocess.Popen[bytes] | None = None
    try:
        services.wait_until_started()
        server = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.identity", str(port)], stdout=subprocess.DEVNULL)
        _wait_for(port)
        import uvloop

        uvloop.run(_measure(port))
    finally:
        if server is not None:
            server.kill()
            server.wait()
        services.finish(holder)


async def _measure(port: int) -> None:
    people = [f"{secrets.token_hex(8)}@example.org" for _ in range(PEOPLE)]
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    for email in people:
        made = await connections[0].ask("POST", "/api/auth/register", _json(email=email, password=PASSWORD))
        assert made.status == 202, made.body
    await _sign_ins(connections, people, 1.0)
    raw, http = [], []
    for _ in range(ROUNDS):
        raw.append(await asyncio.to_thread(_raw_hashes, SECONDS))
        http.append(await _sign_ins(connections, people, SECONDS))
    ratio = median(mine / theirs for mine, theirs in zip(http, raw, strict=True))
    print(f"sign-ins {median(http):7.1f} /s   raw Argon2 hashes {median(raw):7.1f} /s   ratio {ratio:5.2f} (aim: 0.90)")

    watcher = Connection(port)
    idle = await _health(watcher, lambda waits: len(waits) >= 60)
    flood = asyncio.create_task(_sign_ins(connections, people, SECONDS))
    busy = await _health(watcher, lambda _: flood.done())
    await flood
    print(f"health   p95 {_p95(idle):6.2f} ms idle   p95 {_p95(busy):6.2f} ms during a flood of sign-ins")

    token = json.loads((await connections[0].ask("POST", "/api/auth/login", _json(email=people[0], password=PASSWORD))).body)[
        "access_token"
    ]
    for count, label in ((1, "one at a time"), (CONNECTIONS, f"{CONNECTIONS} at once")):
        added = []
        for _ in range(ROUNDS):
            without = await _per_request(connections[:count], lambda c: c.ask("GET", "/api/open"))
            with_token = await _per_request(connections[:count], lambda c: c.ask("GET", "/api/closed", authorization=f"Bearer {token}"))
            added.append(with_token - without)
        print(f"authentication adds {median(added) * 1e6:6.0f} µs a request, {label} (aim: under 250)")

    cookies = await _cookies(connections, people, 200)
    many = [Connection(port) for _ in cookies]
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(each.ask("POST", "/api/auth/refresh", cookie=f"docuvault_refresh={cookie}") for each, cookie in zip(many, cookies, strict=True))
    )
    seconds = time.perf_counter() - started
    lost = sum(answer.status != 200 for answer in answers)
    print(f"200 sessions refreshed at once in {seconds * 1000:.0f} ms, {lost} lost")
    for connection in [*connections, *many, watcher]:
        connection.close()


async def _sign_ins(connections: list[Connection], people: list[str], seconds: float) -> float:
    """Sign-ins/s over all connections."""
    done = 0
    started = time.perf_counter()

    async def one(number: int, connection: Connection) -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            email = people[(number * 7 + done) % len(people)]
            answer = await connection.ask("POST", "/api/auth/login", _json(email=email, password=PASSWORD))
            assert answer.status == 200, answer.body
            done += 1

    await asyncio.gather(*(one(number, connection) for number, connection in enumerate(connections)))
    return done / (time.perf_counter() - started)


def _raw_hashes(seconds: float) -> float:
    """Verifications/s of Argon2id alone, a thread for each processor, as nice as the gateway's are."""
    from shared.identity.passwords import _be_nice, _hasher

    hasher = _hasher()
    stored = hasher.hash(PASSWORD)
    processors = len(os.sched_getaffinity(0))
    started = time.perf_counter()

    def one(_: int) -> int:
        done = 0
        while time.perf_counter() - started < seconds:
            hasher.verify(stored, PASSWORD)
            done += 1
        return done

    with ThreadPoolExecutor(processors, initializer=_be_nice) as threads:
        return sum(threads.map(one, range(processors))) / (time.perf_counter() - started)


async def _health(connection: Connection, enough: Callable[[list[float]], bool]) -> list[float]:
    """Milliseconds of calls to `health`, one every 50 ms."""
    waits: list[float] = []
    while not enough(waits):
        started = time.perf_counter()
        assert (await connection.ask("GET", "/health")).status == 200
        waits.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.05)
    return waits


async def _per_request(connections: list[Connection], ask: Callable[[Connection], Awaitable[Answer]]) -> float:
    """Seconds a request takes of the server's time, by throughput."""
    count = 1500 // len(connections)

    async def one(connection: Connection) -> None:
        for _ in range(count):
            assert (await ask(connection)).status == 200

    started = time.perf_counter()
    await asyncio.gather(*(one(connection) for connection in connections))
    return (time.perf_counter() - started) / (count * len(connections))


async def _cookies(connections: list[Connection], people: list[str], count: int) -> list[str]:
    cookies: list[str] = []

    async def one(connection: Connection) -> None:
        while len(cookies) < count:
            answer = await connection.ask("POST", "/api/auth/login", _json(email=people[len(cookies) % PEOPLE], password=PASSWORD))
            cookies.append(answer.cookies["docuvault_refresh"])

    await asyncio.gather(*(one(connection) for connection in connections))
    return cookies[:count]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def _json(**members: str) -> bytes:
    return json.dumps(members).encode()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    from infra.serving import run as run_gateway

    os.environ["BENCHMARK_PORT"] = sys.argv[1]
    run_gateway("tests.benchmarks.identity:gateway", host_variable="BENCHMARK_HOST", port_variable="BENCHMARK_PORT", port=int(sys.argv[1]))
