"""No page of 50,000 documents is made by reading the whole table, whatever it is filtered and sorted by."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, get_args
from uuid import UUID

import psycopg
import pytest

from shared.api.models import PageQuery
from shared.db import Database, TenantDatabase
from shared.documents import facets, listing, senders, topics, views
from shared.documents.listing import Filters
from shared.documents.models import Sort
from shared.documents.view_models import NewView, ViewsQuery
from shared.ids import new_id
from tests.services import Services

DOCUMENTS = 50_000
OTHERS = 5_000

_FILL = """
    INSERT INTO documents (
        id, owner_id, object_key, filename, title, size, content_type, status, language, issued_on, sender_id, created_at, trashed_at
    )
    SELECT ('01890a5d-ac96-7' || lpad(to_hex(n), 3, '0') || '-8' || substr(md5(n::text || %(owner)s::text), 1, 3) || '-'
            || substr(md5(n::text || %(owner)s::text), 4, 12))::uuid,
        %(owner)s, %(owner)s::text || '/' || n, 'file ' || n %% 977 || '.pdf', 'title ' || n, n * 37 %% 100000,
        CASE WHEN n %% 5 = 0 THEN 'text/plain' ELSE 'application/pdf' END, CASE WHEN n %% 1009 = 1 THEN 'failed' ELSE 'ready' END,
        (ARRAY['de', 'en', 'fr'])[n %% 3 + 1],
        CASE WHEN n %% 4 > 0 THEN date '2010-01-01' + n %% 5000 END,
        CASE WHEN n %% 2 = 0 THEN (%(senders)s::uuid[])[n %% 25 + 1] END,
        timestamptz '2020-01-01' + n * interval '1 minute', CASE WHEN n %% 50 = 0 THEN now() END
    FROM generate_series(1, %(count)s) AS n
"""


async def fill(url: str, documents: int, others: int) -> tuple[UUID, list[UUID], UUID]:
    """An owner's documents among another one's; the owner, its senders, and a topic that one in twenty is filed under. `url` is a
    superuser's."""
    owner, other, topic = new_id(), new_id(), new_id()
    senders = [new_id() for _ in range(25)]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SET session_replication_role = replica")  # no triggers: they are not what is looked at
        for one in (owner, other):
            await connection.execute("INSERT INTO users (id, email, password_hash) VALUES (%s, %s, '!')", (one, f"{one}@example.org"))
        for number, sender in enumerate(senders):
            await connection.execute(
                "INSERT INTO senders (id, owner_id, name, name_key, alias_key) VALUES (%s, %s, %s, %s, %s)",
                (sender, owner, f"sender {number}", f"sender {number}", f"sender {number}"),
            )
        await connection.execute("INSERT INTO topics (id, owner_id, name, name_key) VALUES (%s, %s, 'Topic', 'topic')", (topic, owner))
        for one, count in ((owner, documents), (other, others)):
            await connection.execute(_FILL, {"owner": one, "count": count, "senders": senders})
        await connection.execute(
            """
            INSERT INTO document_topics (document_id, topic_id, owner_id, source)
            SELECT id, %s, owner_id, 'owner' FROM documents WHERE owner_id = %s AND hashtext(filename || size) %% 20 = 0
            """,
            (topic, owner),
        )
        await connection.execute("VACUUM ANALYZE")
    return owner, senders, topic


def sequential_scans(url: str) -> int:
    """Of documents, as PostgreSQL has counted them; `url` is a superuser's."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        found = connection.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'documents'").fetchone()
    assert found is not None
    return int(found[0])


def every_filter(senders: list[UUID], topic: UUID) -> dict[str, Filters]:
    """One of each, and none."""
    return {
        "nothing": Filters(),
        "trash": Filters(trashed=True),
        "topic": Filters(topic_ids=(topic,)),
        "type": Filters(content_types=("text/plain",)),
        "language": Filters(languages=("de", "fr")),
        "status": Filters(statuses=("ready",)),
        "failed": Filters(statuses=("failed",)),
        "created": Filters(created_after=datetime(2020, 1, 10, tzinfo=UTC), created_before=datetime(2020, 1, 20, tzinfo=UTC)),
        "sender": Filters(sender_ids=(senders[3],)),
        "senders": Filters(sender_ids=tuple(senders[:3])),
        "issued": Filters(issued_after=date(2015, 3, 1), issued_before=date(2015, 4, 1)),
    }


SORTS = [sort for sort in get_args(Sort) if not sort.endswith("relevance")]


@pytest.fixture
async def library_of_fifty_thousand(own_services: Services) -> "tuple[Database, UUID, list[UUID], UUID]":
    owner, senders, topic = await fill(own_services.postgres.url("postgres"), DOCUMENTS, OTHERS)
    return Database(own_services.postgres.url()), owner, senders, topic


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from _nodes(inner)


async def _explained(
    vault: TenantDatabase, filters: Filters, sort: Sort, after: tuple[str | None, UUID | None] = (None, None)
) -> list[dict[str, Any]]:
    sql, parameters = listing.statement(vault.owner_id, filters, sort, 51, after)
    async with vault.transaction() as tx:
        await tx.execute(listing.WITHOUT_SEQUENTIAL_SCANS)
        found = await tx.fetch_value(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
    plan = json.loads(found) if isinstance(found, str) else found
    return list(_nodes(plan[0]["Plan"]))


async def test_no_list_reads_all_documents(library_of_fifty_thousand: "tuple[Database, UUID, list[UUID], UUID]") -> None:
    db, owner, senders, topic = library_of_fifty_thousand
    vault = TenantDatabase(db, owner)
    sequential = []
    try:
        for name, chosen in every_filter(senders, topic).items():
            for sort in SORTS:
                first = await listing.list_documents(vault, chosen, sort, 50)
                after = listing.sort_key(first.items[-1], sort)
                for nodes in (
                    await _explained(vault, chosen, sort),
                    await _explained(vault, chosen, sort, (after[0], UUID(after[1]))),
                ):
                    if any(node["Node Type"] == "Seq Scan" and node.get("Relation Name") == "documents" for node in nodes):
                        sequential.append((name, sort))
    finally:
        await db.close()
    assert sequential == []


async def test_a_range_of_dates_and_a_later_page_begin_where_they_begin(
    library_of_fifty_thousand: "tuple[Database, UUID, list[UUID], UUID]",
) -> None:
    db, owner, senders, topic = library_of_fifty_thousand
    vault, filters = TenantDatabase(db, owner), every_filter(senders, topic)
    read: dict[str, int] = {}
    far: list[tuple[Sort, str]] = [
        ("issued_on", "2022-06-01"),
        ("-issued_on", "2011-06-01"),
        ("created_at", "2020-01-20"),
        ("filename", "file 9"),
    ]
    try:
        for sort, key in far:
            read[f"{sort}, far behind"] = _rows_read(await _explained(vault, Filters(), sort, (key, new_id())))
            read[f"issued by {sort}"] = _rows_read(await _explained(vault, filters["issued"], sort))
            read[f"failed by {sort}"] = _rows_read(await _explained(vault, filters["failed"], sort))
    finally:
        await db.close()
    assert {what: rows for what, rows in read.items() if rows > 1_000} == {}


async def test_no_count_reads_all_documents(
    library_of_fifty_thousand: "tuple[Database, UUID, list[UUID], UUID]", own_services: Services
) -> None:
    db, owner, filed, topic = library_of_fifty_thousand
    vault = TenantDatabase(db, owner)
    before = sequential_scans(own_services.postgres.url("postgres"))
    try:
        for chosen in every_filter(filed, topic).values():
            source = listing.source(vault, chosen)
            await facets.of_list(vault, " AND ".join(source.conditions), source.parameters)
        counted = {sender.name: sender.documents for sender in (await senders.list_page(vault, PageQuery())).items}
        await views.create(vault, NewView.model_validate({"name": "few", "query": {"status": ["failed"], "language": ["it"]}}))
        await views.create(vault, NewView.model_validate({"name": "many", "query": {"content_type": ["text/plain"]}}))
        seen = (await views.list_page(vault, ViewsQuery(counts=True))).items
        [listed] = (await topics.list_page(vault, limit=50, cursor=None)).items
    finally:
        await db.close()
    assert sequential_scans(own_services.postgres.url("postgres")) == before
    assert (len(counted), sum(counted.values())) == (len(filed), DOCUMENTS // 2 - DOCUMENTS // 50)
    assert 0 < listed.documents < DOCUMENTS // 10
    assert [view.documents for view in seen] == [0, views.COUNTED]


def _rows_read(nodes: list[dict[str, Any]]) -> int:
    """Of documents: given and passed over."""
    scans = (node for node in nodes if node.get("Relation Name") == "documents")
    return sum(int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]) for node in scans)
