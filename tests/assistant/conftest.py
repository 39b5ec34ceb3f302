"""What tests of asking providers share: servers, and owners with papers and topics."""

from collections.abc import AsyncIterator

import pytest

from shared.ai import openai as openai_module
from shared.ai.registry import ProviderChoice
from tests.ai.servers import openai_server as openai_api
from tests.ai.servers.openai_server import OpenAIServer, openai_server
from tests.db.conftest import empty_database as empty_database
from tests.identity.conftest import own_instance as own_instance


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    openai_module._ways.clear()


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    """An OpenAI server of this test alone."""
    async with openai_server() as running:
        yield running


@pytest.fixture
def choice(server: OpenAIServer) -> ProviderChoice:
    """That server, as an admin would have configured it."""
    return ProviderChoice("openai", "gpt-4o", base_url=f"{server.url}/v1", api_key=openai_api.KEY)
