"""The one place that starts child processes of the local stack.

A child never outlives the process that started it, however that ended (the kernel sends the child a signal), and it writes to a log file,
never to the console. Children must be started from the main thread: the kernel watches the thread, not the process.
"""

import asyncio
import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """Something could not be started; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class ProcessUser:
    """Whom a child runs as, when this process is root and the child refuses to be."""

    uid: int
    gid: int
    searches: bool = False
    """Keeps the right to pass through folders that are closed to others (a checkout under /root)."""


def unprivileged_user(*paths: Path) -> ProcessUser | None:
    """Whom to run a program as that refuses to be root, or None if this process is not root.

    `paths` are what the child must reach.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise StartError("PostgreSQL refuses to run as root and this system has no user `nobody`: start as an ordinary user.") from None
    return ProcessUser(entry.pw_uid, entry.pw_gid, searches=not all(open_to_others(path) for path in paths))


async def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: ProcessUser | None = None,
    end_signal: signal.Signals = signal.SIGTERM,
) -> asyncio.subprocess.Process:
    """Starts `command`; its output is appended to `log`, and it gets `end_signal` when this process ends for whatever reason."""
    parent = os.getpid()
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(os.environ if environ is None else environ),
            cwd=directory,
            start_new_session=True,
            preexec_fn=_child_setup(parent, end_signal, user),
        )


async def run(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: ProcessUser | None = None,
) -> tuple[int, str]:
    """Runs `command` to its end; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ if environ is None else environ),
        cwd=directory,
        start_new_session=True,
        preexec_fn=_child_setup(os.getpid(), signal.SIGKILL, user),
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")


async def stop(process: asyncio.subprocess.Process, *, with_signal: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
    """Asks a child to end, and ends it by force if it has not after `seconds`."""
    if process.returncode is not None:
        return
    try:
        process.send_signal(with_signal)
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    except ProcessLookupError:
        await process.wait()


def command_line(pid: int) -> str:
    """The command line of a running process, words parted by spaces; empty if there is none."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" "))
    except OSError:
        return ""


def working_in(folder: Path) -> dict[int, str]:
    """Command lines of the processes that work in the folder or below it, by process id."""
    commands = {}
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                inside = Path(os.readlink(process / "cwd")).is_relative_to(folder)
            except OSError:
                continue
            if inside:
                commands[int(process.name)] = command_line(int(process.name))
    return commands


def last_line(log: Path) -> str:
    """The last line that says something in a log, for messages."""
    try:
        with log.open("rb") as text:
            text.seek(max(0, log.stat().st_size - 4096))
            lines = text.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def first_error(output: str) -> str:
    """The line of a program's output that says what went wrong, for messages."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next(
        (line for line in lines if "error" in line.lower() or "fatal" in line.lower()), lines[-1] if lines else "no reason was given"
    )


def bare_environment() -> dict[str, str]:
    """No PG* variable, proxy or locale of the caller changes what a service does."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "HOME": "/nonexistent"}


def open_to_others(path: Path) -> bool:
    """Whether everybody may pass through the folders on the way to it."""
    return all(part.stat().st_mode & 0o001 for part in path.resolve().parents)


def _child_setup(parent: int, end_signal: signal.Signals, user: ProcessUser | None) -> Callable[[], None]:
    """What the child does between fork and exec: plain system calls only."""

    def setup() -> None:
        os.umask(0o077)  # sockets, too, are for their owner alone
        if user is not None:
            capability = _search_capability() if user.searches else None
            if capability is not None:
                _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
            os.setgroups([])
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
            if capability is not None:
                _keep(capability)
        # After the change of user: that clears it.
        _libc.prctl(_PR_SET_PDEATHSIG, int(end_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return setup


def _search_capability() -> int | None:
    held = next((line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapPrm")), "CapPrm: 0")
    bits = int(held.split()[1], 16)
    return next((bit for bit in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if bits >> bit & 1), None)


def _keep(capability: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    if _libc.capset(header, data) != 0 or _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0:
        sys.stderr.write("cannot keep the right to search folders\n")
