"""`python -m tests.compose [--keep] [pytest arguments]`: proves compose.yaml where no image registry can be reached (scripts/compose-test).

Base images are built from Debian's packages and the pinned MinIO, and carry the names that compose.yaml uses; ours is built from the real
Containerfile on them, by podman, which builds without a network of its own. A Docker Engine (`tests/compose/engine.py`) brings the real
compose.yaml up with its own Compose, tests run on it, it is taken down, and nothing is left: all is in a folder that is removed at the
end, unless `--keep` keeps it for the next run.
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

from infra.minio.build import BuildError, build, cache
from tests.compose import engine
from tests.compose.stack import ENV_FILE, LONG_RUNNING, PROJECT
from tests.made_servers import Unprovable, run

ROOT = Path(__file__).resolve().parents[2]
STANDINS = Path(__file__).with_name("standins")
PACKAGES = ("podman", "runc", "conmon", "netavark", "mmdebstrap", "nginx-light", "caddy", "openssl", "iproute2", "util-linux")
PROGRAMS = ("podman", "runc", "mmdebstrap", "nginx", "caddy", "openssl", "ip", "unshare", "nsenter", "/usr/lib/podman/netavark")
SUITE = "trixie"
IMAGES = {
    "python": "docker.io/library/python:3.13-slim-trixie",
    "postgres": "docker.io/library/postgres:17",
    "redis": "docker.io/library/redis:7-alpine",
    "minio": "docker.io/minio/minio:RELEASE.2025-09-07T16-13-09Z",
    "mail": "docker.io/axllent/mailpit:v1.27.11",
    "prometheus": "docker.io/prom/prometheus:v3.5.0",
}
"""Grafana and Ollama have none: neither is in Debian, and their sources do not build with Go alone."""
MAILPIT = "github.com/axllent/mailpit@" + IMAGES["mail"].rpartition(":")[2]
TESTS = (
    "tests/compose/deployed.py",
    *(f"tests/system/test_{what}.py" for what in ("main_job", "faults", "bad_input", "fairness", "parts", "import")),
)
PROJECT_NAME = "docuvault-test"
OURS = "docuvault:0.1.0"
PATIENCE_SECONDS = 300


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


def mailpit() -> Path:
    """The real catcher of mails, by `go install`, kept beside MinIO; without its pages, which Go does not build. Raises Unprovable."""
    program = cache() / MAILPIT.rpartition("/")[2] / "mailpit"
    if not program.exists():
        started = time.monotonic()
        environ = os.environ | {"GOBIN": str(program.parent), "CGO_ENABLED": "0"}
        run(shutil.which("go") or "go", "install", MAILPIT, env=environ)
        timed("Mailpit, compiled", started)
    return program


def build_standins(folder: Path) -> None:
    """Images that have what compose.yaml uses of the real ones, under their names."""
    context = folder / "context"
    shutil.copytree(STANDINS, context, dirs_exist_ok=True)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    shutil.copy(build(), context / "minio")
    shutil.copy(mailpit(), context / "mailpit")
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


def build_engine(folder: Path) -> Path:
    """A folder with Docker's programs, as Debian has them."""
    root = folder / "engine"
    if not (root / "usr" / "sbin" / "dockerd").exists():
        started = time.monotonic()
        shutil.rmtree(root, ignore_errors=True)
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(engine.PACKAGES)}", SUITE, root, _mirror())
        timed("a Docker Engine", started)
    return root


def hand_over(folder: Path) -> None:
    """Gives the engine the images that it does not have, under the names of compose.yaml and docs/deployment.md."""
    names = {image: image.removeprefix("docker.io/").removeprefix("library/") for image in IMAGES.values() if image != IMAGES["python"]}
    names |= {"localhost/standin-base:latest": "debian:trixie-slim", f"localhost/{OURS}": OURS}
    for image, name in names.items():
        built = run("podman", "inspect", "--format", "{{.Id}}", image)
        has = run("docker", "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        if f"{name} sha256:{built.removeprefix('sha256:')}" not in has:
            run("podman", "save", "-q", "-o", folder / "image.tar", image)
            run("docker", "load", "-q", "-i", folder / "image.tar")
            if image.startswith("localhost/"):
                run("docker", "tag", image, name)
                run("docker", "rmi", image)
            (folder / "image.tar").unlink()


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
    for line in run("docker", "stats", "--no-stream", "--format", "  {{.Name}}: {{.MemUsage}}", *names).splitlines():
        print(line.partition(" / ")[0].rstrip())


def sweep() -> None:
    """Takes down whatever there is, also of a run before that was cut off; images stay."""
    if left := run("docker", "ps", "-aq").split():
        run("docker", "rm", "-f", "-v", *left)
    run("docker", "network", "prune", "-f")
    run("docker", "volume", "prune", "-a", "-f")


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/compose-test", description=__doc__)
    options.add_argument("--keep", action="store_true", help="keep the images in ~/.cache/docuvault/compose-test for the next run")
    chosen, arguments = options.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is up is taken down
    kept = cache() / "compose-test"
    if chosen.keep:
        kept.mkdir(parents=True, exist_ok=True)
    folder = kept if kept.exists() else Path(tempfile.mkdtemp(prefix="docuvault-compose-test-"))
    env_file = folder / "settings.env"
    compose = ["docker", "compose", "--env-file", str(env_file), "-f", str(ROOT / "compose.yaml"), "-p", PROJECT_NAME]
    try:
        install()
        own_podman(folder)
        build_standins(folder)
        started = time.monotonic()
        run("podman", "build", "--network", "host", "-f", ROOT / "infra" / "images" / "Containerfile", "-t", OURS, ROOT)
        timed("the image of the Containerfile", started)
        show_image(f"localhost/{OURS}")
        env_file.unlink(missing_ok=True)
        run(ROOT / "scripts" / "make-env", env_file)
        env_file.write_text(env_file.read_text().replace("HIBP_URL=https://api.pwnedpasswords.com", "HIBP_URL="))  # no network here
        os.environ |= {ENV_FILE: str(env_file), PROJECT: PROJECT_NAME, "DOCUVAULT_COMPOSE": shlex.join(compose), "PYTHONPATH": str(ROOT)}
        with engine.running(build_engine(folder), folder, [Path(tempfile.gettempdir()), folder, ROOT]) as process:
            print(engine.version(), flush=True)
            sweep()
            hand_over(folder)
            try:
                started = time.monotonic()
                run(*compose, "up", "-d", "--no-build", "--wait", "--wait-timeout", str(PATIENCE_SECONDS), *LONG_RUNNING, cwd=ROOT)
                timed("from `up` to healthy", started)
                show_memory(run("docker", "ps", "--format", "{{.Names}}").split())
                command = [*engine.inside(process), sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v"]
                return subprocess.run([*command, *(arguments or [*TESTS, "-k", "not seaweedfs"])], cwd=ROOT, check=False).returncode
            finally:
                sweep()
    except (Unprovable, BuildError, engine.NoEngine) as reason:
        print(f"compose-test: {reason}", file=sys.stderr)
        return 1
    finally:
        env_file.unlink(missing_ok=True)
        if not chosen.keep and folder != kept:
            if "CONTAINERS_CONF" in os.environ:
                subprocess.run(["podman", "rmi", "-a", "-f"], capture_output=True, check=False)
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
