"""A vault for tests: documents with their text, pages and index, as extraction leaves them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.db import TenantDatabase
from shared.documents import listing
from shared.documents.listing import Filters
from shared.documents.models import DocumentHit, Sort
from shared.documents.name_keys import name_key
from shared.ids import new_id
from shared.search import index as search_index


class Vault:
    """One owner's documents."""

    def __init__(self, db: TenantDatabase) -> None:
        self.db = db

    async def add(
        self,
        title: str,
        *pages: str,
        language: str | None = "en",
        filename: str | None = None,
        topics: Sequence[str] = (),
        created_at: datetime | None = None,
        **columns: Any,
    ) -> UUID:
        """Adds a document; `columns` are further columns of its row (status, size, content_type, trashed_at)."""
        document_id = new_id()
        values: dict[str, Any] = {
            "id": document_id,
            "owner_id": self.db.owner_id,
            "filename": filename if filename is not None else f"{title}.pdf",
            "title": title,
            "size": 1,
            "content_type": "application/pdf",
            "status": "ready",
            "language": language,
            "object_key": f"{self.db.owner_id}/{document_id}/x",
        } | columns
        if created_at is not None:
            values["created_at"] = created_at
        async with self.db.transaction() as tx:
            await tx.execute(f"INSERT INTO documents ({', '.join(values)}) VALUES ({', '.join(f'%({name})s' for name in values)})", values)
            for number, page in enumerate(pages, 1):
                await tx.execute(
                    "INSERT INTO document_pages (document_id, owner_id, number, text) VALUES (%s, %s, %s, %s)",
                    [document_id, self.db.owner_id, number, page],
                )
            await search_index.index(
                tx,
                owner_id=self.db.owner_id,
                document_id=document_id,
                language=language,
                filename=values["filename"],
                title=title,
                pages=pages,
            )
            for name in topics:
                await tx.execute(
                    "INSERT INTO topics (id, owner_id, name, name_key) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    [new_id(), self.db.owner_id, name, name_key(name)],
                )
                await tx.execute(
                    """
                    INSERT INTO document_topics (document_id, topic_id, owner_id, source)
                    SELECT %s, id, owner_id, 'owner' FROM topics WHERE owner_id = %s AND name = %s
                    """,
                    [document_id, self.db.owner_id, name],
                )
        return document_id

    async def merge(self) -> None:
        """Takes what is indexed over into the postings, as a writer or the schedule does after a while."""
        async with self.db.transaction() as tx:
            while await tx.fetch_value("SELECT merge_search_changes(%s, 1)", [self.db.owner_id]):
                pass

    async def topic(self, name: str) -> UUID:
        """The id of one of the owner's topics."""
        async with self.db.transaction() as tx:
            found: UUID = await tx.fetch_value("SELECT id FROM topics WHERE owner_id = %s AND name = %s", [self.db.owner_id, name])
        return found

    async def hits(self, query: str, sort: Sort = "-relevance", limit: int = 50, **filters: Any) -> list[DocumentHit]:
        """Everything that the query finds, page by page."""
        found: list[DocumentHit] = []
        cursor = None
        while True:
            page = await listing.search_documents(self.db, query, Filters(**filters), sort, limit, cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def titles(self, query: str, sort: Sort = "-relevance", limit: int = 50, **filters: Any) -> list[str]:
        """The titles of everything that the query finds."""
        return [hit.title for hit in await self.hits(query, sort, limit, **filters)]
