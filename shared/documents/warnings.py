"""Warnings of a document: what of it was not read, or cannot be found, although the rest is."""

from uuid import UUID

from psycopg.types.json import Jsonb

from shared.db import Transaction

INDEX_CUT_SHORT = "index_cut_short"
_INDEX_CUT_SHORT_DETAIL = (
    "The text holds more than one document may be searched for. The last of its words, numbers first, or of its phrases are not found."
)


async def set_index_cut_short(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> None:
    """Says on the document that a part of its text cannot be found; once, however often it is indexed."""
    await tx.execute(
        """
        UPDATE documents
        SET warnings = %(warning)s
            || coalesce((SELECT jsonb_agg(other) FROM jsonb_array_elements(warnings) AS other WHERE other->>'code' <> %(code)s), '[]')
        WHERE owner_id = %(owner)s AND id = %(id)s
        """,
        {
            "warning": Jsonb([{"code": INDEX_CUT_SHORT, "detail": _INDEX_CUT_SHORT_DETAIL}]),
            "code": INDEX_CUT_SHORT,
            "owner": owner_id,
            "id": document_id,
        },
    )
