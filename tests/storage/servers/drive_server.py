"""Google Drive's API v3, as its discovery document (which google-api-python-client ships) and its guides describe it."""

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
FOLDER = "application/vnd.google-apps.folder"


class DriveServer:
    """One drive in memory; `token` is the access token that is good. `faults` by method and kind: `PUT upload`, `GET media`, `GET list`."""

    def __init__(self) -> None:
        self.token = "good"
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[tuple[str, str]] = []
        self.changes: list[str] = []
        """Ids of files, one for each change there was."""
        self.page_size = 3
        self.is_shared = False
        """Whether all of it lies in a shared drive: then who does not say that it knows those finds nothing."""
        self._numbers = itertools.count(1)
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def fail(self, what: str, *faults: Fault) -> None:
        self.faults.setdefault(what, []).extend(faults)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["DriveServer"]:
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def add(self, name: str, parent: str = "root", *, content: bytes | None = b"", mime_type: str = "") -> str:
        """A file that somebody else has put there; its id."""
        number = next(self._numbers)
        file_id = f"f{number}"
        kind = mime_type or (FOLDER if content is None else "application/octet-stream")
        self.files[file_id] = {"id": file_id, "name": name, "mimeType": kind, "parents": [parent], "trashed": False, "number": number}
        self._set(file_id, content)
        return file_id

    def change(self, file_id: str, content: bytes) -> None:
        """Somebody writes the file anew."""
        self._set(file_id, content)

    def _set(self, file_id: str, content: bytes | None) -> None:
        file = self.files[file_id]
        self.changes.append(file_id)
        number = next(self._numbers)
        file |= {"modifiedTime": "2026-01-02T03:04:05.000Z", "version": str(number)}
        if content is not None and not file["mimeType"].startswith("application/vnd.google-apps."):
            self.contents[file_id] = content
            file |= {
                "size": str(len(content)),
                "sha256Checksum": hashlib.sha256(content).hexdigest(),
                "md5Checksum": hashlib.md5(content).hexdigest(),
                "headRevisionId": f"r{number}",
            }

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        kind = _kind(request)
        self.asked.append((request.method, kind))
        waiting = self.faults.get(f"{request.method} {kind}")
        if waiting and (response := await waiting.pop(0)(request)) is not None:
            return response
        return await self.respond(request)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return error(401, "authError")
        goes_on = "upload_id" in request.query or path.endswith(("/export", "/about"))
        if self.is_shared and not goes_on and request.query.get("supportsAllDrives") != "true":
            return error(404, "notFound")
        if path.startswith("/upload/"):
            return await self._upload(request)
        if path == "/drive/v3/about":
            return web.json_response({"user": {"emailAddress": "ada@example.org"}})
        if path.startswith("/drive/v3/changes"):
            return self._changed(request)
        if path == "/drive/v3/files":
            if request.method == "POST":
                said = await request.json()
                file_id = self.add(said["name"], said["parents"][0], content=None, mime_type=said.get("mimeType", ""))
                return web.json_response(self.files[file_id])
            if self.is_shared and request.query.get("includeItemsFromAllDrives") != "true":
                return web.json_response({"files": []})
            return self._list(request)
        file = self.files.get(path.removeprefix("/drive/v3/files/").partition("/")[0])
        if file is None:
            return error(404, "notFound")
        if path.endswith("/export"):
            return web.Response(body=b"%PDF exported", content_type="application/pdf")
        if request.method == "DELETE":
            del self.files[file["id"]]
            self.changes.append(file["id"])
            return web.Response(status=204)
        if request.query.get("alt") == "media":
            return self._media(request, self.contents[file["id"]])
        return web.json_response(file)

    def _changed(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/startPageToken"):
            return web.json_response({"startPageToken": str(len(self.changes))})
        start = int(request.query["pageToken"])
        if start > len(self.changes):
            return error(400, "invalid")
        end = start + self.page_size
        page: dict[str, Any] = {"changes": [{"fileId": file_id} for file_id in self.changes[start:end]]}
        page |= {"nextPageToken": str(end)} if end < len(self.changes) else {"newStartPageToken": str(len(self.changes))}
        return web.json_response(page)

    def _media(self, request: web.Request, content: bytes) -> web.StreamResponse:
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if found is None:
            return web.Response(body=content)
        start, end = int(found[1]), min(int(found[2]), len(content) - 1)
        if start >= len(content):
            return error(416, "requestedRangeNotSatisfiable")
        return web.Response(status=206, body=content[start : end + 1], headers={"Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def _list(self, request: web.Request) -> web.StreamResponse:
        found = re.fullmatch(r"'([^']+)' in parents(?: and name = '((?:[^'\\]|\\.)*)')? and trashed = false", request.query["q"])
        if found is None:
            return error(400, "invalid")
        name = None if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
        files = [
            file
            for file in sorted(self.files.values(), key=lambda file: file["number"])
            if found[1] in file["parents"] and not file["trashed"] and (name is None or file["name"].casefold() == name.casefold())
        ]
        skip = int(request.query.get("pageToken", "0"))
        page: dict[str, Any] = {"files": files[skip : skip + self.page_size]}
        if len(files) > skip + self.page_size:
            page["nextPageToken"] = str(skip + self.page_size)
        return web.json_response(page)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        upload_id = request.query.get("upload_id")
        if upload_id is None:
            upload_id = f"u{next(self._numbers)}"
            said = await request.json() if request.can_read_body else {}
            file_id = request.path.removeprefix("/upload/drive/v3/files").strip("/") or None
            self.sessions[upload_id] = {"said": said, "file": file_id, "content": bytearray()}
            return web.Response(headers={"Location": f"{self.url}/upload/drive/v3/files?uploadType=resumable&upload_id={upload_id}"})
        session = self.sessions.get(upload_id)
        if session is None:
            return error(404, "notFound")
        content, received = session["content"], await request.read()
        if found := re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers.get("Content-Range", "")):
            start, end, size = map(int, found.groups())
            if start != len(content) or len(received) != end - start + 1 or (end + 1 != size and len(received) % (256 * 1024)):
                return error(400, "invalid")
            content += received
        else:
            size = int(request.headers.get("Content-Range", "bytes */0").rpartition("/")[2])
        if len(content) < size:
            headers = {"Range": f"bytes=0-{len(content) - 1}"} if content else {}
            return web.Response(status=308, headers=headers)
        del self.sessions[upload_id]
        if session["file"]:
            self._set(session["file"], bytes(content))
            return web.json_response(self.files[session["file"]])
        file_id = self.add(session["said"]["name"], session["said"]["parents"][0], content=bytes(content))
        return web.json_response(self.files[file_id])


def _kind(request: web.Request) -> str:
    if request.path.startswith("/upload/"):
        return "upload"
    if request.query.get("alt") == "media":
        return "media"
    if request.path.endswith("/export"):
        return "export"
    return "list" if request.path == "/drive/v3/files" and request.method == "GET" else "file"


def error(status: int, reason: str) -> web.StreamResponse:
    said = {"error": {"code": status, "message": reason, "errors": [{"domain": "global", "reason": reason, "message": reason}]}}
    return web.Response(status=status, text=json.dumps(said), content_type="application/json")


def refusing(status: int, reason: str) -> Fault:
    async def fault(request: web.Request) -> web.StreamResponse:
        await request.read()
        return error(status, reason)

    return fault
