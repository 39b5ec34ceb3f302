"""The object stores that the tests run on: the embedded one, and the real MinIO where it can be had."""

from collections.abc import AsyncIterator

import pytest

from shared.storage import ObjectStore, object_store
from tests import services as run_services


@pytest.fixture(scope="session", params=["seaweedfs", "minio"])
async def store(request: pytest.FixtureRequest, services: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ObjectStore]:
    if request.param == "seaweedfs":
        yield object_store()
        return
    own = run_services.services_in(tmp_path_factory.mktemp("minio"), run_services.own_plan(), store="minio")
    await own.valkey.start()
    await own.store.start()
    made = ObjectStore(
        endpoint=own.store.endpoint,
        public_endpoint=own.store.endpoint,
        region="us-east-1",
        access_key=own.store.access_key,
        secret_key=own.store.secret_key,
        bucket=own.store.bucket,
    )
    yield made
    await made.close()
    await own.store.kill()
    await own.valkey.kill()
