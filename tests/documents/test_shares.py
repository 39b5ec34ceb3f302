"""Shares: what opens, what does not, and what guessing a password costs."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import ValidationError

from shared import clock
from shared.api.models import PageQuery
from shared.config import settings
from shared.db import Database, TenantDatabase
from shared.documents import erasure, library, purging, share_opening, shares
from shared.documents.share_models import CreatedShare, NewShare, SharedDocument
from shared.documents.share_opening import SharePasswordRequired, SharePasswordWrong
from shared.errors import InvalidCursor, LimitReached, NotFound, RateLimited, ValidationFailed
from shared.identity import throttle
from shared.identity.client import Client
from shared.storage import object_store
from tests.documents.conftest import LETTER, stored
from tests.documents.test_bulk import rows

STRANGER = Client("198.51.100.7", "Somebody/1.0", "en")
PASSWORD = "heron"


def a_share(**more: Any) -> NewShare:
    return NewShare.model_validate({"expires_at": (clock.now() + timedelta(days=1)).isoformat()} | more)


def token_of(share: CreatedShare) -> str:
    return share.url.rpartition("/")[2]


async def opened(db: Database, share: CreatedShare | str, password: str | None = None, client: Client = STRANGER) -> SharedDocument:
    return await share_opening.open_share(db, client, share if isinstance(share, str) else token_of(share), password)


async def outcome(db: Database, share: CreatedShare | str, password: str | None = None, client: Client = STRANGER) -> str:
    try:
        await opened(db, share, password, client)
    except (NotFound, SharePasswordRequired, SharePasswordWrong, RateLimited) as refused:
        return refused.code
    return "opened"


async def downloads(vault: TenantDatabase, document_id: UUID) -> list[int]:
    return [share.downloads for share in (await shares.list_page(vault, document_id, PageQuery())).items]


async def change(vault: TenantDatabase, share_id: UUID, assignment: str) -> None:
    async with vault.transaction() as tx:
        assert await tx.execute(f"UPDATE document_shares SET {assignment} WHERE id = %s", (share_id,)) == 1


@dataclass(frozen=True)
class Line:
    outcome: str
    actor_id: UUID | None
    target: str
    ip: str
    user_agent: str
    detail: dict[str, Any]


async def openings(vault: TenantDatabase) -> list[Line]:
    """The audit lines of openings."""
    async with vault.transaction() as tx:
        return await tx.fetch_all(
            """
            SELECT outcome, actor_id, target, ip, user_agent, detail FROM audit_lines JOIN audit_personal ON line_id = id
            WHERE audit_lines.owner_id = %s AND action = 'document:open_share' ORDER BY id
            """,
            (vault.owner_id,),
            row=Line,
        )


async def test_whoever_has_the_link_gets_the_document_and_a_line_says_so(vault: TenantDatabase, db: Database) -> None:
    document = await stored(vault, filename="Brief an März.txt")
    share = await shares.create(vault, document.id, a_share())
    assert share.url.startswith(f"{settings().frontend_url}/shared/")
    assert (share.has_password, share.max_downloads, share.downloads) == (False, None, 0)
    given = await opened(db, share)
    assert (given.filename, given.size) == ("Brief an März.txt", len(LETTER))
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(given.url)
    assert answer.content == LETTER
    assert answer.headers["content-disposition"].startswith("attachment")
    assert await openings(vault) == [
        Line("success", None, str(document.id), STRANGER.address, STRANGER.user_agent, {"share": str(share.id)})
    ]
    assert await downloads(vault, document.id) == [1]


async def test_the_link_is_told_once_and_only_its_hash_is_stored(vault: TenantDatabase) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(password=PASSWORD))
    [listed] = (await shares.list_page(vault, document_id, PageQuery())).items
    assert "url" not in listed.model_dump()
    assert listed == type(listed)(**share.model_dump(exclude={"url"}))
    async with vault.transaction() as tx:
        row = str(await tx.fetch_value("SELECT s::text FROM document_shares AS s WHERE id = %s", (share.id,)))
        lines = str(await tx.fetch_value("SELECT jsonb_agg(l) FROM audit_lines AS l WHERE owner_id = %s", (vault.owner_id,)))
    assert shares.hash_of(token_of(share)).hex() in row
    assert "$argon2id$" in row
    for secret in (token_of(share), PASSWORD):
        assert secret not in row + lines


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_of_fifty_at_once_no_more_than_the_limit_open(vault: TenantDatabase, db: Database, password: str | None) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(max_downloads=7, password=password))
    outcomes = await asyncio.gather(*(outcome(db, share, password) for _ in range(50)))
    assert (outcomes.count("opened"), outcomes.count("not_found")) == (7, 43)
    assert await downloads(vault, document_id) == [7]
    assert len(await openings(vault)) == 7


async def test_what_opens_nothing_is_not_told_apart(vault: TenantDatabase, db: Database) -> None:
    async def refusal(share: CreatedShare | str, password: str | None = PASSWORD) -> tuple[Any, ...]:
        with pytest.raises(NotFound) as refused:
            await opened(db, share, password)
        return type(refused.value), refused.value.detail, refused.value.members, refused.value.headers

    async def new(**more: Any) -> tuple[UUID, CreatedShare]:
        [document_id] = await rows(vault, 1)
        return document_id, await shares.create(vault, document_id, a_share(**more))

    nothing = await refusal("x")
    for text in ("", "\0", "\ud800", "A" * 43, "x" * 100_000, "' OR 1=1 --"):
        assert await refusal(text) == nothing
    for more in ({}, {"password": PASSWORD}):
        _, share = await new(**more)
        await change(vault, share.id, "expires_at = now() - interval '1 second'")
        assert await refusal(share) == nothing
        document_id, share = await new(**more)
        await shares.revoke(vault, document_id, share.id)
        assert await refusal(share) == nothing
        _, share = await new(max_downloads=1, **more)
        await opened(db, share, PASSWORD)
        assert await refusal(share) == nothing
        assert await refusal(share, "wrong") == nothing
        document_id, share = await new(**more)
        await library.trash(vault, document_id)
        assert await refusal(share) == nothing
        await library.restore(vault, document_id)
        assert await outcome(db, share, PASSWORD) == "opened"
        await library.trash(vault, document_id)
        await purging.purge(vault, document_id)
        assert await refusal(share) == nothing
    _, share = await new()
    async with db.system() as tx:
        await tx.execute("UPDATE users SET disabled = true WHERE id = %s", (vault.owner_id,))
    assert await refusal(share) == nothing
    async with db.system() as tx:
        await tx.execute("UPDATE users SET disabled = false, deleted_at = now() WHERE id = %s", (vault.owner_id,))
    assert await refusal(share) == nothing


async def test_shares_go_with_the_document_and_with_the_account(vault: TenantDatabase, db: Database) -> None:
    gone, left = await rows(vault, 2)
    for document_id in (gone, left):
        await shares.create(vault, document_id, a_share())
    await library.trash(vault, gone)
    await purging.purge(vault, gone)

    async def kept() -> list[UUID] | None:
        async with db.system() as tx:
            found: list[UUID] | None = await tx.fetch_value(
                "SELECT array_agg(document_id) FROM document_shares WHERE owner_id = %s", (vault.owner_id,)
            )
        return found

    assert await kept() == [left]
    await erasure.erase_all(vault, object_store())
    assert await kept() is None


async def test_a_password_is_asked_for_and_wrong_ones_are_written(vault: TenantDatabase, db: Database) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(password="ﬁsh", max_downloads=1))
    assert share.has_password
    with pytest.raises(SharePasswordRequired) as required:
        await opened(db, share)
    assert (required.value.status, required.value.code) == (401, "share_password_required")
    for wrong in ("", "fish ", "x" * 1024, "\ud800", "\0"):
        assert await outcome(db, share, wrong) == "share_password_wrong"
    assert await downloads(vault, document_id) == [0]
    lines = await openings(vault)
    assert [(line.outcome, line.detail) for line in lines] == [("failure", {"share": str(share.id), "reason": "wrong_password"})] * 5
    assert await outcome(db, share, "fish") == "opened"  # in Unicode's NFKC, the same


async def test_guessing_is_slowed_down_and_holds_up_nobody_else(vault: TenantDatabase, db: Database) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(password=PASSWORD))
    other = await shares.create(vault, document_id, a_share(password=PASSWORD))
    outcomes = await asyncio.gather(*(outcome(db, share, f"guess {number}") for number in range(50)))
    # However many at once: five are free, the sixth is what all others have to wait for; a slow machine lets the first waits pass.
    assert throttle.FREE < outcomes.count("share_password_wrong") < 3 * throttle.FREE
    assert set(outcomes) == {"share_password_wrong", "rate_limited"}
    async with db.system() as tx:
        places = throttle.candidates("share", str(share.id), STRANGER)
        await tx.execute("UPDATE attempts SET blocked_until = now() + interval '1 hour' WHERE bucket = ANY (%s)", (places[:1],))
    assert await outcome(db, share, PASSWORD) == "rate_limited"
    assert await outcome(db, other, PASSWORD) == "opened"
    assert await outcome(db, share, PASSWORD, Client("203.0.113.9", "", "")) == "opened"


async def test_guessing_from_many_networks_holds_up_none_that_has_opened_it(vault: TenantDatabase, db: Database) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(password=PASSWORD))
    assert await outcome(db, share, PASSWORD) == "opened"
    for number in range(throttle.ACCOUNT_FREE + 1):
        assert await outcome(db, share, "guess", Client(f"203.0.113.{number}", "", "")) == "share_password_wrong"
    async with db.system() as tx:
        places = throttle.candidates("share", str(share.id), STRANGER)
        blocked = await tx.fetch_value(
            """
            UPDATE attempts SET blocked_until = blocked_until + interval '1 hour' WHERE bucket = ANY (%s)
            RETURNING blocked_until - interval '1 hour' - updated_at <= interval '31 seconds'
            """,
            (places[1:2],),
        )
    assert blocked
    assert await outcome(db, share, PASSWORD, Client("203.0.113.200", "", "")) == "rate_limited"
    assert await outcome(db, share, PASSWORD) == "opened"


async def test_a_url_is_good_no_longer_than_its_share(vault: TenantDatabase, db: Database) -> None:
    [document_id] = await rows(vault, 1)
    share = await shares.create(vault, document_id, a_share(expires_at=(clock.now() + timedelta(seconds=60)).isoformat()))
    seconds = httpx.URL((await opened(db, share)).url).params["X-Amz-Expires"]
    assert 1 <= int(seconds) <= 60


async def test_a_document_has_so_many_shares_also_at_once_and_those_that_are_over_make_room(vault: TenantDatabase) -> None:
    [document_id] = await rows(vault, 1)
    async with vault.transaction() as tx:
        await tx.execute(
            """
            INSERT INTO document_shares (id, owner_id, document_id, token_hash, expires_at, max_downloads)
            SELECT gen_random_uuid(), %s, %s, sha256(gen_random_uuid()::text::bytea), now() + interval '1 day', 2
            FROM generate_series(1, %s)
            """,
            (vault.owner_id, document_id, shares.AT_MOST - 2),
        )
    outcomes = await asyncio.gather(*(shares.create(vault, document_id, a_share()) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(made, LimitReached) for made in outcomes) == 3
    [made] = [made for made in outcomes if isinstance(made, CreatedShare)][:1]
    await change(vault, made.id, "expires_at = now() - interval '1 second'")
    async with vault.transaction() as tx:
        await tx.execute(
            """
            UPDATE document_shares SET downloads = 2
            WHERE id = (SELECT id FROM document_shares WHERE document_id = %s AND max_downloads = 2 LIMIT 1)
            """,
            (document_id,),
        )
    for _ in range(2):
        await shares.create(vault, document_id, a_share())
    with pytest.raises(LimitReached):
        await shares.create(vault, document_id, a_share())


async def test_anothers_shares_are_not_found(vault: TenantDatabase, other_owner: UUID, db: Database) -> None:
    [mine], other = await rows(vault, 1), TenantDatabase(db, other_owner)
    [theirs] = await rows(other, 1)
    share = await shares.create(vault, mine, a_share())
    for document_id in (mine, uuid4()):
        with pytest.raises(NotFound):
            await shares.create(other, document_id, a_share())
        with pytest.raises(NotFound):
            await shares.list_page(other, document_id, PageQuery())
    for who, document_id, share_id in (
        (other, mine, share.id),
        (other, theirs, share.id),
        (vault, mine, uuid4()),
        (vault, uuid4(), share.id),
    ):
        with pytest.raises(NotFound):
            await shares.revoke(who, document_id, share_id)
    async with other.transaction() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM document_shares") == 0
    assert await outcome(db, share) == "opened"


async def test_shares_come_newest_first_page_by_page(vault: TenantDatabase) -> None:
    [document_id, another] = await rows(vault, 2)
    made = [(await shares.create(vault, document_id, a_share())).id for _ in range(3)]
    first = await shares.list_page(vault, document_id, PageQuery(limit=2))
    rest = await shares.list_page(vault, document_id, PageQuery(limit=2, cursor=first.next_cursor))
    assert [share.id for share in first.items + rest.items] == made[::-1]
    with pytest.raises(InvalidCursor):
        await shares.list_page(vault, another, PageQuery(cursor=first.next_cursor))


async def test_a_share_that_would_be_over_is_not_made(vault: TenantDatabase) -> None:
    [document_id] = await rows(vault, 1)
    with pytest.raises(ValidationFailed):
        await shares.create(vault, document_id, a_share(expires_at=clock.now().isoformat()))
    for more in ({"max_downloads": 0}, {"password": ""}, {"password": "x" * 129}, {"password": "\ufdfa" * 20}, {"owner_id": uuid4()}):
        with pytest.raises(ValidationError):
            a_share(**more)
