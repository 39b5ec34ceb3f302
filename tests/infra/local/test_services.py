"""The embedded services."""

from uuid import UUID

from shared.db import Database


async def test_a_tenant_sees_only_its_own_user(db: Database, owner: UUID, other_owner: UUID) -> None:
    async with db.tenant(owner) as tx:
        assert await tx.fetch_value("SELECT array_agg(id) FROM users") == [owner]


async def test_a_query_without_a_tenant_sees_nothing(db: Database, owner: UUID) -> None:
    async with db._transaction("BEGIN") as tx:
        assert await tx.fetch_value("SELECT count(*) FROM users") == 0
