"""The stack that compose.yaml has brought up, for tests: its containers can be killed, started and reached, its person is the same.

What names it are the variables that scripts/compose-test sets: DOCUVAULT_COMPOSE_ENV (the `.env`), DOCUVAULT_COMPOSE_PROJECT.
"""

import asyncio
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.services import Services
from tests.system.stack import ROOT, Stack, until

ENV_FILE, PROJECT = "DOCUVAULT_COMPOSE_ENV", "DOCUVAULT_COMPOSE_PROJECT"


LONG_RUNNING = ("broker", "gateway", "minio", "postgres", "redis", "worker")


def is_deployed() -> bool:
    """Whether tests are to run on what compose.yaml has brought up."""
    return ENV_FILE in os.environ


def docker(*arguments: str, check: bool = True, stdin: str | None = None) -> str:
    """What it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, input=stdin)
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def settings() -> dict[str, str]:
    """The variables of the `.env`."""
    lines = Path(os.environ[ENV_FILE]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def containers(service: str) -> list[str]:
    """The names of a service's containers."""
    project = f"label=com.docker.compose.project={os.environ[PROJECT]}"
    found = docker("ps", "-a", "--filter", project, "--filter", f"label=com.docker.compose.service={service}", "--format", "{{.Names}}")
    return sorted(found.split())


def inspected(container: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(docker("inspect", container))[0])


def logs(container: str) -> str:
    """What it has written since it was made."""
    done = subprocess.run(["docker", "logs", container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout


def is_healthy(container: str) -> bool:
    """Whether its own health check succeeds now, rather than when the engine asked last."""
    kind, *check = inspected(container)["Config"]["Healthcheck"]["Test"]
    command = ["sh", "-c", *check] if kind == "CMD-SHELL" else check
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Container:
    """The first container of a service."""

    service: str

    @property
    def name(self) -> str:
        return containers(self.service)[0]

    @property
    def address(self) -> str:
        """Where the machine reaches it, published or not."""
        networks = inspected(self.name)["NetworkSettings"]["Networks"]
        return str(next(network["IPAddress"] for name, network in networks.items() if name.endswith("_inside")))

    @property
    def healthy(self) -> bool:
        return is_healthy(self.name)

    async def start(self) -> None:
        """Returns once its own health check succeeds."""
        await asyncio.to_thread(docker, "start", self.name)
        await until(lambda: asyncio.to_thread(lambda: self.healthy), f"{self.service} is healthy")

    async def stop(self) -> None:
        await asyncio.to_thread(docker, "stop", "-t", "30", self.name)

    async def kill(self) -> None:
        """At once, and it is not started again by itself."""
        await asyncio.to_thread(docker, "stop", "-t", "0", self.name)


@dataclass(frozen=True)
class Postgres(Container):
    def url(self, role: str) -> str:
        variable = {"docuvault_app": "DATABASE_URL", "docuvault_migrate": "DATABASE_MIGRATE_URL"}[role]
        return settings()[variable].replace("@postgres:", f"@{self.address}:")

    def forget_everybody(self) -> None:
        """What tests before left in tables that tests count whole."""
        docker(
            "exec", "-i", self.name, "psql", "-q", "-h", "/var/run/postgresql", "-U", "postgres", "docuvault",
            stdin="TRUNCATE users, events, bucket_event_rejects CASCADE;",
        )  # fmt: skip


@dataclass(frozen=True)
class Redis(Container):
    @property
    def url(self) -> str:
        return settings()["REDIS_URL"].replace("@redis:", f"@{self.address}:")


@dataclass(frozen=True)
class Store(Container):
    @property
    def endpoint(self) -> str:
        return settings()["MINIO_PUBLIC_ENDPOINT"]

    @property
    def access_key(self) -> str:
        return settings()["MINIO_ROOT_USER"]

    @property
    def secret_key(self) -> str:
        return settings()["MINIO_ROOT_PASSWORD"]

    @property
    def bucket(self) -> str:
        return settings()["MINIO_BUCKET"]


def plain_environment() -> dict[str, str]:
    """What the environment names wins over the `.env`, and the tests' own has settings."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}


def compose(*arguments: str) -> None:
    """Runs Compose on compose.yaml with the settings as they are now."""
    command = [*shlex.split(os.environ["DOCUVAULT_COMPOSE"]), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=plain_environment(), capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]


@contextmanager
def other_settings(*options: str, services: Sequence[str] = (), **changed: str) -> Iterator[None]:
    """Within, the stack runs with other settings, options of Compose, and those services of its profiles (all, if none is named)."""
    path = Path(os.environ[ENV_FILE])
    before = path.read_text()
    kept = [line for line in before.splitlines() if line.partition("=")[0] not in changed]
    path.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]) + "\n")
    try:
        compose(*options, "up", "-d", "--no-build", *services)
        yield
    finally:
        compose(*options, "down", "-t", "5")
        path.write_text(before)
        compose("up", "-d", "--no-build")


class DeployedStack(Stack):
    """Stands in for a stack of a test's own; settings of a test's own hold until it is stopped."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        services = SimpleNamespace(postgres=Postgres("postgres"), valkey=Redis("redis"), store=Store("minio"))
        super().__init__(cast(Services, services), folder, settings or {}, first_port=0)
        self.changed = ExitStack()

    @property
    def url(self) -> str:
        return settings()["BACKEND_URL"]

    async def start(self, *names: str) -> None:
        if not names:
            if self.settings:
                await asyncio.to_thread(self.changed.enter_context, other_settings(**self.settings))
            for service in ("postgres", "redis", "minio"):
                await Container(service).start()
            cast(Postgres, self.services.postgres).forget_everybody()
        for name in names or ("gateway", "worker", "broker"):
            await Container(name).start()

    async def kill(self, name: str) -> None:
        for container in containers(name):
            await asyncio.to_thread(docker, "stop", "-t", "0", container)

    def process_id(self, name: str) -> int | None:
        return int(inspected(containers(name)[0])["State"]["Pid"]) or None

    async def stop(self) -> None:
        """It goes on, with its own settings."""
        await asyncio.to_thread(self.changed.close)
