"""What providers proposed for a document, and the owner's word on it.

A suggestion is `open` where the provider was not sure enough, and `accepted` without a decision where it filed by itself. The owner may
decide either way at any time, and otherwise later; the last word counts.
"""

from collections.abc import Sequence
from uuid import UUID

from shared.api import short_lists
from shared.api.models import Page, PageQuery
from shared.db import TenantDatabase, Transaction
from shared.documents import topics
from shared.documents.topic_models import Decided, Decision, DecisionFailure, Suggestion, SuggestionDecision
from shared.errors import DomainError, NotFound

DECISIONS_BYTES = 256 * 1024
"""Of a request: each decision takes some 150."""


_COLUMNS = """
    s.id, jsonb_build_object('id', t.id, 'name', t.name) AS topic, round(s.confidence::numeric, 3)::float8 AS confidence,
    s.quote, s.page, s.provider, s.model, s.state
"""


async def of_document(tx: Transaction, *, owner_id: UUID, document_id: UUID) -> list[Suggestion]:
    """All suggestions of one document, open ones first, surest first."""
    return await tx.fetch_all(
        f"""
        SELECT {_COLUMNS}
        FROM topic_suggestions AS s JOIN topics AS t ON t.owner_id = s.owner_id AND t.id = s.topic_id
        WHERE s.owner_id = %(owner)s AND s.document_id = %(document)s
        ORDER BY s.state = 'open' DESC, s.confidence DESC, s.id
        """,
        {"owner": owner_id, "document": document_id},
        row=Suggestion,
    )


async def page(db: TenantDatabase, document_id: UUID, query: PageQuery) -> Page[Suggestion]:
    """A page of a document's suggestions. Raises NotFound, InvalidCursor."""
    async with db.transaction() as tx:
        found = await of_document(tx, owner_id=db.owner_id, document_id=document_id)
        if not found and not await tx.fetch_value(
            "SELECT true FROM documents WHERE owner_id = %(owner)s AND id = %(id)s", {"owner": db.owner_id, "id": document_id}
        ):
            raise NotFound
    return short_lists.page(found, query, {"list": "suggestions", "owner": str(db.owner_id), "document": str(document_id)})


async def decide(tx: Transaction, *, owner_id: UUID, document_id: UUID, suggestion_id: UUID, decision: Decision) -> Suggestion:
    """The owner's word: accepting files the document under the topic and learns from it; rejecting takes it out, learns, and remembers.

    The same decision again changes nothing. Raises NotFound.
    """
    given = {"owner": owner_id, "document": document_id, "suggestion": suggestion_id}
    topic_id: UUID | None = await tx.fetch_value(
        """
        SELECT topic_id FROM topic_suggestions
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND id = %(suggestion)s
        """,
        given,
    )
    if topic_id is None:
        raise NotFound("There is no such suggestion.")
    if decision == "accept":
        await topics.file(tx, owner_id=owner_id, document_id=document_id, topic_ids=[topic_id], source="suggestion")
    else:
        await topics.unfile(tx, owner_id=owner_id, document_id=document_id, topic_ids=[topic_id])
        await tx.execute(
            """
            UPDATE topic_suggestions SET state = 'rejected', decided_at = now()
            WHERE owner_id = %(owner)s AND id = %(suggestion)s AND state <> 'rejected'
            """,
            given,
        )
        await topics.learn(tx, owner_id=owner_id, document_id=document_id, topic_ids=[topic_id], accepted=False)
    decided = await tx.fetch_one(
        f"""
        SELECT {_COLUMNS}
        FROM topic_suggestions AS s JOIN topics AS t ON t.owner_id = s.owner_id AND t.id = s.topic_id
        WHERE s.owner_id = %(owner)s AND s.id = %(suggestion)s
        """,
        given,
        row=Suggestion,
    )
    if decided is None:
        raise NotFound("There is no such suggestion.")
    return decided


async def decide_many(db: TenantDatabase, decisions: Sequence[SuggestionDecision]) -> Decided:
    """Each as `decide` would, in order; one that cannot be carried out keeps no other from it. What was done is kept when this returns."""
    done: list[UUID] = []
    failed: list[DecisionFailure] = []
    for one in decisions:
        try:
            # A transaction each: two requests that meet would otherwise lock topics in different orders.
            async with db.transaction() as tx:
                await decide(tx, owner_id=db.owner_id, document_id=one.document_id, suggestion_id=one.suggestion_id, decision=one.decision)
            done.append(one.suggestion_id)
        except DomainError as problem:
            if problem.status >= 500:
                raise
            failed.append(DecisionFailure(id=one.suggestion_id, code=problem.code))
    return Decided(done=done, failed=failed)
