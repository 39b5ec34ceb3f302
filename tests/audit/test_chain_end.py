"""Nothing can be cut off the end of the chain unseen: the place it has come to is signed with a key that is not in the database."""

import os
import secrets
from collections.abc import Callable

import psycopg
import pytest

from shared import audit
from shared.audit import AuditAction, chain
from shared.audit.chain import Verification
from shared.db import Database
from shared.identity.client import Client
from shared.keys import internal_keys
from tests.db.conftest import OwnDatabase


async def _write(log: Database, count: int) -> None:
    async with log.system() as tx:
        for number in range(count):
            await audit.record(tx, AuditAction.LOGIN, origin=Client("198.51.100.7", "", ""), detail={"number": number})
    assert await chain.seal(log) == count


async def _verified(log: Database) -> Verification:
    async with log.system() as tx:
        return await chain.verify(tx)


async def _as_schema_owner(database: OwnDatabase, *statements: str) -> None:
    """What somebody can do who has all rights in the database, and nothing else."""
    async with await psycopg.AsyncConnection.connect(database.url("docuvault_migrate")) as connection:
        for statement in statements:
            await connection.execute(statement)


CUT_OFF_THE_END = (
    "CREATE TEMP TABLE gone AS SELECT line_id FROM audit_seals WHERE seq > 3",
    "DELETE FROM audit_seals WHERE line_id IN (SELECT line_id FROM gone)",
    "DELETE FROM audit_personal WHERE line_id IN (SELECT line_id FROM gone)",
    "DELETE FROM audit_lines WHERE id IN (SELECT line_id FROM gone)",
)
SET_THE_HEAD_BACK = """
    UPDATE audit_head SET seq = last.seq, hash = last.hash
    FROM (SELECT seq, hash FROM audit_seals ORDER BY seq DESC LIMIT 1) AS last
"""


async def test_a_chain_that_nobody_touched_holds(own_log: Database) -> None:
    assert (await _verified(own_log)).ok
    await _write(own_log, 5)
    await _write(own_log, 2)
    assert await _verified(own_log) == Verification(True, 7, None)


async def test_lines_cut_off_the_end_are_missed(own_log: Database, own_database: OwnDatabase) -> None:
    await _write(own_log, 5)
    await _as_schema_owner(own_database, *CUT_OFF_THE_END)
    assert await _verified(own_log) == Verification(False, 3, "after 3")


async def test_they_are_missed_also_once_the_log_has_gone_on(own_log: Database, own_database: OwnDatabase) -> None:
    await _write(own_log, 5)
    await _as_schema_owner(own_database, *CUT_OFF_THE_END)
    await _write(own_log, 4)
    assert not (await _verified(own_log)).ok


@pytest.mark.parametrize("signature", ["signature", "NULL", "sha256('a guess')"])
async def test_a_head_that_fits_what_is_left_cannot_be_made(
    own_log: Database, own_database: OwnDatabase, signature: str, caplog: pytest.LogCaptureFixture
) -> None:
    await _write(own_log, 5)
    await _as_schema_owner(own_database, *CUT_OFF_THE_END, SET_THE_HEAD_BACK, f"UPDATE audit_head SET signature = {signature}")
    assert not (await _verified(own_log)).ok
    # Nor does the sealer sign what goes on from there.
    await _write(own_log, 2)
    assert not (await _verified(own_log)).ok
    assert "changed by somebody" in caplog.text


async def test_a_head_that_is_gone_is_missed(own_log: Database, own_database: OwnDatabase) -> None:
    await _write(own_log, 1)
    await _as_schema_owner(own_database, "DELETE FROM audit_head")
    assert not (await _verified(own_log)).ok


async def test_the_key_that_signs_the_head_can_be_rotated(own_log: Database, with_secret_key: Callable[[str], None]) -> None:
    old, new = os.environ["SECRET_KEY"], secrets.token_hex(32)
    await _write(own_log, 1)
    with_secret_key(f"{new},{old}")
    assert (await _verified(own_log)).ok
    assert await chain.seal(own_log) == 0
    with_secret_key(new)
    assert (await _verified(own_log)).ok
    with_secret_key(old)
    assert internal_keys("audit head")
    assert not (await _verified(own_log)).ok


async def test_what_was_sealed_before_there_was_a_head_is_sealed_anew(own_log: Database, own_database: OwnDatabase) -> None:
    """As the migration that brought the head does it."""
    await _write(own_log, 4)
    await _as_schema_owner(
        own_database,
        "INSERT INTO audit_queue (line_id) SELECT line_id FROM audit_seals ORDER BY seq",
        "DELETE FROM audit_seals",
        "DELETE FROM audit_head",
    )
    assert await chain.seal(own_log) == 4
    assert (await _verified(own_log)).ok
