"""What a greedy owner fills a disk with besides bytes: rows, each of which takes room that no quota of bytes counts."""

from uuid import UUID

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import quotas, topics
from shared.documents.quotas import QuotaExceeded
from shared.documents.topic_models import NewTopic
from shared.errors import LimitReached
from shared.identity import api_tokens
from tests.identity.browser import new_person


@pytest.fixture
def vault(db: Database, owner: UUID) -> TenantDatabase:
    """The owner's rows."""
    return TenantDatabase(db, owner)


async def test_an_account_has_so_many_topics(db: Database, vault: TenantDatabase) -> None:
    async with vault.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO topics (id, owner_id, name, name_key)
            SELECT gen_random_uuid(), %(owner)s, 'topic ' || number, 'topic ' || number FROM generate_series(2, %(most)s) AS number
            """,
            {"owner": vault.owner_id, "most": topics.MAX_TOPICS},
        )
    await topics.create(vault, NewTopic(name="the last"))
    with pytest.raises(LimitReached):
        await topics.create(vault, NewTopic(name="one more"))


async def test_an_account_has_so_many_api_tokens_and_gets_room_by_revoking_one(db: Database) -> None:
    person = await new_person()
    async with db.system() as tx:
        await tx.execute(
            """
            INSERT INTO api_tokens (id, user_id, name, scopes, token_hash)
            SELECT gen_random_uuid(), %(user)s, 'x', '{account:read}', sha256(gen_random_uuid()::text::bytea)
            FROM generate_series(2, %(most)s)
            """,
            {"user": person.id, "most": api_tokens.MAX_TOKENS},
        )
    wanted = {"name": "x", "scopes": ["account:read"]}
    last = await person.browser.post("/api/auth/tokens", json=wanted)
    assert last.status_code == 201
    refused = await person.browser.post("/api/auth/tokens", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "limit_reached")
    assert (await person.browser.delete(f"/api/auth/tokens/{last.json()['id']}")).status_code == 204
    assert (await person.browser.post("/api/auth/tokens", json=wanted)).status_code == 201


async def test_an_account_has_so_many_documents_however_small(db: Database, vault: TenantDatabase) -> None:
    async with db.system() as tx:
        await tx.execute(
            "UPDATE account_usage SET documents = %(most)s WHERE owner_id = %(owner)s",
            {"most": quotas.MAX_DOCUMENTS, "owner": vault.owner_id},
        )
    with pytest.raises(QuotaExceeded):
        async with vault.transaction() as tx:
            await quotas.reserve(tx, vault.owner_id, 1)
