"""A server that speaks as Nextcloud does, in a process of its own: `python -m tests.benchmarks.nextcloud_files FOLDER`.

Prints its address, and serves the folder until it is killed.
"""

import asyncio
import sys
from pathlib import Path

from tests.storage.servers.nextcloud_server import NextcloudServer


async def serve(folder: Path) -> None:
    folder.mkdir()
    server = NextcloudServer(folder)
    async with server.running():
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
