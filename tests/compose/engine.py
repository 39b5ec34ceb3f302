"""A Docker Engine with its Compose, of one run's own, from Debian's packages: it has mounts and a network of its own.

There is no way out of that network, so what asks the vault something runs in it, too (`inside`). When it ends, nothing of it is left.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("docker.io", "docker-cli", "docker-compose", "iptables", "iproute2", "procps", "ca-certificates")
CGROUP = "docuvault-compose-test"
START_SECONDS = 120

NAMESPACES = """
set -eu
root="$1" data="$2"; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
for shared in "$@"; do mkdir -p "$root$shared"; mount --bind "$shared" "$root$shared"; done
mount --bind "$data" "$root/var/lib/docker"
ip link set lo up
cd "$root"
mkdir -p .before
pivot_root . .before
umount -l .before
exec chroot . dockerd --exec-root /run/docker-exec --pidfile /run/dockerd.pid --host unix:///run/docker.sock \\
  --storage-driver overlay2 --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/CGROUP"
"""


class NoEngine(Exception):
    """It does not run here; the message says why."""


def inside(engine: int) -> list[str]:
    """What a command line begins with that is to run in the engine's network."""
    return ["nsenter", "--target", str(engine), "--net"]


@contextmanager
def running(root: Path, folder: Path, shared: Sequence[Path]) -> Iterator[int]:
    """The engine's process. `root` has PACKAGES, `folder` what it keeps, `shared` are seen by it under their own names.

    Within, `docker` is on the PATH. Raises NoEngine.
    """
    data, programs = folder / "docker", folder / "bin"
    for each in (data, programs):
        each.mkdir(exist_ok=True)
    script = NAMESPACES.replace("CGROUP", CGROUP)
    command = ["unshare", "--mount", "--net", "sh", "-c", script, "sh", str(root), str(data), *(str(each) for each in shared)]
    with (folder / "dockerd.log").open("w") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    path = os.environ["PATH"]
    try:
        (programs / "docker").write_text(
            f"#!/bin/sh\nexec nsenter --target {engine.pid} --mount --net --root "
            "env DOCKER_HOST=unix:///run/docker.sock PATH=/usr/sbin:/usr/bin:/sbin:/bin "
            """sh -c 'cd "$1"; shift; exec docker "$@"' sh "$PWD" "$@"\n"""
        )
        (programs / "docker").chmod(0o755)
        os.environ["PATH"] = f"{programs}:{path}"
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(["docker", "version"], capture_output=True, check=False).returncode != 0:
            if engine.poll() is not None or time.monotonic() > deadline:
                raise NoEngine(f"no Docker Engine runs here: {(folder / 'dockerd.log').read_text()[-1500:]}")
            time.sleep(0.2)
        yield engine.pid
    finally:
        os.environ["PATH"] = path
        _end(engine)


def _end(engine: subprocess.Popen[bytes]) -> None:
    """It ends its containers; then nothing is left of it but what it keeps."""
    engine.terminate()
    try:
        engine.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()
    for controller in Path("/sys/fs/cgroup").glob(f"*/{CGROUP}"):
        for group in sorted(controller.rglob("*/"), reverse=True):
            _remove(group)
        _remove(controller)


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:  # a file of the cgroup's, or one that still has processes
        return


def version() -> str:
    """Of the engine and of Compose."""
    told = [
        subprocess.run(shlex.split(command), capture_output=True, text=True, check=False).stdout.strip()
        for command in ("docker version --format 'Docker Engine {{.Server.Version}}'", "docker compose version")
    ]
    return ", ".join(told)
