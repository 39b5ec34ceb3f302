"""What identity's tests share."""

from collections.abc import AsyncIterator

import pytest

from infra.local.services import Valkey
from shared.db import Database
from shared.identity.client import Client
from shared.identity.revocation import Revocations


@pytest.fixture
def browser() -> Client:
    """A client of no special kind."""
    return Client("192.0.2.7", "Browser/1.0", "en")


@pytest.fixture
async def view(db: Database, own_valkey: Valkey) -> AsyncIterator[Revocations]:
    """A process's view of revocations, on a Valkey of the test's own."""
    made = Revocations(own_valkey.url, db)
    yield made
    await made.close()
