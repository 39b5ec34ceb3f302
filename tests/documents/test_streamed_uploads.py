"""Documents that come as a form: streamed, counted, hashed, and nothing left behind where it does not work out."""

import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest

from shared.db import Database, TenantDatabase
from shared.documents import reconciliation, streamed_uploads, upload_step
from shared.documents.models import Document
from shared.documents.quotas import DocumentTooLarge, QuotaExceeded
from shared.documents.upload_step import DuplicateDocument
from shared.documents.uploads import EmptyDocument, UnsupportedType
from shared.errors import MalformedBody, NotFound, UnsupportedMediaType, ValidationFailed
from shared.storage import object_store
from tests.documents.conftest import LETTER, Usage, row, set_quota, usage

BOUNDARY = "----form7MA4YWxkTrZu0gW"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def _part(name: str, value: bytes, filename: str | None = None, content_type: str = "text/plain") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    head += f'; filename="{filename}"\r\nContent-Type: {content_type}' if filename is not None else ""
    return head.encode() + b"\r\n\r\n" + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def _pieces(body: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def _receive(vault: TenantDatabase, body: bytes, *, told: bool = True, size: int = 10_000, kind: str = FORM) -> Document:
    return await streamed_uploads.receive(vault, _pieces(body, size), content_type=kind, content_length=len(body) if told else None)


@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_form_becomes_a_stored_document(vault: TenantDatabase, size: int) -> None:
    body = _part("note", b"x") + _part("file", LETTER, "Grüße %22a%22.txt") + _part("allow_duplicate", b"true") + END
    document = await _receive(vault, body, size=size)
    assert (document.filename, document.status, document.size) == ('Grüße "a".txt', "stored", len(LETTER))
    assert document.sha256 == hashlib.sha256(LETTER).hexdigest()
    key = await row(vault, document.id, "object_key")
    assert await object_store().read(key, limit=1000) == LETTER
    assert await upload_step.object_arrived(key) == "known"
    assert await usage(vault) == Usage(len(LETTER), 0, 1)


@pytest.mark.parametrize("told", [True, False])
async def test_a_large_form_is_passed_on_in_pieces(vault: TenantDatabase, told: bool) -> None:
    content = secrets.token_bytes(2**20) * 70
    document = await _receive(vault, _part("file", content, "book.txt") + END, told=told, size=2**18)
    assert (document.size, document.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert await usage(vault) == Usage(len(content), 0, 1)


async def test_a_notification_that_comes_early_finalizes_nothing(vault: TenantDatabase) -> None:
    upload = upload_step.new_upload(
        vault.owner_id, "x.txt", size=10, content_type="text/plain", sha256=None, method="through_us", lifetime=streamed_uploads.LIFETIME
    )
    async with vault.transaction() as tx:
        await upload_step.insert(tx, upload, "x.txt", allow_duplicate=False)
    await object_store().put(upload.object_key, b"ten bytes!", content_type="text/plain")
    assert await upload_step.object_arrived(upload.object_key) == "early"


@pytest.mark.parametrize("large", [False, True])
async def test_the_same_bytes_again_are_a_duplicate(vault: TenantDatabase, large: bool) -> None:
    content = secrets.token_bytes(9 * 2**20) if large else LETTER
    first = await _receive(vault, _part("file", content, "a.txt") + END, size=2**18)
    with pytest.raises(DuplicateDocument) as refused:
        await _receive(vault, _part("file", content, "b.txt") + END, size=2**18)
    assert refused.value.members == {"document_id": str(first.id)}
    await _receive(vault, _part("file", content, "c.txt") + _part("allow_duplicate", b"true") + END, size=2**18)
    assert await usage(vault) == Usage(2 * len(content), 0, 2)


async def test_what_cannot_be_taken_leaves_nothing(db: Database, vault: TenantDatabase) -> None:
    with pytest.raises(EmptyDocument):
        await _receive(vault, _part("file", b"", "a.txt") + END)
    with pytest.raises(UnsupportedType):
        await _receive(vault, _part("file", b"x", "a.exe", "application/x-msdownload") + END)
    with pytest.raises(DocumentTooLarge):
        await streamed_uploads.receive(vault, _pieces(b""), content_type=FORM, content_length=2**50)
    await set_quota(db, vault.owner_id, 10)
    with pytest.raises(QuotaExceeded):
        await _receive(vault, _part("file", LETTER, "a.txt") + END)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_a_document_of_untold_size_stops_at_the_quota(db: Database, vault: TenantDatabase) -> None:
    await set_quota(db, vault.owner_id, 5 * 2**20)
    content = bytes(6 * 2**20)
    with pytest.raises(QuotaExceeded):
        await _receive(vault, _part("file", content, "a.txt") + END, told=False, size=2**20)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_a_client_so_slow_that_its_upload_was_given_up_is_told_and_keeps_no_room(db: Database, vault: TenantDatabase) -> None:
    beginning = streamed_uploads.HELD + 10_000

    async def slow() -> AsyncIterator[bytes]:
        whole = _part("file", bytes(streamed_uploads.HELD + streamed_uploads.LEAST_AHEAD + 2**20), "a.txt") + END
        yield whole[:beginning]
        async with db.system() as tx:
            await tx.execute("UPDATE documents SET upload_expires_at = now() WHERE owner_id = %(owner)s", {"owner": vault.owner_id})
        await reconciliation.clean_up()
        yield whole[beginning:]

    with pytest.raises(NotFound):
        await streamed_uploads.receive(vault, slow(), content_type=FORM, content_length=None)
    assert await usage(vault) == Usage(0, 0, 0)


async def test_a_client_that_goes_away_leaves_nothing(vault: TenantDatabase) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield _part("file", bytes(20 * 2**20), "a.txt")[: 18 * 2**20]
        raise MalformedBody("The client went away before the body was whole.")

    with pytest.raises(MalformedBody):
        await streamed_uploads.receive(vault, half(), content_type=FORM, content_length=21 * 2**20)
    assert await usage(vault) == Usage(0, 0, 0)
    async with vault.transaction() as tx:
        assert not await tx.fetch_value("SELECT true FROM documents WHERE owner_id = %(owner)s", {"owner": vault.owner_id})


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"{}", "application/json", UnsupportedMediaType),
        (b"", FORM, MalformedBody),
        (b"garbage" * 100, FORM, MalformedBody),
        (_part("file", LETTER, "a.txt"), FORM, MalformedBody),
        (_part("file", LETTER, "a.txt")[:-20], FORM, MalformedBody),
        (b"x", "multipart/form-data", MalformedBody),
        (END, FORM, ValidationFailed),
        (_part("other", b"x") + END, FORM, ValidationFailed),
        (_part("file", b"no filename, so no file") + END, FORM, ValidationFailed),
        (_part("other", b"x" * 2000) + END, FORM, MalformedBody),
        (b"".join(_part(f"f{number}", b"") for number in range(30)) + END, FORM, MalformedBody),
        (_part("file", LETTER, "a.txt") * 2 + END, FORM, ValidationFailed),
        (_part("file", LETTER, "a.txt") + _part("allow_duplicate", b"perhaps") + END, FORM, ValidationFailed),
    ],
)
async def test_what_is_no_form_with_one_file_is_refused(vault: TenantDatabase, body: bytes, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await _receive(vault, body, kind=kind)
    assert await usage(vault) == Usage(0, 0, 0)
