"""Long answers: they end when the client leaves and when the process is about to stop, and their sources are closed."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from shared.faas import Call, Response, draining
from tests.faas.asgi import App, Exchange, ask, declared, scope, serving


class Source:
    """An endless stream that tells whether it was closed."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
            yield b"never"
        finally:
            self.closed.set()


@pytest.fixture
async def source() -> Source:
    return Source()


@pytest.fixture
def app(source: Source) -> App:
    async def events(call: Call) -> Response:
        return Response.stream(source.chunks(), "text/event-stream")

    return serving(declared("GET", "/events", events, returns="text/event-stream"))


async def open_stream(app: App) -> Exchange:
    exchange = Exchange(app, scope("GET", "/events"))
    exchange.send(b"")
    await exchange.until(lambda heard: heard.body == b"first")
    return exchange


async def test_a_stream_ends_when_the_client_leaves_and_its_source_is_closed(services: None, app: App, source: Source) -> None:
    exchange = await open_stream(app)
    exchange.leave()
    await exchange.end()
    assert source.closed.is_set()


async def test_a_stream_ends_properly_when_the_process_drains(services: None, app: App, source: Source) -> None:
    exchange = await open_stream(app)
    draining.start()
    try:
        heard = await exchange.end()
    finally:
        draining._event().clear()
    assert heard.complete
    assert source.closed.is_set()


async def test_what_promised_its_length_is_finished_even_while_the_process_drains(services: None) -> None:
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"one "
        await go_on.wait()
        yield b"two"

    async def download(call: Call) -> Response:
        return Response.stream(slowly(), "text/plain", headers=[("content-length", "7")])

    exchange = Exchange(serving(declared("GET", "/", download, returns="text/plain")), scope("GET", "/"))
    exchange.send(b"")
    await exchange.until(lambda heard: heard.body == b"one ")
    draining.start()
    try:
        go_on.set()
        assert (await exchange.end()).body == b"one two"
    finally:
        draining._event().clear()


async def test_head_of_a_stream_closes_its_source_unread(services: None, app: App, source: Source) -> None:
    async def events(call: Call) -> Response:
        return Response.stream(closing, "text/event-stream")

    class Closing:
        closed = False

        def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("it was read")

        async def __anext__(self) -> bytes:
            raise AssertionError("it was read")

        async def aclose(self) -> None:
            self.closed = True

    closing = Closing()
    heard = await ask(serving(declared("GET", "/", events, returns="text/event-stream")), "HEAD", "/")
    assert (heard.status, heard.body, heard.header("content-type")) == (200, b"", "text/event-stream")
    assert closing.closed


async def test_a_stream_that_breaks_is_not_made_to_look_whole_and_is_logged(services: None, caplog: pytest.LogCaptureFixture) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("lost")

    async def download(call: Call) -> Response:
        return Response.stream(breaking(), "text/plain")

    exchange = Exchange(
        serving(declared("GET", "/", download, returns="text/plain")), scope("GET", "/", headers={"x-request-id": "request-1"})
    )
    exchange.send(b"")
    with caplog.at_level(logging.ERROR, "docuvault.http"), pytest.raises(RuntimeError, match="lost"):
        await exchange.end()
    assert exchange.answer.body == b"half"
    assert not exchange.answer.complete
    assert caplog.records[-1].__dict__["fields"] == {"function": "download", "request_id": "request-1"}


async def test_a_server_that_gives_up_on_a_request_closes_its_stream(services: None, app: App, source: Source) -> None:
    exchange = await open_stream(app)
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.end()
    assert source.closed.is_set()


async def test_a_stream_ends_when_its_client_leaves_though_nobody_read_the_body(services: None, app: App, source: Source) -> None:
    exchange = Exchange(app, scope("GET", "/events", headers={"content-length": "10"}))
    exchange.send(b"hello", more=True)
    await exchange.until(lambda heard: heard.body == b"first")
    exchange.send(b"world")
    exchange.leave()
    await exchange.end()
    assert source.closed.is_set()
