"""`python -m infra.broker`: runs one broker until SIGTERM or SIGINT; running deliveries may finish."""

import asyncio
import signal
import sys

from shared.config import SettingsError, settings


async def _run() -> None:
    from infra.broker.broker import run_broker

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_broker(settings(), stop)


def main() -> int:
    """The process's exit code: 0 after a stop that was asked for, 1 if it could not start."""
    from infra.functions import check_remote

    try:
        chosen = settings()
        check_remote(chosen.remote_functions)
    except SettingsError as wrong:
        print(wrong, file=sys.stderr)
        return 1
    import uvloop

    from shared.observability.logs import configure

    configure(chosen.log_level, chosen.log_format)
    uvloop.run(_run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
