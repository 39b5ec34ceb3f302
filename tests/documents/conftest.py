"""What the documents' tests share: an owner's database, and documents brought to a point on their way."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.db import Database, TenantDatabase
from shared.documents import extract_step, library, recognize_step, uploads
from shared.documents.models import CompleteUpload, CreatedUpload, CreateUpload, Document, SingleUpload

LETTER = b"Dear heron,\nthe waterworks send their quarterly invoice.\n"

PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj
4 0 obj<</Length 60>>stream
BT /F1 24 Tf 20 200 Td (The heron landed here today) Tj ET  
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
6 0 obj<</Title(About the heron)>>endobj
trailer<</Root 1 0 R/Info 6 0 R>>
"""


@pytest.fixture
def vault(db: Database, owner: UUID) -> TenantDatabase:
    """The owner's own rows, as functions get them."""
    return TenantDatabase(db, owner)


async def create(vault: TenantDatabase, content: bytes = LETTER, **more: Any) -> CreatedUpload:
    """An upload of `content` under way, nothing sent yet."""
    request = {"filename": "letter.txt", "size": len(content), "content_type": "text/plain"} | more
    return await uploads.create(vault, CreateUpload.model_validate(request))


async def send(created: CreatedUpload, content: bytes = LETTER) -> int:
    """PUTs the bytes as a browser does; the store's status."""
    assert isinstance(created.upload, SingleUpload)
    async with httpx.AsyncClient(timeout=60) as browser:
        return (await browser.put(created.upload.url, content=content, headers=dict(created.upload.headers))).status_code


async def stored(vault: TenantDatabase, content: bytes = LETTER, **more: Any) -> Document:
    """A document that has arrived."""
    created = await create(vault, content, **more)
    assert await send(created, content) == 200
    return await uploads.complete(vault, created.document.id, CompleteUpload())


async def read_through(vault: TenantDatabase, document_id: UUID, revision: int = 1) -> Document:
    """The document after all that brokers would have done to read it."""
    await extract_step.read(vault, document_id, revision)
    await extract_step.read_in_full(vault, document_id, revision)
    while (done := await recognized(vault, document_id)) is not None:
        assert await recognize_step.recognize_slice(vault, document_id, revision, done)
    return await library.get(vault, document_id)


async def recognized(vault: TenantDatabase, document_id: UUID) -> int | None:
    """How many of the document's scans are recognised; None where none are waiting (any more)."""
    async with vault.transaction() as tx:
        done: int | None = await tx.fetch_value(
            "SELECT done FROM document_recognition WHERE owner_id = %(owner)s AND document_id = %(id)s",
            {"owner": vault.owner_id, "id": document_id},
        )
    return done


async def row(vault: TenantDatabase, document_id: UUID, columns: str) -> Any:
    """One column of the document's row (or a row of several), or None where it is gone."""
    async with vault.transaction() as tx:
        return await tx.fetch_value(
            f"SELECT {columns} FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": vault.owner_id, "id": document_id}
        )


async def status(vault: TenantDatabase, document_id: UUID) -> str:
    return (await library.get(vault, document_id)).status


@dataclass(frozen=True)
class Usage:
    bytes_used: int
    bytes_reserved: int
    documents: int


async def usage(vault: TenantDatabase) -> Usage:
    """What the account holds."""
    async with vault.transaction() as tx:
        found = await tx.fetch_one(
            "SELECT bytes_used, bytes_reserved, documents FROM account_usage WHERE owner_id = %(owner)s",
            {"owner": vault.owner_id},
            row=Usage,
        )
    assert found is not None
    return found


async def set_quota(db: Database, owner: UUID, size: int) -> None:
    async with db.system() as tx:
        await tx.execute("UPDATE account_usage SET bytes_quota = %(size)s WHERE owner_id = %(owner)s", {"owner": owner, "size": size})


@dataclass(frozen=True)
class Published:
    id: UUID
    type: str
    data: dict[str, Any]


async def published(vault: TenantDatabase, document_id: UUID) -> list[Published]:
    """The events about a document, oldest first."""
    async with vault.transaction() as tx:
        return await tx.fetch_all(
            "SELECT id, type, data FROM events WHERE owner_id = %(owner)s AND subject = %(subject)s ORDER BY id",
            {"owner": vault.owner_id, "subject": str(document_id)},
            row=Published,
        )
