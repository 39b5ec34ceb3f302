"""Knative's own source, as the Go module proxy has it: the types of a cluster, and what its ConfigMaps hold before anybody changes them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

KNATIVE = "knative.dev/serving@v0.51.0"


class NotFetched(Exception):
    """Go modules cannot be had here; the message says why."""


def go() -> str:
    """The program. Raises NotFetched."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if found is None:
        raise NotFetched("there is no Go")
    return found


def module(name: str) -> Path:
    """The folder of a module (`path@version`), fetched if it is not here yet. Raises NotFetched."""
    download = subprocess.run([go(), "mod", "download", "-json", name], cwd="/", capture_output=True, text=True, timeout=300, check=False)
    told: dict[str, Any] = json.loads(download.stdout or "{}")
    if "Dir" not in told:
        raise NotFetched(f"{name} cannot be fetched: {told.get('Error', download.stderr)}")
    return Path(told["Dir"])
