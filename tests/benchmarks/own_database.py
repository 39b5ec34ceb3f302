"""A PostgreSQL of a benchmark's own, which the product's settings speak of, and of nothing else that runs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from infra.local.postgres import Postgres
from shared import temporary
from shared.db import database
from tests.services import random_keys


@asynccontextmanager
async def own_database(*, durable: bool = True) -> AsyncIterator[Postgres]:
    """Started, migrated, and gone afterwards."""
    with temporary.folder("benchmark") as folder:
        folder.chmod(0o755)
        postgres = Postgres(folder / "postgres", folder, durable=durable)
        await postgres.start()
        try:
            await postgres.prepare()
            settings = {"DATABASE_URL": postgres.url(), "REDIS_URL": "redis://127.0.0.1:1", "MINIO_ENDPOINT": "http://127.0.0.1:1"}
            unused = dict.fromkeys(("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_BUCKET"), "unused")
            os.environ.update(random_keys() | settings | unused | {"LOG_LEVEL": "warning"})
            try:
                yield postgres
            finally:
                await database().close()
        finally:
            await postgres.stop()
