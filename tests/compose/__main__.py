"""`python -m tests.compose [--keep] [pytest arguments]`: proves compose.yaml where no image registry can be reached (scripts/compose-test).

Base images are built from Debian's packages and the pinned MinIO, and carry the names that compose.yaml uses; ours is built from the real
Containerfile on them. The real compose.yaml is brought up with podman-compose, tests run on it, it is taken down, and nothing is left:
images, volumes and networks are in a folder of their own, which is removed at the end, unless `--keep` keeps it for the next run.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from infra.minio.build import BuildError, build
from tests.compose.stack import ENV_FILE, PROJECT

ROOT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).with_name("standins")
SHIM = Path(__file__).with_name("podman")
COMPOSE_LOCK = Path(__file__).with_name("podman-compose.lock")
"""Debian's podman-compose is too old; this one has an environment of its own."""
PACKAGES = (
    "podman", "runc", "conmon", "iptables", "netavark", "aardvark-dns", "catatonit", "mmdebstrap", "nginx-light", "caddy", "openssl",
)  # fmt: skip
PROGRAMS = ("podman", "runc", "mmdebstrap", "nginx", "caddy", "openssl", "/usr/lib/podman/netavark", "/usr/libexec/podman/catatonit")
SUITE = "trixie"
IMAGES = {
    "python": "docker.io/library/python:3.13-slim-trixie",
    "postgres": "docker.io/library/postgres:17",
    "redis": "docker.io/library/redis:7-alpine",
    "minio": "docker.io/minio/minio:RELEASE.2025-09-07T16-13-09Z",
}
TESTS = ("tests/compose/deployed.py", "tests/system/test_main_job.py", "tests/system/test_faults.py", "tests/system/test_bad_input.py")
PROJECT_NAME = "docuvault-test"


class Unprovable(Exception):
    """Containers cannot be had here; the message says why."""


def run(*command: str | Path, **options: object) -> str:
    """What it prints. Raises Unprovable."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        raise Unprovable(f"{shlex.join(str(part) for part in command)}: {(done.stderr or done.stdout).strip()[-1500:]}")
    return str(done.stdout).strip()


def timed(what: str, started: float) -> None:
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


def install() -> None:
    """Debian's packages, where they are missing. Raises Unprovable."""
    if os.geteuid() != 0:
        raise Unprovable("it needs root: it makes base images with mmdebstrap and networks of their own.")
    if any(shutil.which(program) is None for program in PROGRAMS):
        if shutil.which("apt-get") is None:
            raise Unprovable(f"it needs these of Debian's packages: {' '.join(PACKAGES)}.")
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=environ)
        # As programs alone: neither proxy is to serve this machine.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES, env=environ)
        finally:
            if ours:
                policy.unlink()


def install_compose(folder: Path) -> None:
    """podman-compose, as it is locked."""
    if not (folder / "bin" / "podman-compose").exists():
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--require-hashes", "--no-deps", "-r", COMPOSE_LOCK)


def own_podman(folder: Path) -> None:
    """From here on `podman` keeps everything in `folder`, and runs on machines without systemd and with both kinds of cgroups."""
    (folder / "containers.conf").write_text(
        "[containers]\n"
        'default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]\n'
        "[engine]\n"
        'runtime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'tmp_dir = "{folder}/tmp"\n'
        f'[network]\nnetwork_config_dir = "{folder}/networks"\n'
    )
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n')
    (folder / "networks").mkdir(exist_ok=True)
    os.environ["CONTAINERS_CONF"] = str(folder / "containers.conf")
    os.environ["CONTAINERS_STORAGE_CONF"] = str(folder / "storage.conf")


def build_standins(folder: Path) -> None:
    """Images that have what compose.yaml uses of the real ones, under their names."""
    context = folder / "context"
    shutil.copytree(STANDINS, context, dirs_exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    shutil.copy(build(), context / "minio")
    have = run("podman", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    if "localhost/standin-base:latest" not in have:
        started = time.monotonic()
        excluded = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in ("doc", "man", "locale", "info")]
        run("mmdebstrap", "--variant=minbase", *excluded, SUITE, folder / "base.tar", _mirror())
        run("podman", "import", "-q", folder / "base.tar", "localhost/standin-base:latest")
        (folder / "base.tar").unlink()
        timed("a Debian as a base", started)
    for name, image in IMAGES.items():
        if image not in have:
            started = time.monotonic()
            run("podman", "build", "-q", "--network", "host", "-f", context / f"{name}.Containerfile", "-t", image, context)
            timed(f"a stand-in for {image}", started)


def _mirror() -> str:
    """Where this machine has its packages from."""
    for source in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if source.exists():
            for word in source.read_text().split():
                if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                    return word
    return "http://deb.debian.org/debian"


def show_image(image: str) -> None:
    """Its size by layer."""
    layers = json.loads(run("podman", "history", "--format", "json", image))
    total = sum(layer["size"] for layer in layers)
    print(f"{image}: {total / 1e6:.0f} MB")
    for layer in layers:
        if layer["size"] > 100_000:
            print(f"  {layer['size'] / 1e6:6.1f} MB  {layer['CreatedBy'].replace('/bin/sh -c #(nop) ', '')[:100]}")


def show_memory(names: Sequence[str]) -> None:
    """Resident memory of each container, idle."""
    stats = json.loads(run("podman", "stats", "--no-stream", "--format", "json", *names))
    for each in stats:
        print(f"  {each['name']}: {each['mem_usage'].split(' / ')[0]}")


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/compose-test", description=__doc__)
    options.add_argument("--keep", action="store_true", help="keep the images in ~/.cache/docuvault/compose-test for the next run")
    options.add_argument("--up", action="store_true", help="bring it up, say how it is reached, and leave it")
    chosen, arguments = options.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is up is taken down
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "docuvault" / "compose-test"
    if chosen.keep or chosen.up:
        cache.mkdir(parents=True, exist_ok=True)
    folder = cache if cache.exists() else Path(tempfile.mkdtemp(prefix="docuvault-compose-test-"))
    env_file = folder / "settings.env"
    compose = [
        str(folder / "podman-compose" / "bin" / "podman-compose"),
        "--podman-path",
        str(SHIM),
        "--in-pod",
        "0",
        "--env-file",
        str(env_file),
    ]
    compose += ["-f", str(ROOT / "compose.yaml"), "-p", PROJECT_NAME]
    try:
        install()
        own_podman(folder)
        install_compose(folder / "podman-compose")
        build_standins(folder)
        env_file.unlink(missing_ok=True)
        run(ROOT / "scripts" / "make-env", env_file)
        env_file.write_text(env_file.read_text().replace("HIBP_URL=https://api.pwnedpasswords.com", "HIBP_URL="))  # no network here
        os.environ |= {ENV_FILE: str(env_file), PROJECT: PROJECT_NAME, "DOCUVAULT_COMPOSE": shlex.join(compose), "PYTHONPATH": str(ROOT)}
        started = time.monotonic()
        run(*compose, "build", "migrate", cwd=ROOT)
        timed("the image of the Containerfile", started)
        show_image("docuvault:0.1.0")
        started = time.monotonic()
        run(*compose, "up", "-d", "--no-build", cwd=ROOT)
        running = run("podman", "ps", "--format", "{{.Names}}").split()
        run(SHIM, "wait", "--condition=healthy", *running)
        timed("from `up` to healthy", started)
        show_memory(running)
        if chosen.up:
            print("It runs: http://127.0.0.1:8080. Its podman is reached with:")
            print(f"export CONTAINERS_CONF={folder}/containers.conf CONTAINERS_STORAGE_CONF={folder}/storage.conf")
            return 0
        tests = arguments or [*TESTS, "-k", "not seaweedfs"]
        return subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *tests], cwd=ROOT, check=False).returncode
    except (Unprovable, BuildError) as reason:
        print(f"compose-test: {reason}", file=sys.stderr)
        return 1
    finally:
        if not chosen.up:
            clean(folder, compose, keep=chosen.keep or folder == cache)


def clean(folder: Path, compose: list[str], *, keep: bool) -> None:
    """Takes everything down; without `keep` nothing is left of it."""
    if "CONTAINERS_CONF" in os.environ:
        subprocess.run([*compose, "--profile", "*", "down", "-v", "-t", "5"], cwd=ROOT, capture_output=True, check=False)
        names = subprocess.run(["podman", "ps", "-aq"], capture_output=True, text=True, check=False).stdout.split()
        if names:
            subprocess.run(["podman", "rm", "-f", "-t", "0", *names], capture_output=True, check=False)
        for kind in ("volume", "network"):
            subprocess.run(["podman", kind, "prune", "-f"], capture_output=True, check=False)
        if not keep:
            subprocess.run(["podman", "rmi", "-a", "-f"], capture_output=True, check=False)
    (folder / "settings.env").unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
