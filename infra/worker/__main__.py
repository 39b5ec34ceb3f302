"""`python -m infra.worker`: serves all event functions on WORKER_HOST:WORKER_PORT until SIGTERM; running ones may finish."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.worker.discovery import EVENT_FOLDERS
from shared.config import SettingsError, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code: 0 after a stop that was asked for, 1 where it could not start."""
    options = argparse.ArgumentParser(prog="python -m infra.worker", description=__doc__)
    options.add_argument(
        "--functions", type=Path, action="append", help="a folder of event functions (default: functions/events, functions/schedules)"
    )
    chosen = options.parse_args(arguments)
    try:
        settings()
    except SettingsError as wrong:
        print(wrong, file=sys.stderr)
        return 1
    import uvloop

    from infra.worker.server import CannotServe, serve
    from shared.observability.logs import configure

    configure(settings().log_level, settings().log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            drained = runner.run(serve(chosen.functions or EVENT_FOLDERS, settings().worker_host, settings().worker_port))
        except CannotServe as reason:
            print(reason, file=sys.stderr)
            return 1
        if not drained:
            # The server's own threads still hold the connections of functions that do not end; nothing would make them let go.
            logging.shutdown()
            os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
