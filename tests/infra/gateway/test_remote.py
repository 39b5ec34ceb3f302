"""Functions in services of their own: what the gateway hands on, what it keeps to itself, and what happens when a service is gone."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from infra.gateway.app import Gateway
from infra.gateway.remote import LASTING_SHARE, RemoteFunctions
from infra.local.ports import free_port_block
from shared.config import settings
from shared.faas.client_addresses import SIGNED_CLIENT_HEADER, signed_client
from shared.faas.routing import Router
from tests.faas.asgi import Exchange, ask, declared, scope
from tests.infra.gateway.conftest import Running, Start, appears
from tests.infra.gateway.functions import DECLARATIONS

To = Callable[[str], Gateway]


@pytest.fixture
async def to() -> AsyncIterator[To]:
    """`to(url)`: a gateway whose functions all live at `url`."""
    made: list[RemoteFunctions] = []

    def gateway(url: str) -> Gateway:
        made.append(RemoteFunctions(url))
        return Gateway(Router(DECLARATIONS), made[-1])

    yield gateway
    for remote in made:
        await remote.close()


@pytest.fixture
async def service(start: Start) -> Running:
    """All the functions behind granian."""
    return await start()


async def test_a_function_alone_under_the_framework_is_called_by_its_service_name(start: Start, to: To) -> None:
    alone = await start(target="t_item")
    gateway = to(f"http://127.0.0.1:{alone.port}")
    heard = await ask(gateway, "GET", "/t/items/a%20b?x=1")
    assert (heard.status, heard.body) == (200, b"a b")
    assert heard.header("x-content-type-options") == "nosniff"
    assert (await ask(gateway, "HEAD", "/t/items/name")).header("content-length") == "4"
    assert (await ask(gateway, "PUT", "/t/items/name")).status == 405


async def test_only_the_functions_that_are_named_are_services_of_their_own() -> None:
    remote = RemoteFunctions("http://127.0.0.1:9", ["t_item"])
    gateway = Gateway(Router(DECLARATIONS), remote)
    assert (await ask(gateway, "GET", "/t/items/name")).code == "unavailable"
    assert (await ask(gateway, "GET", "/t/caller")).status == 200
    await remote.close()


async def test_the_template_names_the_service(to: To) -> None:
    asked: list[str] = []

    class Nothing(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            return
            yield b""

    class Recording(RemoteFunctions):
        def _http(self, *, lasting: bool) -> httpx.AsyncClient:
            def answer(request: httpx.Request) -> httpx.Response:
                asked.append(f"{request.method} {request.url} {request.headers['host']}")
                return httpx.Response(204, stream=Nothing())

            return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    async def get_some_thing(call: object) -> None: ...

    template = "http://{service}.docuvault.svc.cluster.local/"
    gateway = Gateway(Router([declared("GET", "/api/things/{thing_id}", get_some_thing)]), Recording(template))
    assert (await ask(gateway, "GET", "/api/things/7?a=b%20c&a=d")).status == 204
    host = "get-some-thing.docuvault.svc.cluster.local"
    assert asked == [f"GET http://{host}/api/things/7?a=b%20c&a=d {host}"]


async def test_the_clients_address_and_the_origin_it_called_arrive(service: Running, to: To) -> None:
    heard = await ask(to(service.url), "GET", "/t/caller", client=("203.0.113.9", 1), scheme="https")
    assert heard.json()["address"] == "203.0.113.9"
    assert heard.json()["origin"] == "https://vault.test"
    assert heard.json()["request_id"] == heard.header("x-request-id")


async def test_what_an_outsider_says_of_its_address_is_not_handed_on(service: Running, to: To) -> None:
    lies = {
        "x-forwarded-for": "198.51.100.1",
        "forwarded": "for=198.51.100.1",
        SIGNED_CLIENT_HEADER: "198.51.100.1 https://evil.test 1 00",
    }
    told = (await ask(to(service.url), "GET", "/t/caller", headers=lies, client=("203.0.113.9", 1))).json()
    assert told["address"] == "203.0.113.9"
    assert "198.51.100.1" not in str(told["headers"])


async def test_a_gateway_behind_a_gateway_is_believed(service: Running, to: To) -> None:
    headers = {SIGNED_CLIENT_HEADER: signed_client("198.51.100.7", "https://outer.test")}
    told = (await ask(to(service.url), "GET", "/t/caller", headers=headers)).json()
    assert (told["address"], told["origin"]) == ("198.51.100.7", "https://outer.test")


async def test_headers_for_one_hop_are_not_handed_on_in_either_direction(service: Running, to: To) -> None:
    headers = {
        "connection": "keep-alive, X-Hop",
        "x-hop": "1",
        "te": "trailers",
        "proxy-authorization": "x",
        "upgrade": "h2c",
        "accept": "a/b",
    }
    heard = await ask(to(service.url), "GET", "/t/caller", headers=headers)
    told = heard.json()["headers"]
    assert told["accept"] == "a/b"
    assert {"x-hop", "te", "proxy-authorization", "upgrade"} & set(told) == set()
    assert told["host"] == f"127.0.0.1:{service.port}"
    assert {name for name, _ in heard.headers} & {"connection", "x-internal", "transfer-encoding", "keep-alive"} == set()


async def test_repeated_headers_of_an_answer_stay_apart(service: Running, to: To) -> None:
    heard = await ask(to(service.url), "GET", "/t/caller")
    assert [value for name, value in heard.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2; Path=/"]
    for name in ("x-request-id", "x-frame-options", "cache-control", "content-length"):
        assert len([header for header, _ in heard.headers if header == name]) == 1


async def test_nothing_of_one_caller_stays_for_the_next(service: Running, to: To) -> None:
    gateway = to(service.url)
    assert (await ask(gateway, "GET", "/t/caller")).header("set-cookie") is not None
    told = (await ask(gateway, "GET", "/t/caller")).json()["headers"]
    assert set(told) <= {"host", "x-request-id", SIGNED_CLIENT_HEADER}


async def test_an_answer_is_compressed_only_for_who_asks_for_it(service: Running, to: To) -> None:
    heard = await ask(to(service.url), "GET", f"/t/items/{'x' * 3000}")
    assert (heard.header("content-encoding"), heard.body) == (None, b"x" * 3000)


async def test_a_compressed_answer_is_handed_on_as_it_is(service: Running, to: To) -> None:
    import gzip

    heard = await ask(to(service.url), "GET", f"/t/items/{'x' * 3000}", headers={"accept-encoding": "gzip"})
    assert heard.header("content-encoding") == "gzip"
    assert gzip.decompress(heard.body) == b"x" * 3000


@pytest.mark.parametrize("headers", [{"content-length": "3000000"}, {"transfer-encoding": "chunked"}])
async def test_a_body_is_handed_on_as_it_comes(service: Running, to: To, folder: Path, headers: dict[str, str]) -> None:
    exchange = Exchange(to(service.url), scope("POST", "/t/size", headers=headers))
    exchange.send(b"x" * 1_000_000, more=True)
    await appears(folder / "receiving")
    exchange.send(b"x" * 2_000_000)
    assert (await exchange.end()).body == b"3000000"


async def test_a_body_over_the_limit_is_413_before_the_service_is_asked(to: To) -> None:
    nobody = to(f"http://127.0.0.1:{free_port_block(1)}")
    assert (await ask(nobody, "POST", "/t/small", headers={"content-length": "100001"})).status == 413


async def test_a_body_that_grows_over_the_limit_is_413(service: Running, to: To) -> None:
    heard = await ask(to(service.url), "POST", "/t/small", body=[b"x" * 60_000] * 2, headers={"transfer-encoding": "chunked"})
    assert (heard.status, heard.code) == (413, "body_too_large")


async def test_an_upload_whose_client_goes_is_cut_off_at_the_service_too(service: Running, to: To, folder: Path) -> None:
    exchange = Exchange(to(service.url), scope("POST", "/t/size", headers={"transfer-encoding": "chunked"}))
    exchange.send(b"half of it", more=True)
    await appears(folder / "receiving")
    exchange.leave()
    await exchange.end()
    await appears(folder / "cut off")
    assert not (folder / "received").exists()


async def test_a_stream_arrives_as_it_is_made_and_ends_at_the_service_when_its_client_goes(service: Running, to: To, folder: Path) -> None:
    exchange = Exchange(to(service.url), scope("GET", "/t/ticks"))
    exchange.send(b"")
    await exchange.until(lambda heard: heard.body == b"data: first\n\n")
    (folder / "second").touch()
    await exchange.until(lambda heard: heard.body == b"data: first\n\ndata: second\n\n")
    exchange.leave()
    await exchange.end()
    await appears(folder / "closed")


async def test_through_a_real_gateway_a_stream_ends_at_the_service_when_its_client_goes(
    service: Running, start: Start, folder: Path
) -> None:
    gateway = await start("create_remote", FUNCTION_URL_TEMPLATE=service.url)
    async with gateway.client() as client, client.stream("GET", "/t/ticks") as answer:
        assert await anext(answer.aiter_raw()) == b"data: first\n\n"
    await appears(folder / "closed")


async def test_a_service_that_cannot_be_reached_is_503_with_retry_after(services: None, to: To) -> None:
    heard = await ask(to(f"http://127.0.0.1:{free_port_block(1)}"), "GET", "/t/caller", headers={"x-request-id": "request-1"})
    assert (heard.status, heard.code) == (503, "unavailable")
    assert heard.header("retry-after") == "2"
    assert heard.header("x-request-id") == "request-1"
    assert heard.header("x-frame-options") == "DENY"


async def test_a_service_whose_name_is_unknown_is_503(services: None, to: To) -> None:
    assert (await ask(to("http://no-such-host.invalid"), "GET", "/t/caller")).status == 503


async def test_a_service_that_dies_before_it_answers_is_503(service: Running, to: To, folder: Path) -> None:
    asking = asyncio.create_task(ask(to(service.url), "GET", "/t/slow"))
    await appears(folder / "entered")
    service.process.kill()
    assert (await asking).status == 503


async def test_a_service_that_dies_in_the_middle_of_an_answer_does_not_make_it_look_whole(service: Running, to: To) -> None:
    exchange = Exchange(to(service.url), scope("GET", "/t/ticks"))
    exchange.send(b"")
    await exchange.until(lambda heard: heard.body == b"data: first\n\n")
    service.process.kill()
    with pytest.raises(httpx.TransportError):
        await exchange.end()
    assert not exchange.answer.complete


async def test_a_service_that_says_nothing_for_too_long_is_503(service: Running, to: To, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.gateway import remote

    monkeypatch.setattr(remote, "ANSWER_TIMEOUT_SECONDS", 0.3)
    assert (await ask(to(service.url), "GET", "/t/slow")).status == 503


async def test_what_no_function_answers_is_404_without_asking_anyone(services: None, to: To) -> None:
    heard = await ask(to(f"http://127.0.0.1:{free_port_block(1)}"), "GET", "/nothing")
    assert (heard.status, heard.code) == (404, "not_found")


async def test_event_streams_take_no_connection_from_those_who_ask(service: Running, to: To, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_CONNECTIONS", "64")
    settings.cache_clear()
    try:
        gateway, listening = to(service.url), []
        for _ in range(64 // LASTING_SHARE):
            listening.append(Exchange(gateway, scope("GET", "/t/ticks")))
            listening[-1].send(b"")
            await listening[-1].until(lambda heard: heard.body == b"data: first\n\n")
        one_more = await ask(gateway, "GET", "/t/ticks")
        assert (one_more.status, one_more.code, one_more.header("retry-after")) == (503, "unavailable", "2")
        assert (await ask(gateway, "GET", "/t/caller")).status == 200
        for each in listening:
            each.leave()
            await each.end()
    finally:
        monkeypatch.undo()
        settings.cache_clear()
