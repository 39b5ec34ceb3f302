"""Running a function on an untrusted file in a child process that can do nothing but read it and answer.

    finished = await sandbox.run("shared.extraction.reading:read", file, {"filename": "letter.pdf"})

The parent's half: it starts the fork server (`forkserver.py`), hands it jobs, waits no longer than the limit, reads the response as what
it is: bytes from a process that may have been taken over. The response is JSON of bounded size, never pickle; who calls `run` checks its
shape. A cancelled call kills its child; a parent that dies takes fork server and children along; a fork server that dies is started again
for the next job.
"""

import array
import asyncio
import atexit
import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from shared.extraction import cleaning, parts
from shared.extraction.failures import (
    EXIT_NOT_CONFINED,
    ExtractionCrashed,
    ExtractionFailed,
    ExtractionOutOfMemory,
    ExtractionTimeout,
    SandboxUnavailable,
    failure,
)
from shared.extraction.limits import KIB, Limits

_log = logging.getLogger(__name__)

_BOOT = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from shared.extraction import forkserver; forkserver.main(int(sys.argv[1]))"
)  # fmt: skip
_OUT_OF_MEMORY = re.compile(r"memory allocation of \d+ bytes failed|out of memory|cannot allocate memory|bad_alloc|MemoryError", re.I)
_LONG = 512 * KIB

MAX_CRASHES = 3
"""Parts of one document that may each make a reader die and are left out alone."""


@dataclass(frozen=True)
class Finished:
    """What a task gave back: its JSON object and bytes, and the CPU time of the child in milliseconds."""

    value: dict[str, Any]
    blob: bytes
    cpu_milliseconds: float


async def run(
    task: str, file: BinaryIO | int, arguments: dict[str, Any], limits: Limits | None = None, *, server: str = "reading"
) -> Finished:
    """Run `module:function` in a confined child with `file` (open for reading) and `arguments` (JSON).

    The child is forked from the `server` of that name, which is started if it does not run. What a task has loaded ahead stays in its
    server, and each child of that costs more for it: 6 ms for 80 MB of Tesseract's models, 5 ms for 25 MB of chardet's. So tasks that need
    much have a server of their own.

    A child that dies while it is at a part of the document is followed by one that leaves this part out, and after MAX_CRASHES of them by
    one that leaves out all parts of the kind from there on; all within the wall time of one.

    Raises what the task raised if that was an ExtractionFailed; ExtractionTimeout, ExtractionOutOfMemory or ExtractionCrashed if the child
    did not come to its end; SandboxUnavailable if children cannot be made or confined."""
    limits = limits or Limits()
    ends = time.monotonic() + limits.wall_seconds
    skipped: list[parts.Skipped] = []
    while True:
        try:
            left = replace(limits, wall_seconds=ends - time.monotonic())
            return await _run_once(_server(server), task, file, arguments, left, skipped)
        except (ExtractionTimeout, ExtractionOutOfMemory, ExtractionCrashed) as died:
            if died.part is None or len(skipped) > MAX_CRASHES or time.monotonic() >= ends:
                raise
            kind, number = died.part
            _log.warning("the reader of a document died at %s %d, which is left out: %s", kind, number, died.code)
            skipped.append((kind, number, parts.LAST if len(skipped) == MAX_CRASHES else number))


async def _run_once(
    server: "_ForkServer", task: str, file: BinaryIO | int, arguments: dict[str, Any], limits: Limits, skipped: Sequence[parts.Skipped]
) -> Finished:
    loop = asyncio.get_running_loop()
    data = bytearray()
    with contextlib.ExitStack() as closing:
        answer, child_answer = socket.socketpair()
        lease, child_lease = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (answer, lease):
            closing.enter_context(end).setblocking(False)
        job = json.dumps({"task": task, "arguments": arguments, "limits": asdict(limits), "skipped": skipped}).encode()
        with child_answer, child_lease:
            descriptor = file if isinstance(file, int) else file.fileno()
            server.submit(job, [descriptor, child_answer.fileno(), child_lease.fileno()])
        try:
            async with asyncio.timeout(limits.wall_seconds):
                await _read_to_end(loop, answer, data, limits.output_bytes)
                report = await loop.sock_recv(lease, 64 * 1024)
        except TimeoutError:
            raise ExtractionTimeout() from None
    if not report:
        raise SandboxUnavailable("The process that reads documents was stopped; it is started again.")
    ended = json.loads(report)
    judge = partial(_finished, bytes(data), ended, limits)
    # a long text would hold the event loop up
    return judge() if len(data) < _LONG else await asyncio.to_thread(judge)


async def start() -> None:
    """Start the server for quick reading ahead of the first document (half a second of imports, in its own process)."""
    _server("reading").ensure_running()


def stop() -> None:
    """End the fork servers of this process and their children, if there are any."""
    for server in _servers.values():
        server.stop()


async def _read_to_end(loop: asyncio.AbstractEventLoop, answer: socket.socket, data: bytearray, limit: int) -> None:
    while chunk := await loop.sock_recv(answer, 256 * 1024):
        data += chunk
        if len(data) > limit:
            raise ExtractionCrashed("The file made its reader answer without end.")


def _finished(data: bytes, ended: dict[str, Any], limits: Limits) -> Finished:
    """Judge how a child ended, as its fork server reports it, and take its response apart."""
    status, cpu_ms, errors = ended["status"], ended["cpu_ms"], ended["errors"]
    level = logging.WARNING if status != 0 or "Traceback" in errors else logging.DEBUG
    _log.log(level, "a child of the sandbox ended with status %d: %s", os.waitstatus_to_exitcode(status), errors[-2000:].strip())
    if status != 0:
        died = _cause_of_death(status, cpu_ms, errors, limits)
        died.part = ended["part"]
        raise died
    return _taken_apart(data, cpu_ms)


def _cause_of_death(status: int, cpu_ms: float, errors: str, limits: Limits) -> ExtractionFailed:
    """Raises SandboxUnavailable if the child never began."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU or (number and cpu_ms >= limits.cpu_seconds * 1000):
        return ExtractionTimeout()
    # SIGKILL is the kernel short of memory: we kill only children that nobody waits for
    if number == signal.SIGKILL or _OUT_OF_MEMORY.search(errors):
        return ExtractionOutOfMemory()
    if os.waitstatus_to_exitcode(status) == EXIT_NOT_CONFINED:
        raise SandboxUnavailable(f"Documents are not read because the sandbox cannot be made here: {errors[:200]}")
    return ExtractionCrashed()


def _taken_apart(data: bytes, cpu_ms: float) -> Finished:
    length = int.from_bytes(data[:4], "big")
    try:
        message = json.loads(data[4 : 4 + length])
    except (ValueError, RecursionError):
        raise ExtractionCrashed() from None
    if not isinstance(message, dict):
        raise ExtractionCrashed()
    if isinstance(failed := message.get("failed"), dict):
        raise failure(str(failed.get("code")), cleaning.clean(str(failed.get("detail", "")))[:500])
    if not isinstance(value := message.get("value"), dict):
        raise ExtractionCrashed()
    return Finished(value, data[4 + length :], cpu_ms)


class _ForkServer:
    """This process's fork server: started on first use, again when it died, ended with the process. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._owner = 0

    def submit(self, job: bytes, descriptors: list[int]) -> None:
        with self._lock:
            for _ in range(2):
                control = self._running()
                try:
                    control.sendmsg([job], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
                    return
                except TimeoutError:
                    break
                except OSError:
                    self._end()
            raise SandboxUnavailable("The process that reads documents does not answer.")

    def ensure_running(self) -> None:
        with self._lock:
            self._running()

    def stop(self) -> None:
        with self._lock:
            self._end()

    def _running(self) -> socket.socket:
        if self._owner != os.getpid():  # forked: the server is our parent's
            self._process = self._control = None
            self._owner = os.getpid()
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._end()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.settimeout(5)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _BOOT, str(theirs.fileno()), *_import_path()],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    cwd="/",
                )
            except OSError as error:
                control.close()
                raise SandboxUnavailable(f"The process that reads documents cannot be started: {error.strerror}.") from error
        self._control = control
        return control

    def _end(self) -> None:
        if self._owner != os.getpid():
            return
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._control = None


_servers: dict[str, _ForkServer] = {}
atexit.register(stop)


def _server(name: str) -> _ForkServer:
    return _servers.setdefault(name, _ForkServer())


def _import_path() -> list[str]:
    root = str(Path(__file__).resolve().parents[2])
    return [root, *(path for path in sys.path if path and path != root and os.path.isabs(path))]


def _environment() -> dict[str, str]:
    """All the environment that the fork server and its children get: nothing of ours but where shared libraries lie."""
    environment = {
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "OMP_THREAD_LIMIT": "1",  # Tesseract: one document, one thread
        "RAYON_NUM_THREADS": "1",
        "TOKIO_WORKER_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MiB of the child's address space
    }
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return environment
