"""What is ours in the system's temporary folder: removed when it has served, and by the next process if its owner was killed.

A name says what it is and whose: `docuvault-<kind>-<user's number>-…`. Its owner holds a lock on it (flock(2)), which the kernel ends with
the process however that ends. `remove_stale` takes away what nobody holds, and only what is surely ours: of our name, our user's (or
`nobody`'s, as whom root runs PostgreSQL), with nothing for others to write, neither a link nor anything but a file or a folder.
"""

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Kind = Literal["original", "sockets", "tests", "benchmark"]
"""An owner's document while it is read; PostgreSQL's sockets; what a run of tests or a benchmark keeps."""

YOUNG_SECONDS = 60.0
"""What was changed so lately may be about to be locked."""

_NAME = re.compile(rf"docuvault-(?:original|sockets|tests|benchmark)-{os.geteuid()}-\w+")
_held: dict[Path, int] = {}
"""Descriptors that hold the locks of this process."""


def path_of(kind: Kind, name: str, parent: str | None = None) -> Path:
    """Where something of that kind and name lies."""
    return Path(parent or tempfile.gettempdir()) / f"{_prefix(kind)}{name}"


@contextlib.contextmanager
def file(kind: Kind) -> Iterator[Path]:
    """An empty file, until the end."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=_prefix(kind))
        path = Path(name)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is(path, descriptor):
            break
        os.close(descriptor)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


@contextlib.contextmanager
def folder(kind: Kind) -> Iterator[Path]:
    """An empty folder, until the end; what a killed process left behind is removed first."""
    remove_stale()
    path = made(kind)
    try:
        yield path
    finally:
        remove(path)


def made(kind: Kind) -> Path:
    """A new folder, held by this process until `remove`."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_prefix(kind)))
        if hold(path):
            return path


def hold(path: Path) -> bool:
    """Locks a folder until `remove` or this process's end; others may hold it too. False if it was removed meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if not _is(path, descriptor):
        os.close(descriptor)
        return False
    _release(path)
    _held[path] = descriptor
    return True


def remove(path: Path) -> None:
    """Removes a folder with all that is in it."""
    shutil.rmtree(path, ignore_errors=True)
    _release(path)


def remove_stale() -> None:
    """Removes what owners that are gone have left in the temporary folder."""
    for name in os.listdir(tempfile.gettempdir()):
        if _NAME.fullmatch(name):
            with contextlib.suppress(OSError):
                _remove_if_stale(Path(tempfile.gettempdir(), name))


def _remove_if_stale(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(facts.st_mode)
        ours = facts.st_uid in _our_users() and not facts.st_mode & 0o022 and (is_folder or stat.S_ISREG(facts.st_mode))
        if not ours or time.time() - facts.st_mtime < YOUNG_SECONDS:
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is(path, descriptor):
            return
        if is_folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _our_users() -> set[int]:
    users = {os.geteuid()}
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError):
            users.add(pwd.getpwnam("nobody").pw_uid)
    return users


def _prefix(kind: Kind) -> str:
    return f"docuvault-{kind}-{os.geteuid()}-"


def _is(path: Path, descriptor: int) -> bool:
    """Whether the path still names what was opened."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _release(path: Path) -> None:
    descriptor = _held.pop(path, None)
    if descriptor is not None:
        os.close(descriptor)
