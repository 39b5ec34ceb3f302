"""The owner's topics: making them, listing them, filing documents under them, and learning from that.

Filing is the owner's word or a provider's; only the owner's teaches (`topic_examples`, summed in `topic_terms` by triggers): a provider
that learned from its own filings would grow surer of its own mistakes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from psycopg.errors import UniqueViolation
from pydantic import AfterValidator, Field, StrictBool, StringConstraints, model_validator

from shared.api import cursors
from shared.api.models import Page, RequestModel, ResponseModel, SingleLine
from shared.db import TenantDatabase, Transaction
from shared.documents import lifecycle
from shared.documents.models import AIPolicy
from shared.documents.name_keys import name_key, one_line
from shared.errors import DomainError, NotFound
from shared.ids import new_id

if TYPE_CHECKING:
    from shared.ai.local import TermCounts

NAME_CHARACTERS = 100
DESCRIPTION_CHARACTERS = 1000

FiledBy = Literal["owner", "suggestion"]


class TopicExists(DomainError):
    """The owner has a topic of this name; upper and lower case are the same."""

    status, code, title = 409, "topic_exists", "You already have a topic of this name"


Name = Annotated[SingleLine, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARACTERS), AfterValidator(one_line)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=DESCRIPTION_CHARACTERS, pattern=r"^[^\x00]*$")]
Color = Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$", to_lower=True)]


class NewTopic(RequestModel):
    """A topic to make; white space around the name is dropped and within it made single spaces."""

    name: Name
    description: Description | None = None
    color: Color | None = Field(default=None, examples=["#2e7d32"])
    manual_only: StrictBool = False
    ai_policy: AIPolicy = "inherit"


class TopicChange(RequestModel):
    """What to change of a topic; what is absent stays. `description` and `color` may be null."""

    name: Name | None = None
    description: Description | None = None
    color: Color | None = None
    manual_only: StrictBool | None = None
    ai_policy: AIPolicy | None = None

    @model_validator(mode="after")
    def _only_these_may_be_null(self) -> "TopicChange":
        for name in self.model_fields_set - {"description", "color"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self


class Topic(ResponseModel):
    """A topic; `documents` counts those filed under it, the trash left out. `manual_only`: never proposed. `ai_policy` holds for the
    documents in it."""

    id: UUID
    name: str
    description: str | None = None
    color: str | None = None
    manual_only: bool
    ai_policy: AIPolicy
    documents: int


async def create(db: TenantDatabase, new: NewTopic) -> Topic:
    """Makes a topic. Raises TopicExists."""
    topic = Topic(
        id=new_id(),
        name=new.name,
        description=new.description or None,
        color=new.color,
        manual_only=new.manual_only,
        ai_policy=new.ai_policy,
        documents=0,
    )
    async with db.transaction() as tx:
        made = await tx.execute(
            """
            INSERT INTO topics (id, owner_id, name, name_key, description, color, manual_only, ai_policy)
            VALUES (%(id)s, %(owner)s, %(name)s, %(key)s, %(description)s, %(color)s, %(manual_only)s, %(ai_policy)s)
            ON CONFLICT (owner_id, name_key) DO NOTHING
            """,
            {
                "id": topic.id,
                "owner": db.owner_id,
                "name": topic.name,
                "key": name_key(topic.name),
                "description": topic.description,
                "color": topic.color,
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
                SELECT id, name, name_key, description, color, manual_only, ai_policy
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
            SELECT page.id, page.name, page.description, page.color, page.manual_only, page.ai_policy,
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
    """Changes a topic. Raises NotFound, TopicExists."""
    wanted = {name: getattr(change, name) for name in change.model_fields_set}
    if "name" in wanted:
        wanted["name_key"] = name_key(wanted["name"])
    if "description" in wanted:
        wanted["description"] = wanted["description"] or None
    assignments = ", ".join(f"{column} = %({column})s" for column in sorted(wanted)) or "name = name"
    async with db.transaction() as tx:
        given = {"owner": db.owner_id, "topic": topic_id}
        try:
            changed = await tx.fetch_one(
                f"""
                UPDATE topics AS t SET {assignments} WHERE t.owner_id = %(owner)s AND t.id = %(topic)s
                RETURNING t.id, t.name, t.description, t.color, t.manual_only, t.ai_policy, (
                    SELECT count(*) FROM document_topics AS f JOIN documents AS d ON d.owner_id = f.owner_id AND d.id = f.document_id
                    WHERE f.owner_id = t.owner_id AND f.topic_id = t.id AND d.trashed_at IS NULL
                ) AS documents
                """,
                {**wanted, **given},
                row=Topic,
            )
        except UniqueViolation:
            raise TopicExists(f"You already have a topic “{wanted['name']}”.") from None
        if changed is None:
            raise NotFound("There is no such topic.")
        if "name" in wanted:
            # Documents show their topics' names.
            await tx.execute(
                """
                UPDATE documents SET updated_at = now()
                WHERE owner_id = %(owner)s AND id IN (
                    SELECT document_id FROM document_topics WHERE owner_id = %(owner)s AND topic_id = %(topic)s
                )
                """,
                given,
            )
            lifecycle.wake_listeners(tx, db.owner_id)
    return changed


class _TopicName(ResponseModel):
    name: str


async def names(tx: Transaction, owner_id: UUID) -> list[str]:
    """The names of all topics that may be proposed."""
    found = await tx.fetch_all(
        "SELECT name FROM topics WHERE owner_id = %(owner)s AND NOT manual_only AND ai_policy <> 'never'",
        {"owner": owner_id},
        row=_TopicName,
    )
    return [topic.name for topic in found]


async def file(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID], source: FiledBy = "owner") -> None:
    """Files the document under these topics, by the owner's word, and learns from it; open suggestions of them are accepted with it.

    Filing it again changes nothing. Raises NotFound where the document or a topic is not the owner's.
    """
    wanted = sorted(set(topic_ids))
    owned: int = await tx.fetch_value(
        "SELECT count(*) FROM topics WHERE owner_id = %(owner)s AND id = ANY (%(topics)s)", {"owner": owner_id, "topics": wanted}
    )
    if owned != len(wanted):
        raise NotFound("There is no such topic.")
    await touch(tx, owner_id, document_id)
    given = {"owner": owner_id, "document": document_id, "topics": wanted, "source": source}
    await tx.execute(
        """
        INSERT INTO document_topics (document_id, topic_id, owner_id, source)
        SELECT %(document)s, topic_id, %(owner)s, %(source)s FROM unnest(%(topics)s::uuid[]) AS topic_id
        ON CONFLICT (document_id, topic_id) DO UPDATE SET source = excluded.source, confidence = NULL WHERE document_topics.source = 'ai'
        """,
        given,
    )
    await tx.execute(
        """
        UPDATE topic_suggestions SET state = 'accepted', decided_at = now()
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND topic_id = ANY (%(topics)s)
            AND (state <> 'accepted' OR decided_at IS NULL)
        """,
        given,
    )
    await learn(tx, owner_id=owner_id, document_id=document_id, topic_ids=wanted, accepted=True)


async def unfile(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID]) -> None:
    """Takes the document out of these topics, by the owner's word; where it was not in, nothing changes.

    What the owner had filed is forgotten as an example; what a provider had filed becomes one of what does not belong there, and the
    provider's suggestion counts as rejected, so that it does not come back. Raises NotFound where the document is not the owner's.
    """
    await touch(tx, owner_id, document_id)
    removed = await tx.fetch_all(
        """
        DELETE FROM document_topics
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND topic_id = ANY (%(topics)s)
        RETURNING topic_id, source
        """,
        {"owner": owner_id, "document": document_id, "topics": sorted(set(topic_ids))},
        row=_Filing,
    )
    mistaken = sorted(filing.topic_id for filing in removed if filing.source == "ai")
    given = {"owner": owner_id, "document": document_id, "topics": sorted(filing.topic_id for filing in removed)}
    await tx.execute(
        """
        DELETE FROM topic_examples
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND topic_id = ANY (%(topics)s) AND accepted
        """,
        given,
    )
    await tx.execute(
        """
        UPDATE topic_suggestions SET state = 'rejected', decided_at = now()
        WHERE owner_id = %(owner)s AND document_id = %(document)s AND topic_id = ANY (%(topics)s) AND state <> 'rejected'
        """,
        given,
    )
    await learn(tx, owner_id=owner_id, document_id=document_id, topic_ids=mistaken, accepted=False)


async def learn(tx: Transaction, *, owner_id: UUID, document_id: UUID, topic_ids: Sequence[UUID], accepted: bool) -> None:
    """Takes the document as an example of what belongs under these topics, or does not; a newer word replaces the older one.

    A document that was never classified (its AI policy forbids it, or it could not be read) teaches nothing.
    """
    if not topic_ids:
        return
    await tx.execute(
        """
        INSERT INTO topic_examples AS example (document_id, topic_id, owner_id, accepted, terms)
        SELECT document_id, topic_id, owner_id, %(accepted)s, terms
        FROM document_terms, unnest(%(topics)s::uuid[]) AS topic_id
        WHERE owner_id = %(owner)s AND document_id = %(document)s
        ON CONFLICT (document_id, topic_id) DO UPDATE SET accepted = excluded.accepted, terms = excluded.terms
        WHERE (example.accepted, example.terms) IS DISTINCT FROM (excluded.accepted, excluded.terms)
        """,
        {"owner": owner_id, "document": document_id, "topics": list(topic_ids), "accepted": accepted},
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


class _Filing(ResponseModel):
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
