"""The worker answers as functions-framework does for each function, and ends well."""

import asyncio
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from functions_framework import aio

from infra.functions import NotOneFunction
from infra.worker.app import MAX_BODY_BYTES, Worker
from infra.worker.discovery import EVENT_FOLDERS, load_event_functions
from shared.clock import now
from shared.config import settings
from shared.events.signing import request_for
from shared.faas.declarations import EVENT_FUNCTIONS
from shared.ids import new_id
from tests.infra.broker.waiting import until
from tests.infra.worker.process import FUNCTIONS, WorkerProcess


def request(data: dict[str, Any], *, type: str = "test.happened", age: timedelta = timedelta(0)) -> tuple[dict[str, str], bytes]:
    """A signed delivery's headers and body."""
    return request_for(
        event_id=new_id(), type=type, owner_id=None, subject="s", data=data, time=now(), secrets=settings().secret_key, now=now() - age
    )


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://worker")


@pytest.fixture
async def worker() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(Worker(load_event_functions([FUNCTIONS]))) as client:
        yield client


@pytest.fixture
async def alone() -> AsyncIterator[httpx.AsyncClient]:
    """The same function served by functions-framework itself."""
    app = aio.create_asgi_app(target="take_note", source=str(FUNCTIONS / "take_note.py"))  # type: ignore[no-untyped-call]
    async with client_of(app) as client:
        yield client


@pytest.mark.parametrize(
    ("data", "type", "age", "status", "text"),
    [
        ({}, "test.happened", 0, 200, "OK"),
        ({"raise": "rejected"}, "test.happened", 0, 422, "there is no such document"),
        ({"raise": "error"}, "test.happened", 0, 500, "ValueError: the store"),
        ({"raise": "wrong data"}, "test.happened", 0, 422, "DataError: no such text"),
        ({"raise": "not found"}, "test.happened", 0, 500, "NotFound: not here"),
        ({}, "other.happened", 0, 422, "take_note is woken by test.happened, not by other.happened"),
        ({}, "test.happened", 301, 401, "is stale"),
    ],
)
async def test_the_worker_answers_as_the_function_alone_does(
    worker: httpx.AsyncClient, alone: httpx.AsyncClient, data: dict[str, Any], type: str, age: int, status: int, text: str
) -> None:
    headers, body = request(data, type=type, age=timedelta(seconds=age))
    hosted = await worker.post("/take-note", headers=headers, content=body)
    single = await alone.post("/", headers=headers, content=body)
    assert (hosted.status_code, hosted.text) == (single.status_code, single.text)
    assert hosted.headers.get("x-docuvault-rejected") == single.headers.get("x-docuvault-rejected") == ("1" if status == 422 else None)
    assert hosted.status_code == status
    assert text in hosted.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"specversion": "0.1"}'])
async def test_what_is_no_cloud_event_is_a_bad_request(worker: httpx.AsyncClient, alone: httpx.AsyncClient, content: bytes) -> None:
    hosted = await worker.post("/take-note", content=content)
    single = await alone.post("/", content=content)
    assert (hosted.status_code, hosted.text) == (single.status_code, single.text)
    assert hosted.status_code == 400


async def test_an_unsigned_event_is_refused(worker: httpx.AsyncClient, alone: httpx.AsyncClient, tmp_path: Path) -> None:
    note = tmp_path / "note"
    headers, body = request({"write": str(note)})
    del headers["ce-dvsignature"]
    assert (await worker.post("/take-note", headers=headers, content=body)).status_code == 401
    assert (await alone.post("/", headers=headers, content=body)).status_code == 401
    assert not note.exists()


async def test_a_structured_cloud_event_is_understood(worker: httpx.AsyncClient) -> None:
    import json

    headers, body = request({})
    event = {name.removeprefix("ce-"): value for name, value in headers.items() if name.startswith("ce-")}
    structured = json.dumps({**event, "datacontenttype": "application/json", "data": json.loads(body)})
    answer = await worker.post("/take-note", headers={"content-type": "application/cloudevents+json"}, content=structured)
    assert answer.status_code == 200


async def test_other_addresses_and_methods_are_refused(worker: httpx.AsyncClient) -> None:
    assert (await worker.post("/unknown")).status_code == 404
    assert (await worker.get("/")).status_code == 404
    answer = await worker.get("/take-note")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await worker.get("/health")).status_code == 200
    headers, _ = request({})
    assert (await worker.post("/take-note", headers=headers, content=b"x" * (MAX_BODY_BYTES + 1))).status_code == 413


def test_every_event_function_of_the_project_is_hosted() -> None:
    found = load_event_functions()
    assert {f"{name.replace('-', '_')}.py" for name in found} == {path.name for folder in EVENT_FOLDERS for path in folder.glob("[!_]*.py")}
    for service, function in found.items():
        assert asyncio.iscoroutinefunction(function)
        assert function.__name__ == service.replace("-", "_")
        assert service.replace("-", "_") in EVENT_FUNCTIONS


def test_a_file_that_declares_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "declares_nothing_at_all.py").write_text("")
    with pytest.raises(NotOneFunction, match="declares_nothing_at_all"):
        load_event_functions([tmp_path])


@pytest.fixture
async def process() -> AsyncIterator[WorkerProcess]:
    started = WorkerProcess()
    await started.start()
    await until(started.serves)
    yield started
    await started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_running_functions_finish(process: WorkerProcess, tmp_path: Path, number: signal.Signals) -> None:
    note, release = tmp_path / "note", tmp_path / "release"
    async with httpx.AsyncClient(base_url=process.url, timeout=60) as client:
        headers, body = request({"write": str(note), "until": str(release)})
        running = asyncio.create_task(client.post("/take-note", headers=headers, content=body))
        await until(note.exists)
        process.process.send_signal(number)

        async def refuses() -> bool:
            headers, body = request({})
            try:
                return (await client.post("/take-note", headers=headers, content=body)).status_code == 503
            except httpx.TransportError:
                return True

        await until(refuses)
        release.touch()
        assert (await running).status_code == 200
    assert await asyncio.wait_for(process.process.wait(), 60) == 0


async def test_a_function_that_does_not_end_is_not_waited_for_for_ever(services: None, tmp_path: Path) -> None:
    process, note = WorkerProcess(setup="import infra.serving; infra.serving.DRAIN_SECONDS = 0.5"), tmp_path / "note"
    await process.start()
    try:
        await until(process.serves)
        # Its broker waits patiently.
        async with httpx.AsyncClient(base_url=process.url, timeout=None) as client:
            headers, body = request({"write": str(note), "until": str(tmp_path / "never")})
            running = asyncio.create_task(client.post("/take-note", headers=headers, content=body))
            await until(note.exists)
            process.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.process.wait(), 10) == 0
            with pytest.raises(httpx.TransportError):
                await running
    finally:
        await process.kill()


async def test_a_port_that_is_taken_is_one_sentence(process: WorkerProcess) -> None:
    second = WorkerProcess(process.port)
    await second.start()
    _, errors = await asyncio.wait_for(second.process.communicate(), 30)
    assert second.process.returncode == 1
    assert errors.decode().strip() == (
        f"The worker cannot listen on 127.0.0.1:{process.port} (WORKER_HOST, WORKER_PORT): Address already in use."
    )


@pytest.mark.parametrize(("address", "warns"), [("https://vault.example.org", True), ("http://127.0.0.1:8080", False)])
async def test_who_sends_mails_says_at_start_that_it_only_logs_them(services: None, address: str, warns: bool) -> None:
    process = WorkerProcess(env={"SMTP_HOST": "", "BACKEND_URL": address})
    await process.start()
    await until(process.serves)
    process.process.terminate()
    _, said = await asyncio.wait_for(process.process.communicate(), 60)
    assert (b"SMTP_HOST is not set" in said) is warns
