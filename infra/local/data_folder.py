"""The folder that the local stack keeps everything in: one stack at a time, with keys of its own, cleared of what a killed run left."""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shlex
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.environment import LIBPQ
from infra.local.private_files import write_private
from infra.processes import StartError, working_in

ROOM_BYTES = 256 * 2**20
"""What must be free to start: PostgreSQL's first write-ahead log and catalogues take 60 MB, the store's first volume a few."""
LONGEST_PATH = 800
"""PostgreSQL takes 1,023 bytes (MAXPGPATH), of which its own files need some."""
_LEFTOVER_SECONDS = 20.0
_OURS = re.compile(r"-m infra\.(gateway|worker|broker)\b|/weed .*\bmini\b|/valkey-server ")

_HEADER = """\
# Made by ./scripts/serve on its first start: the keys and passwords of this data folder. Without them what is in it cannot be read.
# Any other setting may be added (SMTP_HOST=…). What the environment sets wins over what stands here.
"""


@dataclass(frozen=True)
class DataFolder:
    """A data folder that this process holds."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def settings(self, generated: Mapping[str, str]) -> dict[str, str]:
        """What `settings.env` says; what it lacks of `generated` is added to it first."""
        file = self.path / "settings.env"
        stored = dict(_assignments(file.read_text())) if file.exists() else {}
        missing = {name: value for name, value in generated.items() if name not in stored}
        if missing:
            text = file.read_text() if file.exists() else _HEADER
            write_private(file, text + "".join(f"{name}={value}\n" for name, value in missing.items()))
        return stored | missing

    def offer(self, environ: Mapping[str, str]) -> None:
        """Leaves `functions.env`, from which a shell takes what a function needs to run alone beside this stack, and forgets what would
        bend it."""
        lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in environ.items())
        write_private(self.path / "functions.env", f"unset {' '.join(LIBPQ)}\n{lines}")

    def end_leftovers(self) -> None:
        """Waits for what a killed run has left behind to end, as the kernel has told it to; ends it by force if it does not."""
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        while left := list(self._leftovers()):
            if time.monotonic() > deadline:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _leftovers(self) -> Iterator[int]:
        # All our children work in the data folder; a person's shell that stands in it is told apart by what it runs. PostgreSQL leaves
        # a file of its own that names it, and has its own way to be ended.
        for pid, command in working_in(self.path).items():
            if pid != os.getpid() and _OURS.search(command):
                yield pid


@contextlib.contextmanager
def held(path: Path) -> Iterator[DataFolder]:
    """The folder, made if it is missing, and nobody else's until the end. Raises StartError."""
    path = path.expanduser().resolve()
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise StartError(f"The path of {path} has more than {LONGEST_PATH} bytes: choose a shorter one with --data-dir.")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = path.stat()
        if facts.st_mode & 0o002 or (os.geteuid() != 0 and facts.st_uid != os.geteuid()):
            raise StartError(f"{path} is another user's, or everybody may write in it: choose another folder with --data-dir.")
        (path / "logs").mkdir(exist_ok=True, mode=0o700)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as refused:
        raise StartError(cannot_write(path, refused)) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode(errors="replace").strip() or "starting"
            raise StartError(
                f"Another DocuVault (process {holder}) is using {path}: stop it, or choose another folder with --data-dir."
            ) from None
        room = os.statvfs(path)
        free = room.f_bavail * room.f_frsize
        if free < ROOM_BYTES:
            raise StartError(
                f"The disk of {path} is full: {free // 2**20} MB are free, and DocuVault needs {ROOM_BYTES // 2**20} MB to start; "
                "make room, or choose another folder with --data-dir."
            )
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as refused:
            raise StartError(cannot_write(path, refused)) from None
        folder = DataFolder(path)
        folder.end_leftovers()
        yield folder
    finally:
        os.close(lock)


def cannot_write(path: Path, refused: OSError) -> str:
    """The sentence for a data folder that cannot be written."""
    if refused.errno == errno.ENOSPC:
        return f"The disk of {path} is full: make room, or choose another folder with --data-dir."
    return f"The data folder {path} cannot be written ({refused.strerror}): choose another with --data-dir."


def fresh_keys() -> dict[str, str]:
    """Random keys and passwords for a new data folder."""
    return {
        "SECRET_KEY": secrets.token_hex(32),
        "CLOUD_CREDS_KEY": secrets.token_hex(32),
        "REDIS_PASSWORD": secrets.token_hex(20),
        "MINIO_ROOT_USER": "docuvault",
        "MINIO_ROOT_PASSWORD": secrets.token_hex(20),
    }


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            yield name.strip(), value.strip()
