"""`python -m infra.reindex [--all]`: indexes documents anew that an older version indexed, with progress; `scripts/reindex` calls it."""

import argparse
import asyncio
import sys
import time

from shared.db import database
from shared.documents.reindexing import Progress, reindex
from shared.errors import Unavailable


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/reindex", description="Indexes documents anew while the vault serves.")
    parser.add_argument("--all", action="store_true", help="every document, not only those that an older version indexed")
    options = parser.parse_args(arguments)
    try:
        progress = asyncio.run(_run(everything=options.all))
    except Unavailable as down:
        print(down.detail, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next call goes on from here.", file=sys.stderr)
        return 130
    print(f"{progress.done} documents indexed anew, {progress.left} left.")
    return 0 if not progress.left else 1


async def _run(*, everything: bool) -> Progress:
    began = time.monotonic()

    def show(progress: Progress) -> None:
        rate = progress.done / max(0.001, time.monotonic() - began)
        print(f"{progress.done} done, {progress.left} left, {rate:.0f} documents/s", flush=True)

    try:
        return await reindex(everything=everything, progress=show)
    finally:
        await database().close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
