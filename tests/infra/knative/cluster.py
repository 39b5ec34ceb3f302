"""A stand-in for a cluster: reads the manifests and runs what they say as processes here, each with the environment that they give it.

As Knative's ingress and activator do, one HTTP server takes requests for all functions, starts a function's process when the first one
comes, and hands requests on; by `/{service}/…`, since names of a cluster's DNS lead nowhere here.
"""

import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from infra import processes
from infra.functions import ROOT, files
from infra.knative.manifests import BASE
from infra.local.ports import free_port_block
from shared.config import GROUPS
from tests.taking_connections import until_open

NOT_HANDED_ON = {"host", "transfer-encoding", "connection", "keep-alive", "content-length"}


def documents() -> list[dict[str, Any]]:
    """Every manifest of `base/`."""
    return [document for path in sorted(BASE.rglob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]


def containers(kind: str, api: str) -> dict[str, dict[str, Any]]:
    """The container of each object of a kind, by the object's name."""
    found = {}
    for document in documents():
        if (document["kind"], document["apiVersion"]) == (kind, api):
            found[document["metadata"]["name"]] = document["spec"]["template"]["spec"]["containers"][0]
    return found


@dataclass
class Cluster:
    """`settings` is everything that there is; a process gets what its manifest refers to. `log(name)` is what it wrote."""

    folder: Path
    settings: dict[str, str]
    port: int = field(default_factory=lambda: free_port_block(1))
    started: dict[str, "asyncio.Task[str]"] = field(default_factory=dict)
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None

    @property
    def template(self) -> str:
        return f"http://127.0.0.1:{self.port}/{{service}}"

    async def start(self) -> str:
        """Gateway, broker and the way to the functions; the gateway's URL."""
        self._functions = containers("Service", "serving.knative.dev/v1")
        self._sources = {path.stem: path for path in files()}
        self._session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{service}{rest:.*}", self._hand_on)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        callers = containers("Deployment", "apps/v1")
        own = {"FUNCTION_URL_TEMPLATE": self.template, "HOST": "127.0.0.1", "PORT": str(free_port_block(1))}
        for name in ("gateway", "broker"):
            assert callers[name]["args"] == [name]
            await self._run(name, [sys.executable, "-m", f"infra.{name}"], self.environ(callers[name]) | own)
        await until_open(int(own["PORT"]))
        return f"http://127.0.0.1:{own['PORT']}"

    async def stop(self) -> None:
        """Ends all of it."""
        for starting in self.started.values():
            starting.cancel()
        await asyncio.gather(*self.started.values(), return_exceptions=True)
        await asyncio.gather(*(processes.stop(process) for process in self._processes))
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def environ(self, container: dict[str, Any]) -> dict[str, str]:
        """What the container's `env` and `envFrom` come to."""
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LOG_LEVEL": "info"}
        in_groups = {name.upper() for names in GROUPS.values() for name in names}
        for source in container["envFrom"]:
            if "configMapRef" in source:
                environ |= {name: value for name, value in self.settings.items() if name not in in_groups}
            else:
                group = source["secretRef"]["name"].removeprefix("docuvault-")
                secret = {name.upper(): self.settings[name.upper()] for name in GROUPS[group] if name.upper() in self.settings}
                assert secret or source["secretRef"].get("optional"), f"there is no Secret for {group}"
                environ |= secret
        # Its /tmp is ours.
        own = {"BROKER_HEARTBEAT": str(self.folder / "heartbeat")}
        return environ | {variable["name"]: variable["value"] for variable in container["env"]} | own

    def log(self, name: str) -> str:
        """What the process has written so far."""
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    async def _hand_on(self, request: web.Request) -> web.StreamResponse:
        service = request.match_info["service"]
        if service not in self._functions:
            return web.Response(status=404)
        if service not in self.started:
            self.started[service] = asyncio.create_task(self._start(service))
        url = await asyncio.shield(self.started[service])
        target = url + (request.raw_path.removeprefix(f"/{service}") or "/")
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in NOT_HANDED_ON]
        assert self._session is not None
        async with self._session.request(
            request.method, target, headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in NOT_HANDED_ON]
            response = web.Response(status=answer.status, body=await answer.read())
            response.headers.clear()
            for name, value in kept:
                response.headers.add(name, value)
            return response

    async def _start(self, service: str) -> str:
        environ = self.environ(self._functions[service])
        target, port = environ["FUNCTION_TARGET"], free_port_block(1)
        program = Path(sys.executable).with_name("functions-framework")
        source = self._sources[target]
        await self._run(
            service,
            [program, "--asgi", "--source", source, "--target", target, "--host", "127.0.0.1", "--port", str(port)],
            environ,
        )
        await until_open(port)
        return f"http://127.0.0.1:{port}"

    async def _run(self, name: str, command: list[str | Path], environ: dict[str, str]) -> None:
        self._processes.append(await processes.start(command, log=self.folder / f"{name}.log", environ=environ, directory=self.folder))
