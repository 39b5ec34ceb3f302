"""Files and folders that are this user's alone."""

import contextlib
import os
from pathlib import Path

from infra.processes import ProcessUser, StartError


def own_folder(folder: Path, user: ProcessUser | None) -> None:
    """Makes the folder, or takes the one that is there if nobody else made it or may change what is in it. Raises StartError.

    What is in a folder decides what our programs run, read and speak to, and some lie where everybody may make one (/tmp).
    """
    with contextlib.suppress(FileExistsError):  # what it is, is looked at below
        folder.mkdir(parents=True, mode=0o700)
    ours = {os.geteuid()} if user is None else {os.geteuid(), user.uid}
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except NotADirectoryError:
        raise StartError(f"{folder} is a link or a file, where DocuVault needs a folder of its own: remove it.") from None
    try:
        facts = os.fstat(opened)
        if facts.st_uid not in ours or facts.st_mode & 0o022:
            raise StartError(f"{folder} belongs to another user, or others may write in it: remove it, or `chmod 700` it if you trust it.")
        if user is not None:
            os.fchown(opened, user.uid, user.gid)
    finally:
        os.close(opened)


def write_private(file: Path, text: str) -> None:
    """Replaces the file by one that only its owner may read. An interrupted write leaves the old content or all of the new one."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    fresh.rename(file)


def is_foreign(path: Path) -> bool:
    """Whether somebody else has made something of that name."""
    try:
        return path.lstat().st_uid != os.geteuid()
    except FileNotFoundError:
        return False
