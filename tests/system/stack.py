"""The whole stack as separate processes over services of a test's own, and a person who uses it as a browser would."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra import processes
from infra.local.ports import free_port_block
from tests.services import Services, random_keys

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
"""How long a condition is waited for before a test says it does not come; far beyond what is usual on a busy machine."""


async def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits until `condition()` (awaited where it is a coroutine) gives something true; that."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds:.0f} s") from None


@dataclass
class Stack:
    """Gateway, worker and broker; each can be killed and started again."""

    services: Services
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=random_keys)
    first_port: int = field(default_factory=lambda: free_port_block(2))
    running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.first_port}"

    @property
    def environ(self) -> dict[str, str]:
        worker = str(self.first_port + 1)
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **self.services.environ(),
            **self.keys,
            "PYTHONPATH": str(ROOT),
            "HOST": "127.0.0.1",
            "PORT": str(self.first_port),
            "WORKER_HOST": "127.0.0.1",
            "WORKER_PORT": worker,
            "WORKER_URL": f"http://127.0.0.1:{worker}",
            "BACKEND_URL": self.url,
            "DEFAULT_AI_PROVIDER": "local",
            "HIBP_URL": "",
            **self.settings,
        }

    async def start(self, *names: str) -> None:
        """Starts `gateway`, `worker`, `broker`, or those named; returns once the gateway answers."""
        for name in names or ("gateway", "worker", "broker"):
            command = [sys.executable, "-m", f"infra.{name}"]
            self.running[name] = await processes.start(command, log=self.log(name), environ=self.environ, directory=ROOT)
        if "gateway" in self.running:
            async with httpx.AsyncClient(base_url=self.url) as client:

                async def answers() -> bool:
                    try:
                        return (await client.get("/health")).status_code == 200
                    except httpx.TransportError:
                        assert self.running["gateway"].returncode is None, self.log("gateway").read_text()[-2000:]
                        return False

                await until(answers, "the gateway answers")

    async def kill(self, name: str) -> None:
        """kill -9, children included."""
        process = self.running.pop(name)
        process.kill()
        await process.wait()

    def process_id(self, name: str) -> int | None:
        """None once it has ended."""
        process = self.running[name]
        return process.pid if process.returncode is None else None

    async def stop(self) -> None:
        """SIGTERM to all of them."""
        await asyncio.gather(*(processes.stop(process) for process in self.running.values()))
        self.running.clear()

    def bucket(self) -> Any:
        """A boto3 client of the stack's store with all rights, as an operator has one."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.services.store.endpoint,
            aws_access_key_id=self.services.store.access_key,
            aws_secret_access_key=self.services.store.secret_key,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        """The stack's database as the system sees it."""
        from shared.db import Database

        opened = Database(self.services.postgres.url("docuvault_app"), pool_size=2)
        try:
            yield opened
        finally:
            await opened.close()

    async def person(self) -> "Person":
        """Somebody who has registered and signed in."""
        person = Person(
            httpx.AsyncClient(base_url=self.url, timeout=30, headers={"user-agent": "docuvault-tests", "accept-language": "en"})
        )
        await person.sign_in()
        return person


@dataclass
class Person:
    """A signed-in user."""

    http: httpx.AsyncClient
    store: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=60, verify=False))
    email: str = field(default_factory=lambda: f"{secrets.token_hex(8)}@example.org")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18))

    async def sign_in(self) -> None:
        registered = await self.http.post("/api/auth/register", json={"email": self.email, "password": self.password})
        assert registered.status_code == 202, registered.text
        signed_in = await self.http.post("/api/auth/login", json={"email": self.email, "password": self.password})
        assert signed_in.status_code == 200, signed_in.text
        self.http.headers["authorization"] = f"Bearer {signed_in.json()['access_token']}"

    async def reserve(self, filename: str, content: bytes, content_type: str, **more: Any) -> dict[str, Any]:
        """`create_upload`'s answer."""
        body = {"filename": filename, "size": len(content), "content_type": content_type, **more}
        answer = await self.http.post("/api/documents", json=body)
        assert answer.status_code == 201, answer.text
        reserved: dict[str, Any] = answer.json()
        return reserved

    async def put(self, upload: Mapping[str, Any], content: bytes) -> httpx.Response:
        """What the browser does with the presigned URL."""
        return await self.store.put(upload["url"], content=content, headers=upload["headers"])

    async def upload(self, filename: str, content: bytes, content_type: str, *, complete: bool = False) -> str:
        """Uploads as a browser would; the document's id. `complete` also calls complete_upload."""
        reserved = await self.reserve(filename, content, content_type)
        document_id: str = reserved["document"]["id"]
        stored = await self.put(reserved["upload"], content)
        assert stored.status_code == 200, stored.text
        if complete:
            answer = await self.http.post(f"/api/documents/{document_id}/complete", json={})
            assert answer.status_code == 202, answer.text
        return document_id

    async def document(self, document_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/documents/{document_id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def settled(self, document_id: str, *, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The document, once it is `ready` or `failed`."""

        async def done() -> dict[str, Any] | None:
            try:
                document = await self.document(document_id)
            except (httpx.TransportError, AssertionError):
                return None
            return document if document["status"] in ("ready", "failed") else None

        settled: dict[str, Any] = await until(done, f"document {document_id} is ready or failed", seconds)
        return settled

    async def search(self, query: str) -> list[dict[str, Any]]:
        answer = await self.http.get("/api/documents", params={"q": query})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def usage(self) -> dict[str, Any]:
        answer = await self.http.get("/api/account/usage")
        assert answer.status_code == 200, answer.text
        usage: dict[str, Any] = answer.json()
        return usage

    async def download(self, document_id: str) -> httpx.Response:
        """The original, as a browser fetches it."""
        answer = await self.http.get(f"/api/documents/{document_id}/download")
        assert answer.status_code == 200, answer.text
        return await self.store.get(answer.json()["url"])

    async def close(self) -> None:
        await self.http.aclose()
        await self.store.aclose()
