"""`./scripts/serve [--port 8080] [--data-dir .docuvault]`: the whole system on this machine, until SIGTERM or SIGINT."""

import argparse
import asyncio
import errno
import io
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from infra.local.data_folder import cannot_write, held
from infra.local.environment import forget_other_programs
from infra.local.stack import ROOT, Stack
from infra.port_probe import check_port
from infra.processes import StartError

DEFAULT_PORT = 8080


def main() -> int:
    """The exit code of `./scripts/serve`."""
    options = argparse.ArgumentParser(
        prog="./scripts/serve",
        description="Starts DocuVault on this machine: gateway, worker, broker, and whichever of PostgreSQL, Valkey and S3 store the "
        "environment does not name (DATABASE_URL, REDIS_URL, MINIO_ENDPOINT). Keeps its data between runs. Ctrl-C stops it.",
    )
    options.add_argument("--port", type=port_number, help="where it listens, on 127.0.0.1 unless HOST says otherwise (PORT, or 8080)")
    options.add_argument(
        "--data-dir", type=folder_name, default=ROOT / ".docuvault", help="where it keeps its data (.docuvault beside the code)"
    )
    chosen = options.parse_args()
    forget_other_programs(os.environ)
    return run(serve(chosen.port or asked_port(), chosen.data_dir), chosen.data_dir)


def run(serving: Coroutine[Any, Any, int], data_dir: Path) -> int:
    """Runs to the end; a problem that a person can solve becomes one sentence and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what a terminal's encoding lacks is no reason to stop
    try:
        code = asyncio.run(serving)
        sys.stdout.flush()
        return code
    except StartError as problem:
        print(problem, file=sys.stderr)
    except BrokenPipeError:
        # Nobody reads any more, so there is nobody to tell; nor is there at exit, when Python would try again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            print(cannot_write(data_dir, problem), file=sys.stderr)
        else:
            print(f"DocuVault cannot go on: {problem}", file=sys.stderr)
    return 1


async def serve(port: int, data_dir: Path, during: Callable[[Stack], Awaitable[int | None]] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, or until `during` (run once everything is ready) gives an exit code. Raises StartError."""
    stop, at_once = _stop_signals()
    with held(data_dir) as folder:
        require_free(port)
        stack = Stack(folder, port, os.environ, _complain)
        if not await _unless(stop, stack.start()):
            await stack.kill()
            return 130
        code: int | None = None
        try:
            print(f"DocuVault is ready at {stack.url}", flush=True)
            if during is not None:
                answered = await _unless(stop, _wrapped(during, stack))
                code = answered[0] if answered else 130
            if code is None:
                await stop.wait()
                code = 0
        finally:
            stopping = asyncio.create_task(stack.stop())
            forced = asyncio.create_task(at_once.wait())
            await asyncio.wait({stopping, forced}, return_when=asyncio.FIRST_COMPLETED)
            forced.cancel()
            if not stopping.done():
                stopping.cancel()
                await asyncio.gather(stopping, return_exceptions=True)
                await stack.kill()
            else:
                await stopping
    return code


def require_free(port: int) -> None:
    """Raises StartError if another program listens on the port, or may not be listened on."""
    host = os.environ.get("HOST", "").strip() or "127.0.0.1"
    try:
        check_port(host, port)
    except PermissionError:
        raise StartError(f"Port {port} is reserved for root: choose one from 1024 up with --port.") from None
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            raise StartError(f"Port {port} is taken by another program: choose another with --port.") from None
        raise StartError(f"HOST: {host} is not an address of this machine. Example: HOST=127.0.0.1") from None


def folder_name(text: str) -> Path:
    """For argparse. An empty name, as of a variable that is not set, would mean the folder one stands in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


def asked_port() -> int:
    """The environment's PORT, or 8080. Raises SystemExit."""
    text = os.environ.get("PORT", "").strip()
    try:
        return port_number(text) if text else DEFAULT_PORT
    except argparse.ArgumentTypeError as wrong:
        raise SystemExit(f"PORT: {wrong}. Example: PORT=8080") from None


def port_number(text: str) -> int:
    """For argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return int(text)


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first SIGTERM or SIGINT, and by the second."""
    first, second = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, stop)
    return first, second


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> tuple[Any] | None:
    """What `work` gives, in a tuple; None if `stop` was set before it was done: then it is cancelled."""
    running = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not running.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return None
    return (await running,)


async def _wrapped(during: Callable[[Stack], Awaitable[int | None]], stack: Stack) -> int | None:
    return await during(stack)


def _complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
