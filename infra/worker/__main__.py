"""`python -m infra.worker`: serves all event functions on WORKER_HOST:WORKER_PORT until SIGTERM; running ones may finish."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.worker.discovery import EVENT_FOLDERS
from shared import temporary
from shared.config import SettingsError, settings

log = logging.getLogger("docuvault.worker")


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's exit code: 0 after a stop that was asked for, 1 if it could not start."""
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
    temporary.remove_stale()
    from infra.serving import CannotListen, serve_until_stopped
    from infra.worker.app import Worker
    from infra.worker.discovery import load_event_functions
    from shared.mail.delivery import warning_at_start
    from shared.observability.logs import configure

    configure(settings().log_level, settings().log_format)
    if warning := warning_at_start(settings()):
        log.warning(warning)
    host, port = settings().worker_host, settings().worker_port
    try:
        serve_until_stopped(lambda: Worker(load_event_functions(chosen.functions or EVENT_FOLDERS)), host, port)
    except CannotListen as reason:
        print(f"The worker cannot listen on {host}:{port} (WORKER_HOST, WORKER_PORT): {reason}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
