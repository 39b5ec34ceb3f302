"""Nextcloud's protocol: files, its own API, and uploads in chunks (version 2), as its developer manual describes them."""

import hashlib
import json
import shutil
from pathlib import Path

from aiohttp import web

from tests.storage.servers.dav_server import DavServer, receive

ACCOUNT = "u-1f3a"
"""The account's id, which is not the name one signs in with."""


class NextcloudServer(DavServer):
    prefix = f"/remote.php/dav/files/{ACCOUNT}"
    uploads_prefix = f"/remote.php/dav/uploads/{ACCOUNT}"

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        super().__init__(folder / "files", host)
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        self.merging = 0
        """How often a MOVE finds that the merge is still going on; then the file is there and the upload is gone."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def tag_of(self, path: Path) -> str:
        """A folder's changes with all that happens in it."""
        if not path.is_dir():
            return super().tag_of(path)
        within = sorted((str(each), super(NextcloudServer, self).tag_of(each)) for each in path.rglob("*"))
        return hashlib.sha256(repr(within).encode()).hexdigest()[:16]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path.startswith("/ocs/v2.php/"):
            return self._ocs(request, path.removeprefix("/ocs/v2.php/"))
        if path.startswith(self.uploads_prefix):
            return await self._chunks(request, path.removeprefix(self.uploads_prefix).strip("/"))
        if request.method == "PATCH" and "X-Recalculate-Hash" in request.headers:
            return web.Response(status=204)  # rclone asks for it after each upload
        return await super().respond(request)

    def _ocs(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.headers.get("OCS-APIRequest") != "true":
            return web.Response(status=412)
        data = {"cloud/user": {"id": ACCOUNT}, "cloud/capabilities": {"capabilities": {"dav": {"chunking": "1.0"}}}}[path]
        return web.Response(text=json.dumps({"ocs": {"meta": {"status": "ok"}, "data": data}}), content_type="application/json")

    async def _chunks(self, request: web.Request, path: str) -> web.StreamResponse:
        if request.method != "DELETE" and "Destination" not in request.headers:
            return web.Response(status=400)
        name, _, chunk = path.partition("/")
        upload = self.uploads / name
        if request.method == "MKCOL":
            upload.mkdir()
            return web.Response(status=201)
        if not upload.is_dir():
            return web.Response(status=404)
        match request.method:
            case "PUT":
                if not chunk.isdecimal() or not 1 <= int(chunk) <= 10_000:
                    return web.Response(status=400)
                return await receive(request, upload / chunk)
            case "DELETE":
                shutil.rmtree(upload)
                return web.Response(status=204)
            case "MOVE" if chunk == ".file":
                return self._merge(request, upload)
        return web.Response(status=405)

    def _merge(self, request: web.Request, upload: Path) -> web.StreamResponse:
        from tests.storage.servers.dav_server import _inside

        target = _inside(self.folder, request.headers["Destination"].partition(str(self.port))[2], self.prefix)
        chunks = sorted(path for path in upload.iterdir())
        if sum(path.stat().st_size for path in chunks) != int(request.headers["OC-Total-Length"]):
            return web.Response(status=400)
        if self.merging > 1:
            self.merging -= 1
            return web.Response(status=423)
        with target.open("wb") as file:
            for path in chunks:
                file.write(path.read_bytes())
        shutil.rmtree(upload)
        if self.merging:
            self.merging = 0
            return web.Response(status=423)  # the client hears of the end by the next request's 404
        return web.Response(status=201)
