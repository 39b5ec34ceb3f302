"""The audit log's promises: append-only, chained, personal data erasable, nothing secret in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import pytest

from shared import audit
from shared.audit import AuditAction, AuditOutcome, chain, entries
from shared.config import settings
from shared.db import Database, Transaction
from shared.identity.client import Client
from shared.ids import new_id
from tests.audit.sealing import seal_all

NewOwner = Callable[[], Awaitable[UUID]]


async def _write(db: Database, owner: UUID, count: int = 1) -> None:
    async with db.system() as tx:
        for number in range(count):
            await audit.record(
                tx,
                AuditAction.LOGIN,
                outcome=AuditOutcome.FAILURE,
                owner=owner,
                origin=Client("198.51.100.7", "Browser/1.0", ""),
                email="ada@example.org",
                detail={"number": number, "reason": "wrong_password"},
            )


@asynccontextmanager
async def tampering() -> AsyncIterator[Transaction]:
    """A transaction of the schema's owner, who alone could: rolled back in the end."""
    connection = await psycopg.AsyncConnection.connect(settings().database_migrate_url)
    try:
        yield Transaction(connection)
    finally:
        await connection.rollback()
        await connection.close()


async def _sealed(db: Database, owner: UUID, count: int) -> None:
    await _write(db, owner, count)
    await seal_all(db, owner)


@pytest.mark.parametrize("role", ["tenant", "system"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_lines SET outcome = 'success'",
        "DELETE FROM audit_lines",
        "TRUNCATE audit_lines",
        "INSERT INTO audit_lines (id, at, action, outcome) VALUES (gen_random_uuid(), now() - interval '1 day', 'x', 'success')",
        "UPDATE audit_personal SET ip = ''",
        "DELETE FROM audit_personal",
        "INSERT INTO audit_seals (seq, line_id, hash) VALUES (0, gen_random_uuid(), '')",
        "UPDATE audit_seals SET hash = ''",
        "DELETE FROM audit_seals",
        "DELETE FROM audit_queue",
        "UPDATE audit_head SET seq = 0",
        "DELETE FROM audit_head",
        "DROP TABLE audit_lines",
        "ALTER TABLE audit_lines DISABLE TRIGGER ALL",
    ],
)
async def test_the_application_can_only_add(db: Database, owner: UUID, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.tenant(owner) if role == "tenant" else db.system() as tx:
            await tx.execute(statement)


async def test_a_tenant_sees_its_own_lines_and_writes_no_others(db: Database, new_owner: NewOwner) -> None:
    mine, other = await new_owner(), await new_owner()
    await _write(db, mine)
    await _write(db, other)
    async with db.tenant(mine) as tx:
        seen = await entries.of_account(tx, mine, limit=10)
        assert [line.owner_id for line in seen] == [mine]
        assert await entries.of_account(tx, other, limit=10) == []
        assert seen[0].ip == "198.51.100.7"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.tenant(mine) as tx:
            await audit.record(tx, AuditAction.LOGIN, owner=other)


async def test_a_page_far_down_costs_no_more_than_the_first(db: Database, owner: UUID) -> None:
    await _write(db, owner, 400)
    async with db.tenant(owner) as tx:
        oldest = await tx.fetch_value("SELECT id FROM audit_lines WHERE owner_id = %s ORDER BY id OFFSET 10 LIMIT 1", (owner,))
        # As it is for a statement that was prepared, which its connection does after a few calls; statistics are those of an empty table.
        await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await tx.execute("SET LOCAL enable_seqscan = off")
        await tx.execute("SET LOCAL enable_bitmapscan = off")

        async def looked_at() -> int:
            read: int = await tx.fetch_value("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'audit_lines'")
            return read

        for _ in range(12):
            before = await looked_at()
            assert len(await entries.of_account(tx, owner, limit=5, before=oldest)) == 5
            assert await looked_at() - before <= 10


async def test_lines_are_sealed_and_the_chain_holds(db: Database, owner: UUID) -> None:
    await _sealed(db, owner, 5)
    async with db.system() as tx:
        verified = await chain.verify(tx)
    assert verified.ok
    assert verified.first_bad is None
    assert verified.checked >= 5


async def test_sealing_runs_by_itself_twice_a_second(db: Database, owner: UUID) -> None:
    stop = asyncio.Event()
    sealing = asyncio.create_task(chain.keep_sealing(db, stop))
    await _write(db, owner)
    async with asyncio.timeout(60):
        sealed = 0
        while not sealed:
            async with db.system() as tx:
                sealed = await tx.fetch_value(
                    "SELECT count(*) FROM audit_seals JOIN audit_lines ON id = line_id WHERE owner_id = %(owner)s", {"owner": owner}
                )
    stop.set()
    await sealing
    assert chain.INTERVAL_SECONDS == 0.5


async def test_many_sealers_at_once_make_one_chain(db: Database, owner: UUID) -> None:
    await _write(db, owner, 30)
    await asyncio.gather(*(chain.seal(db) for _ in range(6)))
    await _sealed(db, owner, 1)
    async with db.system() as tx:
        assert (await chain.verify(tx)).ok
        assert await tx.fetch_value("SELECT count(*) = max(seq) FROM audit_seals")


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_lines SET outcome = 'success' WHERE id = %(line)s",
        "UPDATE audit_lines SET detail = '{}' WHERE id = %(line)s",
        "UPDATE audit_lines SET at = at + interval '1 microsecond' WHERE id = %(line)s",
        "UPDATE audit_lines SET actor_id = gen_random_uuid() WHERE id = %(line)s",
        "UPDATE audit_personal SET ip = '192.0.2.66' WHERE line_id = %(line)s",
        "UPDATE audit_personal SET email = 'other@example.org' WHERE line_id = %(line)s",
        "UPDATE audit_seals SET hash = sha256('x') WHERE line_id = %(line)s",
        "WITH gone AS (DELETE FROM audit_seals WHERE line_id = %(line)s) DELETE FROM audit_personal WHERE line_id = %(line)s",
    ],
)
async def test_tampering_with_a_sealed_line_is_found(db: Database, owner: UUID, tamper: str) -> None:
    await _sealed(db, owner, 3)
    async with tampering() as tx:
        middle = await tx.fetch_value(
            "SELECT id FROM audit_lines JOIN audit_seals ON line_id = id WHERE owner_id = %(owner)s ORDER BY seq OFFSET 1", {"owner": owner}
        )
        before = await chain.verify(tx)
        assert before.ok
        assert await tx.execute(tamper, {"line": middle}) == 1
        assert not (await chain.verify(tx)).ok


async def test_a_line_slipped_in_beside_the_chain_is_found(db: Database, owner: UUID) -> None:
    async with tampering() as tx:
        line = new_id()
        await tx.execute("ALTER TABLE audit_lines DISABLE TRIGGER audit_enqueue")
        await tx.execute("INSERT INTO audit_lines (id, action, outcome) VALUES (%(id)s, 'x', 'success')", {"id": line})
        verified = await chain.verify(tx)
    assert (verified.ok, verified.first_bad) == (False, str(line))


async def test_a_line_that_waits_to_be_sealed_is_no_fault_however_long_it_waits(db: Database, owner: UUID) -> None:
    async with tampering() as tx:
        await tx.execute(
            "INSERT INTO audit_lines (id, at, action, outcome) VALUES (%s, now() - interval '1 day', 'x', 'success')", [new_id()]
        )
        assert (await chain.verify(tx)).ok


async def test_erasing_a_person_leaves_the_lines_and_the_chain(db: Database, owner: UUID) -> None:
    await _sealed(db, owner, 3)
    async with db.system() as tx:
        assert await entries.erase_personal(tx, owner) == 3
    async with db.system() as tx:
        kept = await entries.of_account(tx, owner, limit=10)
        assert (await chain.verify(tx)).ok
    assert len(kept) == 3
    assert {(line.ip, line.user_agent, line.email) for line in kept} == {(None, None, None)}
    async with db.system() as tx:
        rows = await (await tx.connection.execute("SELECT audit_lines::text FROM audit_lines WHERE owner_id = %s", (owner,))).fetchall()
    assert not any("198.51.100.7" in row[0] or "ada@" in row[0] or "Browser" in row[0] for row in rows)


async def test_the_commitment_cannot_be_guessed_from_the_address(db: Database, owner: UUID) -> None:
    await _write(db, owner, 2)
    async with db.system() as tx:
        different = await tx.fetch_value("SELECT count(DISTINCT commitment) FROM audit_lines WHERE owner_id = %(owner)s", {"owner": owner})
    assert different == 2


async def test_what_a_client_sends_cannot_stop_the_log(db: Database, owner: UUID) -> None:
    async with db.system() as tx:
        await audit.record(tx, AuditAction.LOGIN, owner=owner, origin=Client("x" * 5000, "a\r\nb\0c\udcff" + "d" * 5000, ""), email="\0")
        line = (await entries.of_account(tx, owner, limit=1))[0]
    assert line.user_agent is not None
    assert line.user_agent.startswith("abcd")
    assert len(line.user_agent) == 512
