"""The real MinIO as a service of the local stack, for tests: it pushes its bucket notifications on the Redis list by itself."""

import asyncio
import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra import processes
from infra.local.probes import START_SECONDS, is_ok, until_ready
from infra.minio.bucket import prepare
from infra.notification_list import LIST


@dataclass
class MinIO:
    """MinIO on a loopback port, with one bucket whose new objects are announced on the Redis of `redis_url`."""

    program: Path
    folder: Path
    logs: Path
    port: int
    redis_url: str = field(repr=False)
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = "docuvault"
    origins: tuple[str, ...] = ("*",)
    name: str = "minio"
    notifies: bool = True
    process: asyncio.subprocess.Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True, mode=0o700)
        redis = urlsplit(self.redis_url)
        self.process = await processes.start(
            [self.program, "server", "--quiet", "--address", f"127.0.0.1:{self.port}", self.folder / "data"],
            log=self.logs / "minio.log",
            environ={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.folder),
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
                "MINIO_API_CORS_ALLOW_ORIGIN": ",".join(self.origins),
                "MINIO_NOTIFY_REDIS_ENABLE_DOCUVAULT": "on",
                "MINIO_NOTIFY_REDIS_FORMAT_DOCUVAULT": "access",
                "MINIO_NOTIFY_REDIS_ADDRESS_DOCUVAULT": f"{redis.hostname}:{redis.port}",
                "MINIO_NOTIFY_REDIS_PASSWORD_DOCUVAULT": unquote(redis.password or ""),
                "MINIO_NOTIFY_REDIS_KEY_DOCUVAULT": LIST,
            },
            directory=self.folder,
        )
        await until_ready(self.name, self.process, self.logs / "minio.log", self._is_ready)
        await asyncio.to_thread(prepare, self.endpoint, self.access_key, self.secret_key, self.bucket, wait_seconds=START_SECONDS)

    async def stop(self) -> None:
        if self.process is not None:
            await processes.stop(self.process)

    async def kill(self) -> None:
        if self.process is not None:
            await processes.stop(self.process, with_signal=signal.SIGKILL)

    async def _is_ready(self) -> bool:
        return await is_ok(self.port, "/minio/health/live")
