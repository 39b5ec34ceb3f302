"""How many of the documents found have which topic, sender, type, language and year (of the paper's date, else of the day it came): counted
over the first 10,000.
"""

from collections.abc import Mapping
from typing import Any

from shared.db import TenantDatabase
from shared.documents.listing import DATED, WITHOUT_SEQUENTIAL_SCANS
from shared.documents.models import Facets

COUNTED = 10_000
"""Documents that are counted at most: the best of what a query finds, the newest of a list."""

VALUES = 50
"""Values of a facet, the most frequent first."""


async def of_list(db: TenantDatabase, condition: str, parameters: Mapping[str, Any]) -> Facets:
    """The facets of a list without a query; `condition` is about documents AS d."""
    chosen = f"SELECT d.id FROM documents AS d WHERE {condition} ORDER BY d.created_at DESC, d.id DESC LIMIT {COUNTED}"
    return await _count(db, chosen, "true", parameters)


async def of_found(db: TenantDatabase, numbers: list[int], condition: str, parameters: Mapping[str, Any]) -> Facets:
    """The facets of what a query found and the condition (about documents AS d) lets through."""
    chosen = """
        SELECT s.document_id AS id FROM unnest(%(numbers)b::integer[]) AS n (number)
        JOIN document_search AS s ON s.owner_id = %(owner)s AND s.number = n.number
    """
    return await _count(db, chosen, condition, {**parameters, "numbers": numbers})


async def _count(db: TenantDatabase, chosen: str, condition: str, parameters: Mapping[str, Any]) -> Facets:
    def values(column: str, value: str = "") -> str:
        return f"""coalesce((
            SELECT jsonb_agg(jsonb_build_object('value', value, 'documents', documents) ORDER BY documents DESC, value)
            FROM (
                SELECT {value or column} AS value, count(*) AS documents FROM listed WHERE {column} IS NOT NULL
                GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT {VALUES}
            ) AS counted
        ), '[]')"""

    async with db.transaction() as tx:
        await tx.execute(WITHOUT_SEQUENTIAL_SCANS)
        found = await tx.fetch_one(
            f"""
            WITH chosen AS MATERIALIZED ({chosen}), listed AS MATERIALIZED (
                SELECT d.id, d.content_type, d.language, d.sender_id, extract(year FROM {DATED})::integer AS year
                FROM chosen JOIN documents AS d ON d.id = chosen.id
                WHERE d.owner_id = %(owner)s AND {condition}
            )
            SELECT {values("content_type")} AS content_types, {values("language")} AS languages,
                {values("year", "lpad(year::text, 4, '0')")} AS years,
                coalesce((
                    SELECT jsonb_agg(jsonb_build_object('id', id, 'name', name, 'documents', documents) ORDER BY documents DESC, name)
                    FROM (
                        SELECT t.id, t.name, count(*) AS documents
                        FROM listed
                        JOIN document_topics AS f ON f.owner_id = %(owner)s AND f.document_id = listed.id
                        JOIN topics AS t ON t.owner_id = %(owner)s AND t.id = f.topic_id
                        GROUP BY t.id, t.name ORDER BY 3 DESC, 2 LIMIT {VALUES}
                    ) AS counted
                ), '[]') AS topics,
                coalesce((
                    SELECT jsonb_agg(jsonb_build_object('id', id, 'name', name, 'documents', documents) ORDER BY documents DESC, name)
                    FROM (
                        SELECT s.id, s.name, count(*) AS documents
                        FROM listed JOIN senders AS s ON s.owner_id = %(owner)s AND s.id = listed.sender_id
                        GROUP BY s.id, s.name ORDER BY 3 DESC, 2 LIMIT {VALUES}
                    ) AS counted
                ), '[]') AS senders
            """,
            {**parameters, "owner": db.owner_id},
            row=Facets,
        )
    assert found is not None
    return found
