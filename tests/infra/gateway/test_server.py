"""The gateway's own process, by real HTTP: what a client and an operator meet."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.infra.gateway.conftest import Start, appears


async def test_it_answers_and_says_who_called(start: Start) -> None:
    server = await start()
    async with server.client() as client:
        answer = await client.get("/t/caller", headers={"x-request-id": "request-1"})
    assert answer.status_code == 200
    assert answer.json()["address"] == "127.0.0.1"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "request-1"
    assert answer.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2; Path=/"]


async def test_head_ends_without_a_body_and_the_connection_goes_on(start: Start) -> None:
    server = await start()
    async with server.client() as client:
        for _ in range(3):
            head = await client.head("/t/items/name")
            assert (head.status_code, head.headers["content-length"], head.content) == (200, "4", b"")


async def pieces(number: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * size


async def test_a_body_over_the_limit_is_413_whether_it_says_so_or_not(start: Start) -> None:
    # The connection stays open however slowly the rest comes: when it does not is shown by the tests after this one.
    server = await start(setup="import shared.faas.requests; shared.faas.requests.DISCARDED_SECONDS = 60")
    async with server.client() as client:
        for content in (b"x" * 100_001, pieces(11, 10_000)):
            answer = await client.post("/t/small", content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert (await client.post("/t/small", content=b"x" * 100_000)).text == "100000"


async def test_a_body_far_over_the_limit_is_not_read_to_its_end(start: Start) -> None:
    server = await start()
    async with server.client() as client:
        try:
            answer = await client.post("/t/small", content=pieces(10_000, 100_000))
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass  # The server closed the connection before the answer could be read, as it may.
        else:
            assert answer.status_code == 413


@pytest.mark.parametrize("mebibytes", [2, 5, 20])
async def test_a_client_that_sent_far_too_much_may_go_on_at_once(start: Start, mebibytes: int) -> None:
    """The connection that will close is not used again: whoever keeps connections alive asks on another one."""
    server = await start()
    async with server.client() as client:
        for _ in range(20):
            with contextlib.suppress(httpx.TransportError):
                answer = await client.post("/t/small", content=bytes(mebibytes * 2**20))
                assert (answer.status_code, answer.headers["connection"]) == (413, "close")
            assert (await client.get("/t/caller")).status_code == 200


async def test_a_stream_ends_when_its_client_goes(start: Start, folder: Path) -> None:
    server = await start()
    async with server.client() as client, client.stream("GET", "/t/ticks") as answer:
        assert await anext(answer.aiter_raw()) == b"data: first\n\n"
    await appears(folder / "closed")


async def test_an_upload_whose_client_goes_is_cut_off_and_never_looks_whole(start: Start, folder: Path) -> None:
    server = await start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /t/size HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await writer.drain()
    await appears(folder / "receiving")
    writer.transport.abort()
    await appears(folder / "cut off")
    assert not (folder / "received").exists()


async def test_an_answer_that_breaks_ends_the_connection_so_that_it_does_not_look_whole(start: Start, folder: Path) -> None:
    server = await start()
    async with server.client() as client, client.stream("GET", "/t/breaks") as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"half"
        (folder / "go").touch()
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(chunks)
    assert "the response broke off" in server.log.read_text()


async def test_sigterm_lets_requests_finish_takes_no_new_ones_and_ends_with_0(start: Start, folder: Path) -> None:
    server = await start()
    async with server.client() as client, server.client() as watcher, server.client() as late:
        slow = asyncio.create_task(client.get("/t/slow"))
        await appears(folder / "entered")
        async with watcher.stream("GET", "/t/ticks") as ticks:
            chunks = ticks.aiter_raw()
            assert await anext(chunks) == b"data: first\n\n"
            server.process.send_signal(signal.SIGTERM)
            # The endless stream ends, and ends well.
            assert [chunk async for chunk in chunks] == []
        await appears(folder / "closed")
        async with asyncio.timeout(15):  # less than what requests under way are given
            while True:
                try:
                    await late.get("/t/items/name")
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError):
                    break
                await asyncio.sleep(0.01)
        assert not slow.done()
        (folder / "go").touch()
        answer = await slow
        assert (answer.status_code, answer.text) == (200, "done")
    async with asyncio.timeout(10):
        assert await server.process.wait() == 0


async def test_sigint_ends_an_idle_gateway_at_once(start: Start) -> None:
    server = await start()
    server.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        assert await server.process.wait() == 0


async def test_what_does_not_end_is_not_waited_for_for_ever(start: Start, folder: Path) -> None:
    server = await start(setup="import infra.serving; infra.serving.DRAIN_SECONDS = 0.5")
    async with server.client() as client:
        slow = asyncio.create_task(client.get("/t/slow"))
        await appears(folder / "entered")
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await server.process.wait() == 0
        with pytest.raises(httpx.TransportError):
            await slow


async def test_a_port_that_is_taken_is_one_sentence(start: Start) -> None:
    first = await start()
    second = await start(port=first.port, wait=False)
    async with asyncio.timeout(20):
        assert await second.process.wait() == 1
    said = second.log.read_text().strip()
    assert said == f"DocuVault cannot listen on 127.0.0.1:{first.port} (HOST, PORT): Address already in use."


async def test_settings_that_are_wrong_are_one_sentence_each(start: Start) -> None:
    server = await start(wait=False, SECRET_KEY="short", REDIS_URL="")
    async with asyncio.timeout(20):
        assert await server.process.wait() == 1
    lines = server.log.read_text().strip().splitlines()
    assert lines[0] == "DocuVault cannot start; these settings are wrong:"
    assert [line.partition(":")[0] for line in lines[1:]] == ["REDIS_URL", "SECRET_KEY"]


async def test_every_line_it_logs_is_json(start: Start) -> None:
    server = await start(LOG_LEVEL="info", LOG_FORMAT="json")
    async with server.client() as client:
        await client.get("/t/items/name?token=secret-token", headers={"authorization": "Bearer secret-bearer"})
        await client.get("/nothing")
    server.process.send_signal(signal.SIGTERM)
    await server.process.wait()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    requests = [line for line in lines if line["message"] == "request"]
    assert [(line["method"], line["function"], line["status"]) for line in requests] == [("GET", "t_item", 200), ("GET", None, 404)]
    assert "secret" not in server.log.read_text()
