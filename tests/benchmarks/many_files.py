"""A folder of many files on a server that speaks as Google Drive or Microsoft Graph does, in a process of its own.

    python -m tests.benchmarks.many_files drive|graph 50000

Prints its address, and serves until it is killed. The pages are made before: what is measured is who reads them.
"""

import asyncio
import json
import sys
from typing import Any

from aiohttp import web

from tests.storage.servers.drive_server import FOLDER, DriveServer
from tests.storage.servers.graph_server import GraphServer

DRIVE_PAGE, GRAPH_PAGE = 1000, 200
"""Files a page, as asked for."""


class ManyOnDrive(DriveServer):
    def __init__(self, count: int) -> None:
        super().__init__()
        files = [self._file(number) for number in range(count)]
        self._pages = [
            json.dumps({"files": files[skip : skip + DRIVE_PAGE]} | _next(skip + DRIVE_PAGE, count)) for skip in range(0, count, DRIVE_PAGE)
        ]

    def _list(self, request: web.Request) -> web.StreamResponse:
        if "name = " in request.query["q"]:
            return web.json_response({"files": [{"id": "many", "name": "many", "mimeType": FOLDER, "parents": ["root"], "trashed": False}]})
        return web.Response(text=self._pages[int(request.query.get("pageToken", "0")) // DRIVE_PAGE], content_type="application/json")

    def _file(self, number: int) -> dict[str, Any]:
        described = {"id": f"f{number}", "name": f"{number}.pdf", "mimeType": "application/pdf", "parents": ["many"], "trashed": False}
        content = {"size": "1", "sha256Checksum": f"{number:064x}", "md5Checksum": f"{number:032x}", "headRevisionId": f"r{number}"}
        return described | content | {"modifiedTime": "2026-01-02T03:04:05.000Z", "version": str(number)}


class ManyOnGraph(GraphServer):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.put("many/0.pdf", b"x")
        file = self._described("many/0.pdf")
        self._files = [file | {"id": str(number), "name": f"{number}.pdf"} for number in range(count)]

    def _children(self, request: web.Request, key: str) -> web.StreamResponse:
        skip = int(request.query.get("$skiptoken", "0"))
        page: dict[str, Any] = {"value": self._files[skip : skip + GRAPH_PAGE]}
        if skip + GRAPH_PAGE < len(self._files):
            page["@odata.nextLink"] = f"{self.url}{request.rel_url.raw_path.removeprefix('/v1.0')}?$skiptoken={skip + GRAPH_PAGE}"
        return web.json_response(page)


def _next(skip: int, count: int) -> dict[str, str]:
    return {"nextPageToken": str(skip)} if skip < count else {}


async def serve(kind: str, count: int) -> None:
    server = ManyOnDrive(count) if kind == "drive" else ManyOnGraph(count)
    async with server.running():
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
