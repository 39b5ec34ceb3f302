"""Opening a share: for whoever has the link, and the password if it has one; nobody signs in.

A share that is unknown, expired, revoked or used up, whose document is in the trash or gone, or whose owner's account is closed: all are
the same NotFound, after the same one query. Openings are counted by a conditional update in the transaction that writes their audit line,
so of any number at once no more than `max_downloads` succeed.

Wrong passwords are counted as those of accounts are (`shared.identity.throttle`): per share and network with a growing delay, and per share
over all networks with a delay of half a minute at most, by which a network that has opened the share is not held up.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, AuditOutcome
from shared.clock import now
from shared.db import Database, Transaction
from shared.documents import library, lifecycle, shares
from shared.documents.share_models import SharedDocument
from shared.errors import NotFound, Unauthenticated
from shared.identity import passwords, throttle
from shared.identity.client import Client


class SharePasswordRequired(Unauthenticated):
    code, title = "share_password_required", "This link needs a password"


class SharePasswordWrong(Unauthenticated):
    code, title = "share_password_wrong", "The password is wrong"


_GOOD = f"""
    s.expires_at > clock_timestamp() AND (s.max_downloads IS NULL OR s.downloads < s.max_downloads)
    AND EXISTS (
        SELECT FROM documents AS d
        WHERE d.owner_id = s.owner_id AND d.id = s.document_id AND d.trashed_at IS NULL AND d.status <> 'uploading'
            AND d.error ->> 'code' IS DISTINCT FROM '{lifecycle.OBJECT_MISMATCH}'
    )
    AND EXISTS (SELECT FROM users AS u WHERE u.id = s.owner_id AND NOT u.disabled AND u.deleted_at IS NULL)
    """
"""Whether a share `s` opens anything."""


@dataclass(frozen=True)
class _FoundShare:
    id: UUID
    owner_id: UUID
    document_id: UUID
    password_hash: str | None = field(repr=False)
    expires_at: datetime
    filename: str
    content_type: str
    size: int
    object_key: str
    connection_id: UUID | None


@dataclass(frozen=True)
class _Attempt:
    """A password that was given: where it is counted, and whether it is right."""

    counted: throttle.Buckets
    verdict: passwords.Verdict


async def open_share(db: Database, client: Client, token: str, password: str | None) -> SharedDocument:
    """Counts an opening and gives a link to the original, good for minutes and never longer than the share.

    Raises NotFound, SharePasswordRequired, SharePasswordWrong, RateLimited after wrong passwords, StorageUnavailable and Unavailable;
    none of these counts as an opening.
    """
    async with db.system() as tx:
        share = await _find(tx, token)
    attempt = None if share.password_hash is None else await _attempt(db, client, share, password)
    expires_at = min(now() + library.DOWNLOAD_LIFETIME, share.expires_at)
    url = await library.link(
        share.owner_id,
        share.document_id,
        object_key=share.object_key,
        connection_id=share.connection_id,
        filename=share.filename,
        content_type=share.content_type,
        disposition="attachment",
        expires_at=expires_at,
    )
    async with db.system() as tx:
        right = attempt is None or await _is_right(tx, client, share, attempt)
        if right:
            await _count(tx, share, None if attempt is None else attempt.verdict.upgraded)
            await _note(tx, client, share, AuditOutcome.SUCCESS)
    if not right:
        raise SharePasswordWrong
    return SharedDocument(filename=share.filename, size=share.size, url=url)


async def _find(tx: Transaction, token: str) -> _FoundShare:
    share = await tx.fetch_one(
        f"""
        SELECT s.id, s.owner_id, s.document_id, s.password_hash, s.expires_at,
            d.filename, d.content_type, d.size, d.object_key, d.connection_id
        FROM document_shares AS s JOIN documents AS d ON d.owner_id = s.owner_id AND d.id = s.document_id
        WHERE s.token_hash = %(hash)s AND {_GOOD}
        """,
        {"hash": shares.hash_of(token)},
        row=_FoundShare,
    )
    if share is None:
        raise _not_good()
    return share


async def _attempt(db: Database, client: Client, share: _FoundShare, password: str | None) -> _Attempt:
    """Checks the password, unless there is something to wait for first. Raises SharePasswordRequired, RateLimited, Unavailable."""
    if password is None:
        raise SharePasswordRequired
    counted = throttle.buckets("share", str(share.id), client, owner=None)
    async with db.system() as tx:
        throttle.refuse_if_waiting(await throttle.standing(tx, counted))
    return _Attempt(counted, await passwords.verify_password(password, share.password_hash))


async def _is_right(tx: Transaction, client: Client, share: _FoundShare, attempt: _Attempt) -> bool:
    """Counts the attempt. Raises RateLimited if others failed meanwhile: of many guesses at once the rest teach nothing."""
    standing = await throttle.standing(tx, attempt.counted, lock=True)
    throttle.refuse_if_waiting(standing)
    if attempt.verdict.right:
        await throttle.count_success(tx, attempt.counted, standing)
    else:
        await throttle.count_failure(tx, attempt.counted, standing)
        await _note(tx, client, share, AuditOutcome.FAILURE, reason="wrong_password")
    return attempt.verdict.right


async def _count(tx: Transaction, share: _FoundShare, upgraded: str | None) -> None:
    """One opening more. Raises NotFound if there is none left, or the share has ended meanwhile."""
    counted = await tx.execute(
        f"""
        UPDATE document_shares AS s SET downloads = downloads + 1, password_hash = coalesce(%(upgraded)s::text, password_hash)
        WHERE s.owner_id = %(owner)s AND s.id = %(share)s AND {_GOOD}
        """,
        {"owner": share.owner_id, "share": share.id, "upgraded": upgraded},
    )
    if not counted:
        raise _not_good()


async def _note(tx: Transaction, client: Client, share: _FoundShare, outcome: AuditOutcome, **detail: str) -> None:
    await audit.record(
        tx,
        AuditAction.DOCUMENT_SHARE_OPENED,
        outcome=outcome,
        owner=share.owner_id,
        target=str(share.document_id),
        origin=client,
        detail={"share": str(share.id), **detail},
    )


def _not_good() -> NotFound:
    return NotFound("This link is not good, or not any more.")
