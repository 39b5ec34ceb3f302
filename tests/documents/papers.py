"""Documents and topics in the database, for tests of what happens after reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.db import Database, TenantDatabase, Transaction
from shared.documents import topics
from shared.documents.topic_models import NewTopic
from shared.ids import new_id

INVOICE = (
    "Northwind Web Studio Ltd\nINVOICE\nInvoice number: NW-4471    Invoice date: 2 May 2024\nBill to: Harcourt Bakery\n"
    "Subtotal 270.00\nVAT 20 % 54.00\nAmount due: 324.00 GBP\nPayment terms: 30 days."
)
REMINDER = "Dear Sir, the garden club meets on Friday. By the way, we still wait for your payment of the invoice of last May."
POEM = "The moon hangs round in naked boughs, the tomcat freezes, still the cat allows a nap."


@dataclass(frozen=True)
class Filing:
    topic_id: UUID
    source: str
    confidence: float | None


@dataclass(frozen=True)
class Count:
    term: str
    accepted: int
    refused: int


@dataclass(frozen=True)
class StepRow:
    state: str
    detail: str | None
    attempts: int


async def extracted(
    db: Database, owner: UUID, *pages: str, filename: str = "scan.pdf", ai_policy: str = "inherit", status: str = "extracted"
) -> UUID:
    """A document whose text was read."""
    document_id = new_id()
    async with db.tenant(owner) as tx:
        await tx.execute(
            """
            INSERT INTO documents (id, owner_id, filename, title, size, content_type, status, language, ai_policy, object_key)
            VALUES (%(id)s, %(owner)s, %(name)s, %(name)s, 1, 'application/pdf', %(status)s, 'en', %(policy)s, %(key)s)
            """,
            {"id": document_id, "owner": owner, "name": filename, "status": status, "policy": ai_policy, "key": f"{owner}/{document_id}/x"},
        )
        for number, text in enumerate(pages, 1):
            await tx.execute(
                "INSERT INTO document_pages (document_id, owner_id, number, text) VALUES (%s, %s, %s, %s)",
                (document_id, owner, number, text),
            )
    return document_id


async def topic(db: Database, owner: UUID, name: str, description: str | None = None) -> UUID:
    """A topic of the owner's; its id."""
    return (await topics.create(TenantDatabase(db, owner), NewTopic(name=name, description=description))).id


async def filings(tx: Transaction, document_id: UUID) -> list[Filing]:
    return await tx.fetch_all(
        "SELECT topic_id, source, confidence FROM document_topics WHERE document_id = %s ORDER BY topic_id", (document_id,), row=Filing
    )


async def learned(tx: Transaction, topic_id: UUID, *terms: str) -> dict[str, tuple[int, int]]:
    """What was learned of these terms (of all, without any): accepted and refused counts."""
    rows = await tx.fetch_all("SELECT term, accepted, refused FROM topic_terms WHERE topic_id = %s ORDER BY term", (topic_id,), row=Count)
    return {row.term: (row.accepted, row.refused) for row in rows if not terms or row.term in terms}


async def step(tx: Transaction, document_id: UUID) -> StepRow | None:
    return await tx.fetch_one(
        "SELECT state, detail, attempts FROM document_steps WHERE document_id = %s AND step = 'classify'", (document_id,), row=StepRow
    )


async def published(tx: Transaction, document_id: UUID) -> Sequence[str]:
    return [
        row.type
        for row in await tx.fetch_all("SELECT type FROM events WHERE subject = %s ORDER BY created_at", (str(document_id),), row=_Type)
    ]


@dataclass(frozen=True)
class _Type:
    type: str
