"""The owner's topics: making them, listing them, filing documents under them, and learning from that.

Filing is the owner's word or a provider's; only the owner's teaches (`topic_examples`, summed in `topic_terms` by triggers): a provider
that learned from its own filings would grow surer of its own mistakes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from uuid import UUID

from psycopg.errors import UniqueViolation

from shared.api import cursors
from shared.api.models import Page
from shared.assistant.policies import TOPIC_POLICY
from shared.db import TenantDatabase, Transaction
from shared.documents import lifecycle
from shared.documents.name_keys import name_key
from shared.documents.topic_models import NewTopic, Topic, TopicChange
from shared.errors import DomainError, LimitReached, NotFound, ValidationFailed
from shared.ids import new_id

if TYPE_CHECKING:
    from shared.ai.local import TermCounts

MAX_TOPICS = 1000
"""Of one account: all of them are looked through for each document."""

FiledBy = Literal["owner", "suggestion"]


class TopicExists(DomainError):
    """The owner has a topic of this name; upper and lower case are the same."""

    status, code, title = 409, "topic_exists", "You already have a topic of this name"


async def create(db: TenantDatabase, new: NewTopic) -> Topic:
    """Makes a topic. Raises TopicExists, LimitReached, NotFound for its parent, ValidationFailed if that is within another topic."""
    topic = Topic(
        id=new_id(),
        name=new.name,
        description=new.description or None,
        color=new.color,
        parent_id=new.parent_id,
        manual_only=new.manual_only,
        ai_policy=new.ai_policy,
        documents=0,
    )
    async with db.transaction() as tx:
        if await tx.fetch_value("SELECT count(*) FROM topics WHERE owner_id = %(owner)s", {"owner": db.owner_id}) >= MAX_TOPICS:
            raise LimitReached(f"There may be {MAX_TOPICS} topics: delete or rename one.")
        if new.parent_id is not None:
            await _refuse_deeper(tx, db.owner_id, topic.id, new.parent_id)
        made = await tx.execute(
            """
            INSERT INTO topics (id, owner_id, name, name_key, description, color, parent_id, manual_only, ai_policy)
            VALUES (%(id)s, %(owner)s, %(name)s, %(key)s, %(description)s, %(color)s, %(parent)s, %(manual_only)s, %(ai_policy)s)
            ON CONFLICT (owner_id, name_key) DO NOTHING
            """,
            {
                "id": topic.id,
                "owner": db.owner_id,
                "name": topic.name,
                "key": name_key(topic.name),
                "description": topic.description,
                "color": topic.color,
                "parent": topic.parent_id,
                "manual_only": topic.manual_only,
                "ai_policy": topic.ai_policy,
            },
        )
    if not made:
        raise TopicExists(f"You already have a topic “{topic.name}”.")
    return topic


async def list_page(db: TenantDatabase, *, limit: int, cursor: str | None = None) -> Page[Topic]:
    """The owner's topics by name. Raises InvalidCursor."""
    binding = {"list": "topics", "owner": str(db.owner_id)}
    # The name, not its key: that is up to three times as long, and a cursor has a limit.
    after = "" if cursor is None else name_key(str(cursors.decode(cursor, binding)[0]))
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            """
            WITH page AS MATERIALIZED (
                SELECT id, name, name_key, description, color, parent_id, manual_only, ai_policy
                FROM topics
                WHERE owner_id = %(owner)s AND name_key > %(after)s
                ORDER BY name_key
                LIMIT %(limit)s
            ), filed AS (
                SELECT topic_id, count(*) AS documents
                FROM document_topics
                WHERE owner_id = %(owner)s AND topic_id = ANY (ARRAY(SELECT id FROM page))
                GROUP BY topic_id
            ), trashed AS (
                -- Counting the trash and taking it away reads far fewer rows than looking at every document.
                SELECT f.topic_id, count(*) AS documents
                FROM documents AS d JOIN document_topics AS f ON f.owner_id = d.owner_id AND f.document_id = d.id
                WHERE d.owner_id = %(owner)s AND d.trashed_at IS NOT NULL
                GROUP BY f.topic_id
            )
            SELECT page.id, page.name, page.description, page.color, page.parent_id, page.manual_only, page.ai_policy,
                coalesce(filed.documents, 0) - coalesce(trashed.documents, 0) AS documents
            FROM page
            LEFT JOIN filed ON filed.topic_id = page.id
            LEFT JOIN trashed ON trashed.topic_id = page.id
            ORDER BY page.name_key
            """,
            {"owner": db.owner_id, "after": after, "limit": limit + 1},
            row=Topic,
        )
    items = found[:limit]
    return Page[Topic](items=items, next_cursor=cursors.encode([items[-1].name], binding) if len(found) > limit else None)


async def update(db: TenantDatabase, topic_id: UUID, change: TopicChange) -> Topic:
    """Changes a topic. Raises NotFound (for a parent, too), TopicExists, ValidationFailed if it would stand two levels deep."""
    wanted = {name: getattr(change, name) for name in change.model_fields_set}
    if "name" in wanted:
        wanted["name_key"] = name_key(wanted["name"])
    if "description" in wanted:
        wanted["description"] = wanted["description"] or None
    assignments = ", ".join(f"{column} = %({column})s" for column in sorted(wanted)) or "name = name"
    async with db.transaction() as tx:
        given = {"owner": db.owner_id, "topic": topic_id}
        if "name" in wanted:
            await _touch_filed(tx, db.owner_id, topic_id)  # documents show their topics' names
        if change.parent_id is not None:
            await _refuse_deeper(tx, db.owner_id, topic_id, change.parent_id)
        try:
            changed = await tx.execute(
                f"UPDATE topics SET {assignments} WHERE owner_id = %(owner)s AND id = %(topic)s", {**wanted, **given}
            )
        except UniqueViolation:
            raise TopicExists(f"You already have a topic “{wanted['name']}”.") from None
        if not changed:
            raise NotFound("There is no such topic.")
        return await _read(tx, db.owner_id, topic_id)


async def delete(db: TenantDatabase, topic_id: UUID) -> None:
    """Removes a topic; its documents stay, and topics within it stand by themselves. Raises NotFound."""
    async with db.transaction() as tx:
        await _touch_filed(tx, db.owner_id, topic_id)
        if not await tx.execute(
            "DELETE FROM topics WHERE owner_id = %(owner)s AND id = %(topic)s", {"owner": db.owner_id, "topic": topic_id}
        ):
            raise NotFound("There is no such topic.")


async def merge(db: TenantDatabase, topic_id: UUID, into: UUID) -> Topic:
    """Files what is under the first topic under the second, with what it taught, and removes the first.

    Topics within the first are within the second from then on (or stand by themselves, if that is within another). Raises NotFound,
    ValidationFailed.
    """
    if topic_id == into:
        raise ValidationFailed("A topic cannot be merged into itself.", errors=[{"loc": ["body", "into"], "msg": "is the same topic"}])
    given = {"owner": db.owner_id, "topic": topic_id, "into": into}
    async with db.transaction() as tx:
        await refuse_strange(tx, db.owner_id, [topic_id, into])
        await _touch_filed(tx, db.owner_id, topic_id)
        # Whoever is just filing under one of them is waited for; what came of that is moved, too.
        await tx.execute(
            "SELECT FROM topics WHERE owner_id = %(owner)s AND id = ANY (ARRAY[%(topic)s, %(into)s]::uuid[]) ORDER BY id FOR UPDATE", given
        )
        for statement in _MERGE:
            await tx.execute(statement, given)
        return await _read(tx, db.owner_id, into)


_MERGE = (
    """
    INSERT INTO document_topics AS f (document_id, topic_id, owner_id, source, confidence)
    SELECT document_id, %(into)s, owner_id, source, confidence FROM document_topics WHERE owner_id = %(owner)s AND topic_id = %(topic)s
    ON CONFLICT (document_id, topic_id) DO UPDATE SET source = excluded.source, confidence = NULL
    WHERE f.source = 'ai' AND excluded.source <> 'ai'
    """,
    # What was said of the second topic itself counts.
    """
    INSERT INTO topic_examples (document_id, topic_id, owner_id, accepted, terms)
    SELECT document_id, %(into)s, owner_id, accepted, terms FROM topic_examples
    WHERE owner_id = %(owner)s AND topic_id = %(topic)s AND accepted
    ON CONFLICT (document_id, topic_id) DO NOTHING
    """,
    """
    UPDATE topic_suggestions AS s SET topic_id = %(into)s
    WHERE s.owner_id = %(owner)s AND s.topic_id = %(topic)s
        AND NOT EXISTS (SELECT FROM topic_suggestions AS o WHERE o.document_id = s.document_id AND o.topic_id = %(into)s)
    """,
    """
    UPDATE topics SET parent_id = (SELECT CASE WHEN parent_id IS NULL THEN id END FROM topics WHERE owner_id = %(owner)s AND id = %(into)s)
    WHERE owner_id = %(owner)s AND parent_id = %(topic)s AND id <> %(into)s
    """,
    "UPDATE topics SET parent_id = NULL WHERE owner_id = %(owner)s AND id = %(into)s AND parent_id = %(topic)s",
    "DELETE FROM topics WHERE owner_id = %(owner)s AND id = %(topic)s",
)


async def _refuse_deeper(tx: Transaction, owner_id: UUID, topic_id: UUID, parent_id: UUID) -> None:
    """Raises NotFound for a parent that is not the owner's, ValidationFailed if the topic would stand two levels deep.

    Both are locked: of two changes at once that would make it so, the second sees the first.
    """
    given = {"owner": owner_id, "topic": topic_id, "parent": parent_id}
    await lock(tx, owner_id, [topic_id, parent_id])
    parent = await tx.fetch_one("SELECT parent_id FROM topics WHERE owner_id = %(owner)s AND id = %(parent)s", given, row=_Nesting)
    if parent is None:
        raise NotFound("There is no such topic.")
    has_some = await tx.fetch_value("SELECT true FROM topics WHERE owner_id = %(owner)s AND parent_id = %(topic)s LIMIT 1", given)
    if parent_id == topic_id or parent.parent_id is not None or has_some:
        told = "Topics stand within a topic one level deep: that one is within another, or this one has topics of its own."
        raise ValidationFailed(told, errors=[{"loc": ["body", "parent_id"], "msg": "would be two levels deep"}])


@dataclass(frozen=True)
class _Nesting:
    parent_id: UUID | None


async def _touch_filed(tx: Transaction, owner_id: UUID, topic_id: UUID) -> None:
    """Marks the documents under a topic as changed, and locks them, before the topic is: in the order that everyone locks them in."""
    await tx.execute(
        """
        UPDATE documents SET updated_at = now()
        WHERE owner_id = %(owner)s AND id IN (
            SELECT d.id FROM documents AS d JOIN document_topics AS f ON f.owner_id = d.owner_id AND f.document_id = d.id
            WHERE f.owner_id = %(owner)s AND f.topic_id = %(topic)s ORDER BY d.id FOR NO KEY UPDATE OF d
        )
        """,
        {"owner": owner_id, "topic": topic_id},
    )
    lifecycle.wake_listeners(tx, owner_id)


async def _read(tx: Transaction, owner_id: UUID, topic_id: UUID) -> Topic:
    topic = await tx.fetch_one(
        """
        SELECT t.id, t.name, t.description, t.color, t.parent_id, t.manual_only, t.ai_policy, (
            SELECT count(*) FROM document_topics AS f JOIN documents AS d ON d.owner_id = f.owner_id AND d.id = f.document_id
            WHERE f.owner_id = t.owner_id AND f.topic_id = t.id AND d.trashed_at IS NULL
        ) AS documents
        FROM topics AS t WHERE t.owner_id = %(owner)s AND t.id = %(topic)s
        """,
        {"owner": owner_id, "topic": topic_id},
        row=Topic,
    )
    if topic is None:
        raise NotFound("There is no such topic.")
    return topic


@dataclass(frozen=True)
class _TopicName:
    name: str


async def described(tx: Transaction, owner_id: UUID) -> list[str]:
    """The names of all topics that may be proposed, each with its description."""
    found = await tx.fetch_all(
        f"""
        SELECT concat_ws(' ', t.name, t.description) AS name FROM topics AS t
        WHERE t.owner_id = %(owner)s AND NOT t.manual_only AND {TOPIC_POLICY} <> 'never'
        ORDER BY t.accepted_documents DESC, t.id
        """,
        {"owner": owner_id},
        row=_TopicName,
    )
    return [topic.name for topic in found]


async def file(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID], source: FiledBy = "owner") -> None:
    """Files the document under these topics, by the owner's word, and learns from it; open suggestions of them are accepted with it.

    Filing it again changes nothing. Raises NotFound if the document or a topic is not the owner's.
    """
    await refuse_strange(tx, owner_id, topic_ids)
    await touch(tx, owner_id, document_id)
    await file_all(tx, owner_id=owner_id, document_ids=[document_id], topic_ids=topic_ids, source=source)


async def unfile(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID]) -> None:
    """Takes the document out of these topics, by the owner's word; where it was not in, nothing changes.

    What the owner had filed is forgotten as an example; what a provider had filed becomes one of what does not belong there, and the
    provider's suggestion counts as rejected, so that it does not come back. Raises NotFound if the document is not the owner's.
    """
    await touch(tx, owner_id, document_id)
    await unfile_all(tx, owner_id=owner_id, document_ids=[document_id], topic_ids=topic_ids)


async def refuse_strange(tx: Transaction, owner_id: UUID, topic_ids: Sequence[UUID]) -> None:
    """Raises NotFound unless all of these topics are the owner's."""
    wanted = list(set(topic_ids))
    owned: int = await tx.fetch_value(
        "SELECT count(*) FROM topics WHERE owner_id = %(owner)s AND id = ANY (%(topics)s)", {"owner": owner_id, "topics": wanted}
    )
    if owned != len(wanted):
        raise NotFound("There is no such topic.")


async def lock(tx: Transaction, owner_id: UUID, topic_ids: Sequence[UUID]) -> None:
    """Locks these topics as learning does, in the one order that keeps two changes from waiting for each other in a circle.

    Call it before the first of several statements that teach, after the documents are locked.
    """
    await tx.execute(
        "SELECT FROM topics WHERE owner_id = %(owner)s AND id = ANY (%(topics)s) ORDER BY id FOR NO KEY UPDATE",
        {"owner": owner_id, "topics": list(topic_ids)},
    )


async def file_all(
    tx: Transaction, *, owner_id: UUID, document_ids: Sequence[UUID], topic_ids: Sequence[UUID], source: FiledBy = "owner"
) -> None:
    """As `file`, for several documents of the owner's, which are locked and touched, and topics of the owner's."""
    given = {"owner": owner_id, "documents": list(document_ids), "topics": sorted(set(topic_ids)), "source": source}
    await tx.execute(
        """
        INSERT INTO document_topics (document_id, topic_id, owner_id, source)
        SELECT document_id, topic_id, %(owner)s, %(source)s
        FROM unnest(%(documents)s::uuid[]) AS document_id, unnest(%(topics)s::uuid[]) AS topic_id
        ON CONFLICT (document_id, topic_id) DO UPDATE SET source = excluded.source, confidence = NULL WHERE document_topics.source = 'ai'
        """,
        given,
    )
    await tx.execute(
        """
        UPDATE topic_suggestions SET state = 'accepted', decided_at = now()
        WHERE owner_id = %(owner)s AND document_id = ANY (%(documents)s) AND topic_id = ANY (%(topics)s)
            AND (state <> 'accepted' OR decided_at IS NULL)
        """,
        given,
    )
    await _learn(
        tx, owner_id, [(document_id, topic_id) for document_id in document_ids for topic_id in sorted(set(topic_ids))], accepted=True
    )


async def unfile_all(tx: Transaction, *, owner_id: UUID, document_ids: Sequence[UUID], topic_ids: Sequence[UUID]) -> None:
    """As `unfile`, for several documents of the owner's, which are locked and touched."""
    removed = await tx.fetch_all(
        """
        DELETE FROM document_topics
        WHERE owner_id = %(owner)s AND document_id = ANY (%(documents)s) AND topic_id = ANY (%(topics)s)
        RETURNING document_id, topic_id, source
        """,
        {"owner": owner_id, "documents": list(document_ids), "topics": list(topic_ids)},
        row=_Filing,
    )
    if not removed:
        return
    given = {
        "owner": owner_id,
        "documents": [filing.document_id for filing in removed],
        "topics": [filing.topic_id for filing in removed],
    }
    await tx.execute(
        """
        DELETE FROM topic_examples AS e USING unnest(%(documents)s::uuid[], %(topics)s::uuid[]) AS removed (document_id, topic_id)
        WHERE e.owner_id = %(owner)s AND e.document_id = removed.document_id AND e.topic_id = removed.topic_id AND e.accepted
        """,
        given,
    )
    await tx.execute(
        """
        UPDATE topic_suggestions AS s SET state = 'rejected', decided_at = now()
        FROM unnest(%(documents)s::uuid[], %(topics)s::uuid[]) AS removed (document_id, topic_id)
        WHERE s.owner_id = %(owner)s AND s.document_id = removed.document_id AND s.topic_id = removed.topic_id AND s.state <> 'rejected'
        """,
        given,
    )
    await _learn(tx, owner_id, [(filing.document_id, filing.topic_id) for filing in removed if filing.source == "ai"], accepted=False)


async def set_topics(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID]) -> bool:
    """Files the document under these topics and no others, by the owner's word; whether that changed anything.

    What it is filed under already stays as it is, by whomever. Raises NotFound if the document or a topic is not the owner's.
    """
    wanted = set(topic_ids)
    present: list[UUID] = await tx.fetch_value(
        """
        SELECT coalesce(array_agg(topic_id), '{}') FROM document_topics WHERE owner_id = %(owner)s AND document_id = %(document)s
        """,
        {"owner": owner_id, "document": document_id},
    )
    if wanted == set(present):
        return False
    await lock(tx, owner_id, list(wanted.symmetric_difference(present)))
    if gone := set(present) - wanted:
        await unfile(tx, owner_id=owner_id, document_id=document_id, topic_ids=sorted(gone))
    if new := wanted - set(present):
        await file(tx, owner_id=owner_id, document_id=document_id, topic_ids=sorted(new))
    return True


async def learn(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID], accepted: bool) -> None:
    """Takes the document as an example of what belongs under these topics, or does not; a newer word replaces the older one.

    A document that was never classified (its AI policy forbids it, or it could not be read) teaches nothing.
    """
    await _learn(tx, owner_id, [(document_id, topic_id) for topic_id in topic_ids], accepted=accepted)


async def _learn(tx: Transaction, owner_id: UUID, filings: Sequence[tuple[UUID, UUID]], *, accepted: bool) -> None:
    """As `learn`, for pairs of a document and a topic."""
    if not filings:
        return
    await tx.execute(
        """
        INSERT INTO topic_examples AS example (document_id, topic_id, owner_id, accepted, terms)
        SELECT t.document_id, filing.topic_id, t.owner_id, %(accepted)s, t.terms
        FROM unnest(%(documents)s::uuid[], %(topics)s::uuid[]) AS filing (document_id, topic_id)
        JOIN document_terms AS t ON t.owner_id = %(owner)s AND t.document_id = filing.document_id
        ON CONFLICT (document_id, topic_id) DO UPDATE SET accepted = excluded.accepted, terms = excluded.terms
        WHERE (example.accepted, example.terms) IS DISTINCT FROM (excluded.accepted, excluded.terms)
        """,
        {
            "owner": owner_id,
            "documents": [document_id for document_id, _ in filings],
            "topics": [topic_id for _, topic_id in filings],
            "accepted": accepted,
        },
    )


def term_counts(tx: Transaction, owner_id: UUID) -> "TermCounts":
    """What was learned from this owner, for the local provider; good while `tx` is open."""

    from shared.ai.local import TopicCounts  # here: listing topics needs no provider

    async def look_up(terms: Sequence[str]) -> list[TopicCounts]:
        return await tx.fetch_all(
            """
            SELECT topic_id, array_agg(term) AS terms, array_agg(accepted) AS accepted, array_agg(refused) AS refused
            FROM (
                SELECT topic_id, term, accepted, refused FROM topic_terms
                WHERE owner_id = %(owner)s AND term = ANY (%(terms)s)
                ORDER BY topic_id, term
            ) AS known
            GROUP BY topic_id
            """,
            {"owner": owner_id, "terms": list(terms)},
            row=TopicCounts,
        )

    return look_up


@dataclass(frozen=True)
class _Filing:
    document_id: UUID
    topic_id: UUID
    source: str


async def touch(tx: Transaction, owner_id: UUID, document_id: UUID) -> None:
    """Marks the document as changed, which its watchers are told, and locks it. Raises NotFound."""
    if not await tx.execute(
        "UPDATE documents SET updated_at = now() WHERE owner_id = %(owner)s AND id = %(document)s",
        {"owner": owner_id, "document": document_id},
    ):
        raise NotFound("There is no such document.")
    lifecycle.wake_listeners(tx, owner_id)
