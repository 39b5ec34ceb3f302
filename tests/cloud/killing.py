"""kill -9 of a process at each request that it sends to a cloud, before the request is carried out and after."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from uuid import UUID

from aiohttp import web

from infra.functions import ROOT
from tests.cloud.clouds import METHODS, Cloud

PROGRAM = """
import asyncio, json, sys
from uuid import UUID
from shared.cloud import exports, imports, moves, watching
from shared.db import TenantDatabase, database
async def main():
    db = TenantDatabase(database(), UUID(sys.argv[1]))
    print(await {call})
asyncio.run(main())
"""


class Deadly:
    """Kills the process that sends the request of that number, before it is carried out or after."""

    process: asyncio.subprocess.Process

    def __init__(self, cloud: Cloud, number: int, *, after: bool) -> None:
        self._cloud, self._number, self._after, self._seen = cloud, number, after, 0

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        self._seen += 1
        if self._seen <= self._number:
            return None
        response: web.StreamResponse | None = await self._cloud.server.respond(request) if self._after else None
        self.process.kill()
        return response or web.Response(status=500)


async def killed_at_each_request(cloud: Cloud, owner: UUID, call: str) -> AsyncIterator[None]:
    """Runs `call` in a process of its own again and again, killed one request later each time, until it comes through.

    After each kill the test looks at what is there then. Raises AssertionError if the last one fails.
    """
    number, after = 0, False
    while True:
        deadly = Deadly(cloud, number, after=after)
        for method in METHODS[cloud.provider]:
            cloud.server.faults[method] = [deadly] * 100
        deadly.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM.format(call=call), str(owner), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        _, said = await deadly.process.communicate()
        cloud.server.faults.clear()
        if deadly.process.returncode != -signal.SIGKILL:
            assert deadly.process.returncode == 0, said.decode()[-2000:]
            return
        yield
        number, after = (number, True) if not after else (number + 1, False)
