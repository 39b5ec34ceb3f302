"""Functions to serve in tests; those that wait do so for a file in T_FOLDER, and leave one there to say how far they are."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

from infra.gateway.app import Gateway
from shared.faas import Call, RequestModel, Response, endpoint
from shared.faas.client_addresses import called_origin
from shared.faas.declarations import ENDPOINTS, AtOnce
from shared.faas.routing import Router


class Said(RequestModel):
    text: str


def folder() -> Path:
    return Path(os.environ["T_FOLDER"])


async def _appears(name: str) -> None:
    while not (folder() / name).exists():
        await asyncio.sleep(0.01)


@endpoint("GET", "/t/caller", auth="none", returns="application/json")
async def t_caller(call: Call) -> Response:
    told = {
        "address": call.client_address,
        "origin": called_origin({}, call.headers),
        "request_id": call.request_id,
        "headers": dict(call.headers),
    }
    cookies = [("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/"), ("connection", "x-internal"), ("x-internal", "1")]
    return Response.content(json.dumps(told).encode(), "application/json", headers=cookies)


@endpoint("GET", "/t/items/{name}", auth="none", returns="text/plain")
async def t_item(call: Call) -> Response:
    return Response.content(call.path.text("name").encode(), "text/plain; charset=utf-8")


@endpoint("POST", "/t/echo", auth="none", body="stream", returns="text/plain", max_body=20_000_000)
async def t_echo(call: Call) -> Response:
    async def upper() -> AsyncIterator[bytes]:
        async for chunk in call.stream:
            yield chunk.upper()

    return Response.stream(upper(), "text/plain")


@endpoint("POST", "/t/size", auth="none", body="stream", returns="text/plain", max_body=20_000_000)
async def t_size(call: Call) -> Response:
    size = 0
    try:
        async for chunk in call.stream:
            size += len(chunk)
            (folder() / "receiving").touch()
    except BaseException:
        (folder() / "cut off").touch()
        raise
    (folder() / "received").touch()
    return Response.content(str(size).encode(), "text/plain")


@endpoint("POST", "/t/small", auth="none", body="stream", returns="text/plain", max_body=100_000)
async def t_small(call: Call) -> Response:
    return Response.content(str(sum([len(chunk) async for chunk in call.stream])).encode(), "text/plain")


@endpoint("GET", "/t/ticks", auth="none", returns="text/event-stream", at_once=AtOnce(account=1000, address=1000))
async def t_ticks(call: Call) -> Response:
    async def ticks() -> AsyncIterator[bytes]:
        try:
            yield b"data: first\n\n"
            await _appears("second")
            yield b"data: second\n\n"
            await asyncio.Event().wait()
        finally:
            (folder() / "closed").touch()

    return Response.stream(ticks(), "text/event-stream")


@endpoint("GET", "/t/endless", auth="none", returns="application/octet-stream")
async def t_endless(call: Call) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(2**16)
        finally:
            (folder() / "closed").touch()

    return Response.stream(chunks(), "application/octet-stream")


@endpoint("POST", "/t/json", auth="none", body=Said, returns="text/plain")
async def t_json(call: Call[Said]) -> Response:
    return Response.content(call.body.text.encode(), "text/plain")


@endpoint("GET", "/t/slow", auth="none", returns="text/plain")
async def t_slow(call: Call) -> Response:
    (folder() / "entered").touch()
    await _appears("go")
    return Response.content(b"done", "text/plain")


@endpoint("GET", "/t/breaks", auth="none", returns="text/plain")
async def t_breaks(call: Call) -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        await _appears("go")
        raise RuntimeError("lost")

    return Response.stream(half(), "text/plain")


DECLARATIONS = [ENDPOINTS.pop(name) for name in list(ENDPOINTS) if name.startswith("t_")]


def create() -> Gateway:
    """All of them in one process."""
    return Gateway(Router(DECLARATIONS))


def create_remote() -> Gateway:
    """A gateway to all of them, by FUNCTION_URL_TEMPLATE."""
    from infra.gateway.remote import RemoteFunctions
    from shared.config import settings

    return Gateway(Router(DECLARATIONS), RemoteFunctions(settings().function_url_template))
