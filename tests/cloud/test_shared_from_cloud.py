"""A share of a document that lives in a cloud of its owner's."""

import asyncio
from datetime import timedelta

import pytest

from shared.clock import now
from shared.cloud import moves
from shared.cloud.models import Connection
from shared.db import Database, TenantDatabase
from shared.documents import share_opening, shares
from shared.documents.share_models import NewShare
from shared.errors import NotFound
from shared.identity.client import Client
from tests.cloud.conftest import ready, waiting_move
from tests.cloud.test_connections import Person
from tests.cloud.test_content import TEXT, fetch
from tests.cloud.test_content import person as person
from tests.documents.test_shares import PASSWORD, a_share, change, opened, openings, outcome


async def test_a_document_in_a_cloud_is_opened_by_its_share(
    vault: TenantDatabase, db: Database, connection: Connection, person: Person
) -> None:
    document = await ready(vault, TEXT, "Brief an März.txt")
    share = await shares.create(
        vault, document.id, NewShare.model_validate({"expires_at": (now() + timedelta(days=1)).isoformat(), "max_downloads": 2})
    )
    token = share.url.rpartition("/")[2]
    stranger = Client("198.51.100.7", "", "")
    in_bucket = await share_opening.open_share(db, stranger, token, None)
    assert "/api/content/" not in in_bucket.url
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    await moves.carry_out(vault, document.id, move_id)
    given = await share_opening.open_share(db, stranger, token, None)
    assert (given.filename, given.size) == ("Brief an März.txt", len(TEXT))
    answer = await fetch(person, "/api/content/" + given.url.rpartition("/api/content/")[2])
    assert (answer.status, answer.body) == (200, TEXT)
    assert (answer.header("content-disposition") or "").startswith("attachment")
    with pytest.raises(NotFound):
        await share_opening.open_share(db, stranger, token, None)


async def test_expiry_password_limit_and_audit_hold_for_a_document_in_a_cloud(
    vault: TenantDatabase, db: Database, connection: Connection, person: Person
) -> None:
    document = await ready(vault, TEXT)
    await moves.request(vault, document.id, connection.id)
    move_id = await waiting_move(vault, document.id)
    assert move_id is not None
    await moves.carry_out(vault, document.id, move_id)
    share = await shares.create(vault, document.id, a_share(max_downloads=3, password=PASSWORD))
    assert await outcome(db, share) == "share_password_required"
    assert await outcome(db, share, "wrong") == "share_password_wrong"
    outcomes = await asyncio.gather(*(outcome(db, share, PASSWORD) for _ in range(12)))
    assert (outcomes.count("opened"), outcomes.count("not_found")) == (3, 9)
    lines = await openings(vault)
    assert [(line.outcome, line.target) for line in lines] == [("failure", str(document.id))] + [("success", str(document.id))] * 3

    short = await shares.create(vault, document.id, a_share(expires_at=(now() + timedelta(seconds=60)).isoformat()))
    given = await opened(db, short)
    path = "/api/content/" + given.url.rpartition("/api/content/")[2]
    assert (await fetch(person, path)).body == TEXT
    await change(vault, short.id, "expires_at = now() - interval '1 second'")
    assert await outcome(db, short) == "not_found"
    revoked = await shares.create(vault, document.id, a_share())
    await shares.revoke(vault, document.id, revoked.id)
    assert await outcome(db, revoked) == "not_found"
    assert len(await openings(vault)) == 5
