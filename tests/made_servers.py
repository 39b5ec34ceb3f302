"""How `tests.compose` and `tests.cluster` make the servers that they prove things on."""

import shlex
import subprocess
from pathlib import Path


class Unprovable(Exception):
    """A server cannot be had here; the message says why."""


def run(*command: str | Path, **options: object) -> str:
    """What it prints. Raises Unprovable."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise Unprovable(f"{shlex.join(str(part) for part in command)}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return str(done.stdout).strip()
