"""Warnings of a document: what of it was not read, or cannot be found, although the rest is."""

from uuid import UUID

from psycopg.types.json import Jsonb

from shared.db import Transaction
from shared.search.index import Indexed

INDEX_CUT_SHORT = "index_cut_short"
_WITHOUT_WORDS = (
    "The text holds more different words than one document may be searched for. The last of them, numbers first, are not found."
)
_WITHOUT_PHRASES = "The text is so long that phrases are found in its first part only. Each of its words is found."


async def note_index_cut_short(tx: Transaction, indexed: Indexed, *, owner_id: UUID, document_id: UUID) -> None:
    """Says on the document if a part of its text cannot be found; once, however often it is indexed."""
    if not (indexed.is_cut or indexed.is_without_phrases):
        return
    await tx.execute(
        """
        UPDATE documents
        SET warnings = %(warning)s
            || coalesce((SELECT jsonb_agg(other) FROM jsonb_array_elements(warnings) AS other WHERE other->>'code' <> %(code)s), '[]')
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {
            "warning": Jsonb([{"code": INDEX_CUT_SHORT, "detail": _WITHOUT_WORDS if indexed.is_cut else _WITHOUT_PHRASES}]),
            "code": INDEX_CUT_SHORT,
            "owner": owner_id,
            "id": document_id,
        },
    )
