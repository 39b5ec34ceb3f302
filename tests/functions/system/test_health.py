"""live, ready and metrics: what orchestrators and Prometheus get, of each process."""

import asyncio
import re
import secrets
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pytest

from infra.functions import FUNCTIONS, http_functions
from infra.gateway.app import Gateway
from infra.gateway.remote import RemoteFunctions
from infra.worker.app import Worker
from shared.config import settings
from shared.faas import draining
from shared.faas.routing import Router
from shared.observability.measurements import BUCKETS_SECONDS, CONTENT_TYPE, UNROUTED, Durations
from shared.time_budgets import DELIVERY_SECONDS
from tests.faas.asgi import ask
from tests.functions.alone import alone, environment_of

SYSTEM = FUNCTIONS / "system"
PATIENCE_SECONDS = 60
NOBODY_LISTENS = "postgresql://docuvault_app:s3cret@127.0.0.1:1/docuvault"
LINE = re.compile(r'(?P<name>[a-z_]+)(\{(?P<labels>[a-z]+="[^"]*"(,[a-z]+="[^"]*")*)\})? (?P<value>-?[0-9.e+-]+)')


@pytest.fixture(scope="module")
def gateway() -> Gateway:
    return Gateway(Router(http_functions()))


def _samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels, each line in the form that Prometheus reads."""
    assert text.endswith("\n")
    samples, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("#"):
            kind, name = line.split()[1:3]
            assert kind in ("HELP", "TYPE")
            typed.add(name)
            continue
        match = LINE.fullmatch(line)
        assert match, line
        assert re.sub(r"_(bucket|sum|count)$", "", match["name"]) in typed, line
        assert line.rpartition(" ")[0] not in samples, "a series is there once"
        samples[line.rpartition(" ")[0]] = float(match["value"])
    return samples


async def _metrics(gateway: Gateway) -> dict[str, float]:
    response = await ask(gateway, "GET", "/metrics")
    assert (response.status, response.header("content-type")) == (200, CONTENT_TYPE)
    return _samples(response.body.decode())


async def _until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """On a busy machine, what is there may not respond within a check's two seconds at once."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_so():
            await asyncio.sleep(0.2)


async def test_a_process_that_serves_is_live_and_ready(services: None, gateway: Gateway) -> None:
    for path in ("/health/live", "/health/ready"):

        async def is_ok(path: str = path) -> bool:
            response = await ask(gateway, "GET", path)
            return (response.status, response.json()) == (200, {"status": "ok"})

        await _until(is_ok)


async def test_without_a_database_a_process_is_live_but_not_ready(tmp_path: Path) -> None:
    async with alone(SYSTEM / "ready.py", tmp_path, DATABASE_URL=NOBODY_LISTENS) as client:
        response = await client.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "retry-after" in response.headers
    assert "s3cret" not in response.text
    assert "127.0.0.1" not in response.text
    async with alone(SYSTEM / "live.py", tmp_path) as client:
        assert (await client.get("/health/live")).status_code == 200


def test_live_is_given_no_connection_and_ready_the_databases_alone() -> None:
    assert environment_of(SYSTEM / "live.py")["SETTINGS_GROUPS"] == "keys"
    assert environment_of(SYSTEM / "ready.py")["SETTINGS_GROUPS"] == "database,keys"


def test_a_process_about_to_stop_is_not_ready_any_more(gateway: Gateway) -> None:
    async def statuses() -> list[int]:
        draining.start()
        return [(await ask(gateway, "GET", path)).status for path in ("/health/live", "/health/ready")]

    assert asyncio.run(statuses()) == [200, 503]


async def test_a_gateway_speaks_for_itself_though_functions_are_elsewhere() -> None:
    remote = Gateway(Router(http_functions()), RemoteFunctions("http://127.0.0.1:1/{service}"))
    assert (await ask(remote, "GET", "/health/live")).status == 200
    assert (await ask(remote, "GET", "/health")).status == 503
    assert 'docuvault_requests_total{function="health",status="503"}' in await _metrics(remote)


async def test_metrics_count_requests_by_function_and_status(services: None, gateway: Gateway) -> None:
    before = await _metrics(gateway)
    for _ in range(3):
        await ask(gateway, "GET", "/health/live")
    after = await _metrics(gateway)
    counted = 'docuvault_requests_total{function="live",status="200"}'
    assert after[counted] - before.get(counted, 0) == 3
    assert (
        after['docuvault_request_seconds_count{function="live"}'] - before.get('docuvault_request_seconds_count{function="live"}', 0) == 3
    )
    assert after["docuvault_requests_under_way"] >= 1, "this very one"
    assert after["process_resident_memory_bytes"] > 10 * 2**20
    assert after["process_cpu_seconds_total"] > 0


async def test_metrics_tell_of_every_queue_and_dependency(services: None, gateway: Gateway) -> None:
    samples: dict[str, float] = {}

    async def all_respond() -> bool:
        samples.update(await _metrics(gateway))
        return "docuvault_users" in samples and samples['docuvault_dependency_up{dependency="database"}'] == 1

    await _until(all_respond)
    for queue in DELIVERY_SECONDS:
        assert samples[f'docuvault_oldest_delivery_seconds{{queue="{queue}"}}'] >= 0
        for state in ("ready", "waiting", "running", "dead"):
            assert f'docuvault_deliveries{{queue="{queue}",state="{state}"}}' in samples
    assert {name for name in samples if name.startswith("docuvault_dependency_up")} == {
        f'docuvault_dependency_up{{dependency="{name}"}}' for name in ("database", "object_store", "redis")
    }


async def test_no_client_can_make_series_or_see_anybodys_id(services: None, gateway: Gateway) -> None:
    await ask(gateway, "GET", f"/{secrets.token_hex(8)}")
    before = await _metrics(gateway)
    for _ in range(50):
        await ask(gateway, "GET", f"/api/documents/{uuid.uuid4()}/{secrets.token_hex(8)}", headers={"x-request-id": secrets.token_hex(8)})
    after = await _metrics(gateway)
    assert not [name for name in after.keys() - before.keys() if "docuvault_request" in name]
    unrouted = f'docuvault_requests_total{{function="{UNROUTED}",status="404"}}'
    assert after[unrouted] - before[unrouted] == 50
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", "\n".join(after))


async def test_metrics_are_for_who_has_the_token_if_there_is_one(services: None, tmp_path: Path) -> None:
    token = secrets.token_hex(16)
    async with alone(SYSTEM / "metrics.py", tmp_path, METRICS_TOKEN=token) as client:
        for wrong in ({}, {"authorization": "Bearer x"}, {"authorization": f"Basic {token}"}, {"authorization": f"Bearer {token}x"}):
            response = await client.get("/metrics", headers=wrong)
            assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
            assert token not in response.text
        response = await client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert response.status_code == 200
    assert 'docuvault_dependency_up{dependency="redis"}' in _samples(response.text)


async def test_metrics_say_what_is_down_and_do_not_fail_with_it(services: None, tmp_path: Path) -> None:
    async with alone(SYSTEM / "metrics.py", tmp_path, DATABASE_URL=NOBODY_LISTENS) as client:
        response = await client.get("/metrics")
    assert response.status_code == 200
    samples = _samples(response.text)
    assert samples['docuvault_dependency_up{dependency="database"}'] == 0
    assert "docuvault_users" not in samples


async def test_a_database_that_hangs_is_down_and_nobody_waits_for_it(services: None, tmp_path: Path) -> None:
    async with relay_to_the_database() as (url, hangs), alone(SYSTEM / "metrics.py", tmp_path, DATABASE_URL=url) as client:

        async def is_up() -> bool:
            return "docuvault_users" in _samples((await client.get("/metrics")).text)

        await _until(is_up)
        hangs.set()

        async def is_told() -> bool:
            # Its connections are there, and for a few seconds what was found before is remembered.
            samples = _samples((await client.get("/metrics")).text)
            return samples['docuvault_dependency_up{dependency="database"}'] == 0 and "docuvault_users" not in samples

        await _until(is_told)
        assert _samples((await client.get("/metrics")).text)['docuvault_dependency_up{dependency="redis"}'] == 1


@asynccontextmanager
async def relay_to_the_database() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A URL of the run's PostgreSQL, which is silent there once the event is set: as a machine that has frozen."""
    parts = urlsplit(settings().database_url)
    folder = parse_qs(parts.query)["host"][0]
    hangs, closed = asyncio.Event(), asyncio.Event()

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while received := await source.read(65_536):
            if hangs.is_set():
                await closed.wait()
            target.write(received)
        target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer), return_exceptions=True)

    server = await asyncio.start_server(relay, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    try:
        yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}", query="")), hangs
    finally:
        closed.set()
        server.close()


async def test_a_worker_tells_what_its_functions_did(services: None) -> None:
    response = await ask(Worker({}), "GET", "/metrics")
    assert (response.status, response.header("content-type")) == (200, CONTENT_TYPE)
    assert "process_start_time_seconds" in _samples(response.body.decode())


def test_a_bucket_holds_what_took_as_long_as_its_bound_or_less() -> None:
    durations = Durations("d", "help")
    for seconds in (0.001, BUCKETS_SECONDS[0], 0.2, 3600.0):
        durations.observe("f", seconds)
    samples = dict(line.rsplit(" ", 1) for line in durations.lines())
    assert samples['d_bucket{function="f",le="0.005"}'] == "2"
    assert samples['d_bucket{function="f",le="0.25"}'] == "3"
    assert samples['d_bucket{function="f",le="60"}'] == "3"
    assert samples['d_bucket{function="f",le="+Inf"}'] == samples['d_count{function="f"}'] == "4"
