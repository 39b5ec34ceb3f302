"""The daily exports: signed files that the database cannot contradict unseen."""

import asyncio
import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import jwt
import psycopg
import pytest

from shared import audit, keys
from shared.audit import AuditAction, Caller, audit_log, chain, daily_exports
from shared.audit.models import AuditQuery
from shared.db import Database
from shared.errors import NotFound
from shared.identity.client import Client
from shared.ids import new_id
from shared.storage import object_store
from shared.storage.object_keys import AuditExportKey
from tests.db.conftest import OwnDatabase

ONE_DAY = timedelta(days=1)
SOMEBODY = Caller(new_id(), "198.51.100.9", "Browser/1.0")


async def _as_schema_owner(database: OwnDatabase, statement: str, *parameters: Any) -> None:
    async with await psycopg.AsyncConnection.connect(database.url("docuvault_migrate")) as connection:
        await connection.execute(statement.encode(), parameters)


async def _write(log: Database, database: OwnDatabase, day: date, count: int) -> None:
    """Lines of a day long gone, sealed."""
    async with log.system() as tx:
        for number in range(count):
            await audit.record(
                tx,
                AuditAction.LOGIN,
                origin=Client("198.51.100.7", "", ""),
                email="ada@example.org",
                detail={"number": number, "text": "a\nb"},
            )
    noon = datetime.combine(day, time(12), UTC)
    await _as_schema_owner(database, "UPDATE audit_lines SET at = %s WHERE id IN (SELECT line_id FROM audit_queue)", noon)
    assert await chain.seal(log) == count


async def _file(day: date) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A file's lines and what its signature says, checked as an outsider would: with jwks.json alone."""
    content = await object_store().read(str(AuditExportKey(day)), limit=2**20)
    lines, signature = content[: content.rindex(b"\n", 0, -1) + 1] if content.count(b"\n") > 1 else b"", content.splitlines()[-1]
    token = json.loads(signature)["signature"]
    header = jwt.get_unverified_header(token)
    public = next(jwk for jwk in keys.jwks() if jwk["kid"] == header["kid"])
    claims = jwt.decode(token, jwt.PyJWK(public).key, algorithms=["ES256"])
    assert claims["sha256"] == hashlib.sha256(lines).hexdigest()
    entries = [json.loads(line) for line in lines.splitlines()]
    assert claims["lines"] == len(entries)
    return entries, claims


async def test_a_day_is_one_signed_file_and_a_day_without_lines_is_one_too(own_log: Database, own_database: OwnDatabase) -> None:
    first = date(2001, 1, 1)
    await _write(own_log, own_database, first, 3)
    assert await daily_exports.export_missing(own_log, up_to=first + ONE_DAY) == [first, first + ONE_DAY]
    entries, claims = await _file(first)
    assert [entry["line"]["detail"]["number"] for entry in entries] == [0, 1, 2]
    assert claims["date"] == "2001-01-01"
    assert claims["chain"] == {"seq": 3, "hash": entries[-1]["hash"]}
    assert (await _file(first + ONE_DAY))[0] == []
    page = await daily_exports.list_page(own_log, AuditQuery())
    assert [(each.date, each.lines) for each in page.items] == [(first + ONE_DAY, 0), (first, 3)]


async def test_each_hash_in_a_file_follows_from_the_line_and_the_hash_before(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 2, 1)
    await _write(own_log, own_database, day, 4)
    await daily_exports.export_missing(own_log, up_to=day)
    content = (await object_store().read(str(AuditExportKey(day)), limit=2**20)).decode().splitlines()[:-1]
    before = b""
    for line in content:
        hashed = line.partition('"line":')[2][:-1]
        before = hashlib.sha256(before + hashed.encode()).digest()
        assert json.loads(line)["hash"] == before.hex()


async def test_nothing_personal_is_exported(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 3, 1)
    await _write(own_log, own_database, day, 1)
    await daily_exports.export_missing(own_log, up_to=day)
    content = await object_store().read(str(AuditExportKey(day)), limit=2**20)
    assert b"198.51.100.7" not in content
    assert b"ada@example.org" not in content


async def test_days_that_were_missed_are_caught_up_each_with_its_own_lines(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 4, 1)
    for number in range(4):
        await _write(own_log, own_database, day + number * ONE_DAY, number + 1)
    assert len(await daily_exports.export_missing(own_log, up_to=day + 2 * ONE_DAY)) == 3
    for number in range(3):
        assert len((await _file(day + number * ONE_DAY))[0]) == number + 1
    assert await daily_exports.export_missing(own_log, up_to=day + 3 * ONE_DAY) == [day + 3 * ONE_DAY]
    assert len((await _file(day + 3 * ONE_DAY))[0]) == 4


async def test_a_line_sealed_after_its_days_export_is_in_the_next_file(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 5, 1)
    await _write(own_log, own_database, day, 2)
    await daily_exports.export_missing(own_log, up_to=day)
    await _write(own_log, own_database, day, 1)  # its transaction ran over midnight
    await _write(own_log, own_database, day + ONE_DAY, 1)
    await daily_exports.export_missing(own_log, up_to=day + ONE_DAY)
    entries, _ = await _file(day + ONE_DAY)
    assert [entry["line"]["seq"] for entry in entries] == [3, 4]


async def test_brokers_that_race_make_one_export_a_day(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 6, 1)
    await _write(own_log, own_database, day, 5)
    await asyncio.gather(*(daily_exports.export_missing(own_log, up_to=day + ONE_DAY) for _ in range(4)))
    page = await daily_exports.list_page(own_log, AuditQuery())
    assert [(each.date, each.lines) for each in page.items] == [(day + ONE_DAY, 0), (day, 5)]
    for each in page.items:
        content = await object_store().read(str(AuditExportKey(each.date)), limit=2**20)
        assert len(content) == each.size
    assert len((await _file(day))[0]) == 5


async def test_an_export_that_was_cut_off_is_made_again_with_the_same_lines(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 7, 1)
    await _write(own_log, own_database, day, 2)
    await daily_exports.export_missing(own_log, up_to=day)
    await _as_schema_owner(own_database, "UPDATE audit_exports SET finished_at = NULL, size = NULL, lines = NULL")
    await _write(own_log, own_database, day, 3)
    assert (await daily_exports.list_page(own_log, AuditQuery())).items == []
    assert await daily_exports.export_missing(own_log, up_to=day + ONE_DAY) == [day, day + ONE_DAY]
    assert len((await _file(day))[0]) == 2
    assert len((await _file(day + ONE_DAY))[0]) == 3


async def test_a_chain_set_back_with_its_signed_head_contradicts_the_exports(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 8, 1)
    await _write(own_log, own_database, day, 2)
    await _as_schema_owner(own_database, "CREATE TABLE head_of_old AS SELECT * FROM audit_head")
    await _write(own_log, own_database, day, 2)
    await daily_exports.export_missing(own_log, up_to=day)
    assert (await audit_log.verify(own_log, SOMEBODY)).ok
    for statement in (
        "DELETE FROM audit_seals WHERE seq > 2",
        "DELETE FROM audit_personal WHERE line_id NOT IN (SELECT line_id FROM audit_seals)",
        "DELETE FROM audit_lines WHERE id NOT IN (SELECT line_id FROM audit_seals)",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head SELECT * FROM head_of_old",
    ):
        await _as_schema_owner(own_database, statement)
    async with own_log.system() as tx:
        assert (await chain.verify(tx)).ok, "the chain alone cannot show it"
    assert (await audit_log.verify(own_log, SOMEBODY)).first_bad == f"export of {day.isoformat()}"


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"signature":"x.y.z"}\n', b"not JSON", b'{"signature":3}\n'])
async def test_a_file_that_we_did_not_sign_is_found(own_log: Database, own_database: OwnDatabase, content: bytes) -> None:
    day = date(2001, 9, 1) + len(content) * ONE_DAY
    await _write(own_log, own_database, day, 1)
    await daily_exports.export_missing(own_log, up_to=day)
    await object_store().delete(str(AuditExportKey(day)))
    await object_store().put(str(AuditExportKey(day)), content, content_type=daily_exports.CONTENT_TYPE)
    assert (await audit_log.verify(own_log, SOMEBODY)).first_bad == f"export of {day.isoformat()}"


async def test_an_access_token_is_no_signature_of_an_export(own_log: Database, own_database: OwnDatabase) -> None:
    day = date(2001, 11, 20)
    await _write(own_log, own_database, day, 1)
    await daily_exports.export_missing(own_log, up_to=day)
    key = keys.signing_keys()[0]
    claims = {"date": day.isoformat(), "chain": {"seq": 0, "hash": ""}}
    token = jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": "at+jwt"})
    await object_store().delete(str(AuditExportKey(day)))
    await object_store().put(str(AuditExportKey(day)), json.dumps({"signature": token}).encode(), content_type=daily_exports.CONTENT_TYPE)
    assert not (await audit_log.verify(own_log, SOMEBODY)).ok


@pytest.mark.parametrize("day", ["", "yesterday", "20010101", "2001-1-1", "2001-02-30", "2001-01-01T00:00:00Z", "../2001-01-01"])
async def test_what_is_no_date_has_no_export(own_log: Database, day: str) -> None:
    with pytest.raises(NotFound):
        await daily_exports.open_export(own_log, day, SOMEBODY)


async def test_long_chains_are_checked_in_ranges(own_log: Database, own_database: OwnDatabase) -> None:
    await _write(own_log, own_database, date(2001, 12, 1), 7)
    async with own_log.system() as tx:
        assert await chain.verify(tx, at_once=3) == chain.Verification(True, 7, None)
        fourth = await tx.fetch_value("SELECT line_id FROM audit_seals WHERE seq = 4")
    await _as_schema_owner(own_database, "UPDATE audit_lines SET outcome = 'failure' WHERE id = %s", fourth)
    async with own_log.system() as tx:
        assert (await chain.verify(tx, at_once=3)).first_bad == str(fourth)
