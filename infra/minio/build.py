"""Builds the real MinIO server at a pinned version: `python -m infra.minio.build` prints where it is.

Upstream publishes source only, so `go install` compiles it: about 5 minutes and 1.5 GB on two cores, once; it is kept in
`$XDG_CACHE_HOME/docuvault` (`~/.cache/docuvault`), which is what CI keeps between runs. A server of this very version that somebody's
`go install` has left behind already is taken.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
"""What `go install github.com/minio/minio@latest` resolved to in November 2026."""
_BUILD_SECONDS = 3600


class BuildError(Exception):
    """MinIO cannot be had here; the message says why in a sentence."""


def built() -> Path | None:
    """The server, if it has been built already."""
    program = _folder() / "minio"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        return None
    places = subprocess.run([go, "env", "GOBIN", "GOPATH"], capture_output=True, text=True, check=False).stdout.split("\n")
    candidates = [Path(places[0]) / "minio"] if places[0] else []
    candidates += [Path(place) / "bin" / "minio" for place in places[1].split(os.pathsep) if place]
    return next((candidate for candidate in candidates if candidate.exists() and _version(go, candidate) == VERSION), None)


def build() -> Path:
    """The server; built now if it has not been. Raises BuildError."""
    program = built()
    if program is not None:
        return program
    go = shutil.which("go")
    if go is None:
        raise BuildError("Go is not installed, and MinIO is published as source only.")
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second waits and finds it
        if not (folder / "minio").exists():
            fresh = folder / "building"
            outcome = subprocess.run(
                [go, "install", f"{MODULE}@{VERSION}"],
                env={**os.environ, "GOBIN": str(fresh), "CGO_ENABLED": "0"},
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
                check=False,
            )
            if outcome.returncode != 0:
                raise BuildError(f"MinIO could not be built: {(outcome.stderr.strip().splitlines() or ['no reason given'])[-1]}")
            (fresh / "minio").rename(folder / "minio")
    return folder / "minio"


def cache() -> Path:
    """The folder that keeps what takes long to build, from one run to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "docuvault"


def _folder() -> Path:
    return cache() / f"minio-{VERSION}"


def _version(go: str, binary: Path) -> str:
    lines = subprocess.run([go, "version", "-m", str(binary)], capture_output=True, text=True, check=False).stdout.splitlines()
    module = next((line.split() for line in lines if line.split()[:2] == ["mod", MODULE]), [])
    return module[2] if len(module) > 2 else ""


def main() -> int:
    try:
        sys.stdout.write(f"{build()}\n")
    except BuildError as impossible:
        sys.stderr.write(f"{impossible}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
