"""Microsoft Graph's drive, as its documentation describes it: items by path, upload sessions, downloads by redirect.

What it does wrong, and when, a test decides (`faults`, by method and kind of address: `PUT fragment`, `GET item`, `GET content`).
"""

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote

from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]

FRAGMENT_UNIT = 320 * 1024


@dataclass
class Item:
    name: str
    content: bytes | None
    """None for folders."""
    tag: int
    changed_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Session:
    key: str
    replace: bool
    content: bytearray = field(default_factory=bytearray)
    cancelled: bool = False


class GraphServer:
    """One drive in memory; `token` is the access token that is good."""

    def __init__(self) -> None:
        self.token = "good"
        self.items: dict[str, Item] = {}
        self.sessions: dict[str, Session] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.rewrites_office = False
        """As SharePoint does: what arrives as an Office file is stored with a few bytes more."""
        self.page_size = 3
        self.changes: list[str] = []
        """Names of items, one for each change there was."""
        self._tags = itertools.count(1)
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1.0"

    def fail(self, what: str, *faults: Fault) -> None:
        self.faults.setdefault(what, []).extend(faults)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["GraphServer"]:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        action = "fragment" if path.startswith("/session/") else "content" if path.startswith("/download/") else _action(path)
        self.asked.append((request.method, action, dict(request.headers)))
        waiting = self.faults.get(f"{request.method} {action}")
        if waiting and (response := await waiting.pop(0)(request)) is not None:
            return response
        return await self.respond(request)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        signed = path.startswith(("/session/", "/download/"))
        if signed:
            if "Authorization" in request.headers:
                return _error(401, "the address is signed; a token does not belong here")
            return await (self._fragment(request) if path.startswith("/session/") else self._download(request))
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return _error(401, "InvalidAuthenticationToken")
        if path == "/v1.0/me/drive":
            return web.json_response({"id": "d", "driveType": "personal", "owner": {"user": {"displayName": "Ada"}}})
        found = re.fullmatch(r"/v1\.0/me/drive/root(?::/(.*?):)?(/\w+)?", path)
        if found is None:
            return _error(400, "invalidRequest")
        key = "/".join(unquote(segment) for segment in (found[1] or "").split("/"))
        return await self._drive(request, key, found[2] or "")

    async def _drive(self, request: web.Request, key: str, action: str) -> web.StreamResponse:
        match request.method, action:
            case "GET", "":
                return web.json_response(self._described(key)) if self._exists(key) else _error(404, "itemNotFound")
            case "GET", "/delta":
                return self._changed(request)
            case "GET", "/children":
                return self._children(request, key) if self._exists(key) else _error(404, "itemNotFound")
            case "GET", "/content":
                if self._find(key) is None:
                    return _error(404, "itemNotFound")
                # The address has an escape that must not be written otherwise.
                number = list(self.items).index(self._find(key) or "")
                raise web.HTTPFound(f"http://127.0.0.1:{self._port}/download/{number}%2Fsigned%20x?sig=a%2Bb%3D")
            case "PUT", "/content":
                return self._store(key, await request.read(), request.query.get("@microsoft.graph.conflictBehavior") != "fail", 201)
            case "POST", "/createUploadSession":
                wanted = await request.json()
                replace = wanted["item"]["@microsoft.graph.conflictBehavior"] == "replace"
                if not replace and self._find(key):
                    return _error(409, "nameAlreadyExists")
                name = f"s{len(self.sessions)}"
                self.sessions[name] = Session(key, replace)
                return web.json_response({"uploadUrl": f"http://127.0.0.1:{self._port}/session/{name}", "nextExpectedRanges": ["0-"]})
            case "DELETE", "":
                found = self._find(key)
                if found is None:
                    return _error(404, "itemNotFound")
                del self.items[found]
                self.changes.append(key)
                return web.Response(status=204)
        return _error(405, "notAllowed")

    async def _fragment(self, request: web.Request) -> web.StreamResponse:
        session = self.sessions.get(request.path.rpartition("/")[2])
        if session is None or session.cancelled:
            return _error(404, "itemNotFound")
        if request.method == "DELETE":
            session.cancelled = True
            return web.Response(status=204)
        state = {"nextExpectedRanges": [f"{len(session.content)}-"]}
        if request.method == "GET":
            return web.json_response(state)
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers["Content-Range"])
        assert found is not None
        start, end, size = map(int, found.groups())
        content = await request.read()
        if len(content) != end - start + 1 or (end + 1 != size and len(content) % FRAGMENT_UNIT and start % FRAGMENT_UNIT == 0):
            return _error(400, "invalidRequest")
        if start != len(session.content):
            return _error(416, "invalidRange")
        session.content += content
        if len(session.content) < size:
            return web.json_response({"nextExpectedRanges": [f"{len(session.content)}-{size - 1}"]}, status=202)
        session.cancelled = True
        return self._store(session.key, bytes(session.content), session.replace, 201)

    def _store(self, key: str, content: bytes, replace: bool, status: int) -> web.StreamResponse:
        existing = self._find(key)
        if existing and not replace:
            return _error(409, "nameAlreadyExists")
        item = Item(key.rpartition("/")[2], content, next(self._tags))
        self.items[existing or key] = item
        self.changes.append(key)
        said = self._described(existing or key)
        if self.rewrites_office and key.endswith((".docx", ".xlsx", ".pptx")):
            item.content = content + b"<properties/>"
        return web.json_response(said, status=status)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        if "/download/" not in request.rel_url.raw_path or not request.rel_url.raw_path.endswith("%2Fsigned%20x"):
            return _error(403, "the address was written otherwise")
        if request.rel_url.raw_query_string != "sig=a%2Bb%3D":
            return _error(403, "the signature does not fit")
        key = list(self.items)[int(request.path.removeprefix("/download/").partition("/")[0])]
        content = self.items[key].content or b""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if found is None:
            return web.Response(body=content)
        start, end = int(found[1]), min(int(found[2]), len(content) - 1)
        return web.Response(status=206, body=content[start : end + 1], headers={"Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def _children(self, request: web.Request, key: str) -> web.StreamResponse:
        prefix = f"{key}/" if key else ""
        names = sorted({path.removeprefix(prefix).partition("/")[0] for path in self.items if path.startswith(prefix)})
        if not names and self._find(key):
            return web.json_response({"value": []})
        skip = int(request.query.get("$skiptoken", "0"))
        page = {"value": [self._described(prefix + name) for name in names[skip : skip + self.page_size]]}
        if len(names) > skip + self.page_size:
            page["@odata.nextLink"] = f"{self.url}{request.rel_url.raw_path.removeprefix('/v1.0')}?$skiptoken={skip + self.page_size}"  # type: ignore[assignment]
        return web.json_response(page)

    def _changed(self, request: web.Request) -> web.StreamResponse:
        """A drive that was changed tells its root among what has changed."""
        token, now = request.query.get("token", "0"), len(self.changes)
        start = now if token == "latest" else int(token)
        if start > now:
            return _error(410, "resyncRequired")
        end = min(start + self.page_size, now)
        items: list[dict[str, object]] = [{"id": name, "name": name, "file": {}} for name in self.changes[start:end]]
        said: dict[str, object] = {"value": [{"id": "r", "name": "root", "root": {}}, *items] if token != "latest" else []}
        address = f"{self.url}/me/drive/root/delta?token={end}"
        return web.json_response(said | ({"@odata.nextLink": address} if end < now else {"@odata.deltaLink": address}))

    def put(self, key: str, content: bytes) -> None:
        """A file that somebody else has put there."""
        self.items[self._find(key) or key] = Item(key.rpartition("/")[2], content, next(self._tags))
        self.changes.append(key)

    def _find(self, key: str) -> str | None:
        """The file's key as it was stored: names are told apart regardless of case."""
        return next((each for each in self.items if each.casefold() == key.casefold()), None)

    def _exists(self, key: str) -> bool:
        return not key or self._find(key) is not None or any(each.startswith(f"{key}/") for each in self.items)

    def _described(self, key: str) -> dict[str, object]:
        found = self._find(key)
        said: dict[str, object] = {"id": hashlib.sha256(key.encode()).hexdigest()[:16], "name": key.rpartition("/")[2] or "root"}
        if found is None:
            return said | {"folder": {"childCount": 1}, "lastModifiedDateTime": "2026-01-02T03:04:05Z", "cTag": "f"}
        item = self.items[found]
        content = item.content or b""
        return said | {
            "size": len(content),
            "lastModifiedDateTime": item.changed_at.isoformat().replace("+00:00", "Z"),
            "eTag": f'"e{item.tag}"',
            "cTag": f'"c{item.tag}"',
            "file": {"mimeType": "application/octet-stream", "hashes": {"quickXorHash": "x"}},
        }


def _action(path: str) -> str:
    name = path.rpartition(":/")[2] if ":/" in path else path.rpartition("/")[2]
    return name if name in ("children", "content", "createUploadSession", "delta") else "item"


def _error(status: int, code: str) -> web.StreamResponse:
    return web.Response(status=status, text=json.dumps({"error": {"code": code, "message": code}}), content_type="application/json")
