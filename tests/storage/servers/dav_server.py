"""A WebDAV server that does as it is told: what it does wrong, and when, a test decides (`faults`); what it was asked, it remembers."""

import asyncio
import base64
import contextlib
import hashlib
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

USER, PASSWORD = "märz", "gehe:im ü"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]


class DavServer:
    """Files in `folder`, at `/dav`."""

    prefix = "/dav"

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.host = host
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.asked: list[Asked] = []
        self.connections: set[object] = set()
        """Of which requests came."""
        self.faults: dict[str, list[Fault]] = {}
        """By method: each is used once, in order."""
        self.ignores_ranges = False
        self.port = 0
        self.tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://{self.host}:{self.port}{self.prefix}"

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults.setdefault(method, []).extend(faults)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["DavServer"]:
        app = web.Application(client_max_size=2**40)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, auto_decompress=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, self.host, self.port, ssl_context=self.tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.method, unquote(request.rel_url.raw_path), dict(request.headers)))
        self.connections.add(None if request.transport is None else request.transport.get_extra_info("peername"))
        faults = self.faults.get(request.method)
        if faults:
            response = await faults.pop(0)(request)
            if response is not None:
                return response
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != expected:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return await self.respond(request)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if not request.rel_url.raw_path.startswith(self.prefix):
            return web.Response(status=404)
        return await self.serve_files(request, self.prefix, self.folder)

    async def serve_files(self, request: web.Request, prefix: str, folder: Path) -> web.StreamResponse:
        path = _inside(folder, request.rel_url.raw_path, prefix)
        match request.method:
            case "PROPFIND":
                return await self._propfind(request, path)
            case "GET" | "HEAD":
                return self._get(request, path)
            case "PUT":
                return await receive(request, path)
            case "OPTIONS":
                return web.Response(headers={"DAV": "1", "Allow": "OPTIONS, PROPFIND, GET, PUT, MKCOL, DELETE, MOVE"})
            case "MKCOL":
                if await request.read():
                    return web.Response(status=415)
                if path.exists():
                    return web.Response(status=405)
                if not path.parent.exists():
                    return web.Response(status=409)
                path.mkdir()
                return web.Response(status=201)
            case "DELETE":
                if not path.exists():
                    return web.Response(status=404)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                return web.Response(status=204)
            case "MOVE":
                if not path.exists():
                    return web.Response(status=404)
                target = _inside(folder, urlsplit(request.headers["Destination"]).path, prefix)
                if target.exists() and request.headers.get("Overwrite") == "F":
                    return web.Response(status=412)
                path.replace(target)
                return web.Response(status=201)
        return web.Response(status=405)

    def _get(self, request: web.Request, path: Path) -> web.StreamResponse:
        if not path.is_file():
            return web.Response(status=404)
        if self.ignores_ranges:
            return web.Response(body=path.read_bytes(), content_type="application/octet-stream")
        return web.FileResponse(path)

    async def _propfind(self, request: web.Request, path: Path) -> web.StreamResponse:
        await request.read()
        if not path.exists():
            return web.Response(status=404)
        shown = [path]
        if request.headers.get("Depth") == "1" and path.is_dir():
            shown += sorted(path.iterdir())
        base = request.rel_url.raw_path.rstrip("/")
        responses = []
        for each in shown:
            href = base if each is path else f"{base}/{quote(each.name, safe='')}"
            responses.append(self.described(each, href + ("/" if each.is_dir() else "")))
        body = f'<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">{"".join(responses)}</d:multistatus>'
        return web.Response(status=207, body=body.encode(), content_type="application/xml")

    def tag_of(self, path: Path) -> str:
        stat = path.stat()
        return hashlib.sha256(f"{stat.st_ino} {stat.st_mtime_ns} {stat.st_size}".encode()).hexdigest()[:16]

    def described(self, path: Path, href: str) -> str:
        stat = path.stat()
        at = format_datetime(datetime.fromtimestamp(stat.st_mtime, UTC), usegmt=True)
        etag = self.tag_of(path)
        kind = "<d:resourcetype><d:collection/></d:resourcetype>" if path.is_dir() else "<d:resourcetype/>"
        size = "" if path.is_dir() else f"<d:getcontentlength>{stat.st_size}</d:getcontentlength>"
        return (
            f"<d:response><d:href>{escape(href)}</d:href>"
            f"<d:propstat><d:prop>{kind}{size}<d:getlastmodified>{at}</d:getlastmodified><d:getetag>&quot;{etag}&quot;</d:getetag></d:prop>"
            "<d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
            "<d:propstat><d:prop><d:getcontenttype/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>"
        )


def status(code: int, **headers: str) -> Fault:
    """A response with this status; the request's body is read before."""

    async def fault(request: web.Request) -> web.StreamResponse:
        async for _ in request.content.iter_chunked(2**16):
            pass
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return fault


def body(code: int, content: bytes, content_type: str) -> Fault:
    async def fault(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=code, body=content, content_type=content_type)

    return fault


def cut_after(received: int = 0) -> Fault:
    """The connection breaks once so many bytes of the request have come."""

    async def fault(request: web.Request) -> web.StreamResponse:
        came = 0
        while came < received and (chunk := await request.content.readany()):
            came += len(chunk)
        assert request.transport is not None
        request.transport.abort()
        await asyncio.sleep(0)
        return web.Response(status=500)

    return fault


async def receive(request: web.Request, path: Path) -> web.StreamResponse:
    if not path.parent.is_dir():
        return web.Response(status=409)
    existed = path.exists()
    with path.open("wb") as file:
        async for chunk in request.content.iter_chunked(2**18):
            file.write(chunk)
    return web.Response(status=204 if existed else 201)


def _inside(folder: Path, raw_path: str, prefix: str) -> Path:
    segments = [unquote(segment) for segment in raw_path.removeprefix(prefix).strip("/").split("/")]
    if any(segment in (".", "..") for segment in segments):
        raise web.HTTPBadRequest
    return folder.joinpath(*segments)
