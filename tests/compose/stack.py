"""The stack that compose.yaml has brought up, for tests: its containers can be killed, started and reached, its person is the same.

What names it are the variables that scripts/compose-test sets: DOCUVAULT_COMPOSE_ENV (the `.env`), DOCUVAULT_COMPOSE_PROJECT.
"""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.services import Services
from tests.system.stack import Stack, until

ENV_FILE, PROJECT = "DOCUVAULT_COMPOSE_ENV", "DOCUVAULT_COMPOSE_PROJECT"


def is_deployed() -> bool:
    """Whether tests are to run on what compose.yaml has brought up."""
    return ENV_FILE in os.environ


def podman(*arguments: str, check: bool = True, stdin: str | None = None) -> str:
    """What it prints."""
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False, input=stdin)
    assert done.returncode == 0 or not check, f"podman {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def settings() -> dict[str, str]:
    """The variables of the `.env`."""
    lines = Path(os.environ[ENV_FILE]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def containers(service: str) -> list[str]:
    """The names of a service's containers."""
    project = f"label=com.docker.compose.project={os.environ[PROJECT]}"
    found = podman("ps", "-a", "--filter", project, "--filter", f"label=com.docker.compose.service={service}", "--format", "{{.Names}}")
    return sorted(found.split())


def inspected(container: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(podman("inspect", container))[0])


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
        return subprocess.run(["podman", "healthcheck", "run", self.name], capture_output=True, check=False).returncode == 0

    async def start(self) -> None:
        """Returns once its own health check succeeds."""
        await asyncio.to_thread(podman, "start", self.name)
        await until(lambda: asyncio.to_thread(lambda: self.healthy), f"{self.service} is healthy")

    async def stop(self) -> None:
        await asyncio.to_thread(podman, "stop", "-t", "30", self.name)

    async def kill(self) -> None:
        """At once, and it is not started again by itself."""
        await asyncio.to_thread(podman, "stop", "-t", "0", self.name)


@dataclass(frozen=True)
class Postgres(Container):
    def url(self, role: str) -> str:
        variable = {"docuvault_app": "DATABASE_URL", "docuvault_migrate": "DATABASE_MIGRATE_URL"}[role]
        return settings()[variable].replace("@postgres:", f"@{self.address}:")

    def forget_deliveries(self) -> None:
        """What tests before left in tables that tests count whole."""
        podman(
            "exec", "-i", self.name, "psql", "-q", "-h", "/var/run/postgresql", "-U", "postgres", "docuvault",
            stdin="DELETE FROM deliveries; DELETE FROM bucket_event_rejects;",
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


class DeployedStack(Stack):
    """Stands in for a stack of a test's own."""

    def __init__(self, folder: Path) -> None:
        services = SimpleNamespace(postgres=Postgres("postgres"), valkey=Redis("redis"), store=Store("minio"))
        super().__init__(cast(Services, services), folder, first_port=0)

    @property
    def url(self) -> str:
        return settings()["BACKEND_URL"]

    async def start(self, *names: str) -> None:
        if not names:
            for service in ("postgres", "redis", "minio"):
                await Container(service).start()
            cast(Postgres, self.services.postgres).forget_deliveries()
        for name in names or ("gateway", "worker", "broker"):
            await Container(name).start()

    async def kill(self, name: str) -> None:
        for container in containers(name):
            await asyncio.to_thread(podman, "stop", "-t", "0", container)

    async def stop(self) -> None:
        """It goes on."""
