"""Who documents come from: the owner's senders, and how each is written on paper.

A sender is found by its aliases: a name's words in folded case, without punctuation and without the legal form at its end. What a person
corrects, renames or merges is remembered as an alias, so that the next document that is written so is recognised.
"""

import re
import unicodedata
from collections.abc import Sequence
from uuid import UUID

from psycopg.errors import UniqueViolation

from shared.api import cursors
from shared.api.models import Page, PageQuery
from shared.db import TenantDatabase, Transaction
from shared.documents import lifecycle
from shared.documents.name_keys import name_key, one_line
from shared.documents.sender_models import NAME_CHARACTERS, Sender, SenderChange
from shared.errors import DomainError, InvalidCursor, NotFound, ValidationFailed
from shared.ids import new_id

READ_AT_MOST = 5_000
"""Senders an owner may have before documents bring no new ones; a person may always name one."""

_WORD = re.compile(r"[^\W_]+")
_LEGAL_FORM = re.compile(
    "ab|ag|aps|as|asa|bv|co|company|corp|corporation|cv|eg|ev|gbr|gesmbh|ggmbh|gmbh|inc|incorporated|kft|kg|kgaa|limited|llc|llp|ltd|mbh|nv"
    "|ohg|oy|oyj|plc|sa|sarl|sas|se|sl|spa|srl|sro|ug"
)


class SenderExists(DomainError):
    """The owner has a sender of this name; upper and lower case are the same."""

    status, code, title = 409, "sender_exists", "You already have a sender of this name"


def alias_key(name: str) -> str:
    """How a name is recognised, whatever its case, accents, punctuation and legal form."""
    decomposed = unicodedata.normalize("NFKD", name).casefold().replace(".", "")
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    words = _WORD.findall(plain)
    while len(words) > 1 and _LEGAL_FORM.fullmatch(words[-1]):
        words.pop()
    return " ".join(words) or name_key(name)


def sane_name(written: str | None) -> str | None:
    """A name as it may be read from a document, tidied up; None for what is no name: too long, or hardly a letter in it."""
    if written is None:
        return None
    try:
        name = one_line("".join(character for character in written if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")))
    except ValueError:
        return None
    name = name.strip(" ,;:|·•-–—*_")
    letters = sum(character.isalpha() for character in name)
    return name if letters >= 2 and len(name) <= NAME_CHARACTERS and letters * 2 >= len(name.replace(" ", "")) else None


async def named(tx: Transaction, owner_id: UUID, name: str) -> UUID:
    """The sender of exactly this name (upper and lower case are the same), made if there is none: a person says so."""
    sender_id: UUID = await tx.fetch_value(
        """
        INSERT INTO senders (id, owner_id, name, name_key, alias_key, by_owner)
        VALUES (%(id)s, %(owner)s, %(name)s, %(key)s, %(alias)s, true)
        ON CONFLICT (owner_id, name_key) DO UPDATE SET by_owner = true
        RETURNING id
        """,
        {"id": new_id(), "owner": owner_id, "name": name, "key": name_key(name), "alias": alias_key(name)},
    )
    await tx.execute(
        """
        INSERT INTO sender_aliases (owner_id, alias_key, sender_id) VALUES (%(owner)s, %(alias)s, %(sender)s)
        ON CONFLICT (owner_id, alias_key) DO NOTHING
        """,
        {"owner": owner_id, "alias": alias_key(name), "sender": sender_id},
    )
    return sender_id


async def written_as(tx: Transaction, owner_id: UUID, written: str) -> UUID | None:
    """The sender that a document's `written` means, made if it is new; None if it is no name, or the owner has too many.

    It is held until the transaction ends: neither a merge nor `drop_unused` removes it before the document has it.
    """
    name = sane_name(written)
    if name is None:
        return None
    bound = {"id": new_id(), "owner": owner_id, "name": name, "key": name_key(name), "alias": alias_key(name), "most": READ_AT_MOST}
    find = """
        SELECT sender_id FROM sender_aliases WHERE owner_id = %(owner)s AND alias_key = %(alias)s
        UNION ALL SELECT id FROM senders WHERE owner_id = %(owner)s AND name_key = %(key)s
        LIMIT 1
    """
    # Held until the document has it: what is merged into another just now is that other one a moment later.
    while (known := await tx.fetch_value(find, bound)) is not None:
        held: UUID | None = await tx.fetch_value(
            "SELECT id FROM senders WHERE owner_id = %(owner)s AND id = %(known)s FOR KEY SHARE", {**bound, "known": known}
        )
        if held is not None:
            return held
    made: UUID | None = await tx.fetch_value(
        """
        INSERT INTO senders (id, owner_id, name, name_key, alias_key)
        SELECT %(id)s, %(owner)s, %(name)s, %(key)s, %(alias)s
        WHERE (SELECT count(*) FROM (SELECT FROM senders WHERE owner_id = %(owner)s LIMIT %(most)s) AS counted) < %(most)s
        ON CONFLICT (owner_id, name_key) DO NOTHING
        RETURNING id
        """,
        bound,
    )
    if made is None:
        # Another document has just brought it, or there are too many.
        return await tx.fetch_value(find, bound)  # type: ignore[no-any-return]
    # Of two spellings that come at once, the second's document waits here and then means the first's sender.
    await tx.execute(
        """
        INSERT INTO sender_aliases (owner_id, alias_key, sender_id) VALUES (%(owner)s, %(alias)s, %(id)s)
        ON CONFLICT (owner_id, alias_key) DO NOTHING
        """,
        bound,
    )
    return made


async def confirmed(tx: Transaction, owner_id: UUID, written: str) -> UUID:
    """The sender that `written` means, as `written_as`, but by a person's word: it stays without documents, and there is room for it."""
    sender_id = await written_as(tx, owner_id, written)
    if sender_id is None:
        return await named(tx, owner_id, sane_name(written) or one_line(written))
    await tx.execute(
        "UPDATE senders SET by_owner = true WHERE owner_id = %(owner)s AND id = %(sender)s", {"owner": owner_id, "sender": sender_id}
    )
    return sender_id


async def known(tx: Transaction, owner_id: UUID, names: Sequence[str]) -> frozenset[str]:
    """Those of these names that mean a sender the owner has."""
    keys = {alias_key(name): name for name in reversed(names)}
    found: list[str] = await tx.fetch_value(
        "SELECT coalesce(array_agg(alias_key), '{}') FROM sender_aliases WHERE owner_id = %(owner)s AND alias_key = ANY (%(keys)s)",
        {"owner": owner_id, "keys": list(keys)},
    )
    return frozenset(keys[key] for key in found)


async def learn(tx: Transaction, owner_id: UUID, *, written: str, sender_id: UUID) -> None:
    """A person says that what is written so comes from this sender. The name that a person gave another sender stays that one's."""
    await tx.execute(
        """
        INSERT INTO sender_aliases AS a (owner_id, alias_key, sender_id) VALUES (%(owner)s, %(alias)s, %(sender)s)
        ON CONFLICT (owner_id, alias_key) DO UPDATE SET sender_id = excluded.sender_id
        WHERE NOT EXISTS (
            SELECT FROM senders AS s
            WHERE s.owner_id = a.owner_id AND s.id = a.sender_id AND s.by_owner AND s.alias_key = a.alias_key AND s.id <> excluded.sender_id
        )
        """,
        {"owner": owner_id, "alias": alias_key(written), "sender": sender_id},
    )


async def drop_unused(tx: Transaction, owner_id: UUID, sender_ids: Sequence[UUID]) -> None:
    """Removes those of these senders that were read from documents and that none comes from any more."""
    await tx.execute(
        """
        DELETE FROM senders AS s
        WHERE s.owner_id = %(owner)s AND s.id = ANY (%(senders)s) AND NOT s.by_owner
            AND NOT EXISTS (SELECT FROM documents AS d WHERE d.owner_id = %(owner)s AND d.sender_id = s.id)
        """,
        {"owner": owner_id, "senders": list(sender_ids)},
    )


async def list_page(db: TenantDatabase, query: PageQuery) -> Page[Sender]:
    """The owner's senders by name. Raises InvalidCursor."""
    binding = {"list": "senders", "owner": str(db.owner_id)}
    after = ""
    if query.cursor is not None:
        values = cursors.decode(query.cursor, binding)
        if len(values) != 1:
            raise InvalidCursor
        after = name_key(str(values[0]))
    async with db.transaction() as tx:
        found = await tx.fetch_all(
            f"""
            SELECT s.id, s.name, {_COUNT} AS documents
            FROM (
                SELECT id, owner_id, name, name_key FROM senders WHERE owner_id = %(owner)s AND name_key > %(after)s
                ORDER BY name_key LIMIT %(limit)s
            ) AS s
            ORDER BY s.name_key
            """,
            {"owner": db.owner_id, "after": after, "limit": query.limit + 1},
            row=Sender,
        )
    items = found[: query.limit]
    return Page[Sender](items=items, next_cursor=cursors.encode([items[-1].name], binding) if len(found) > query.limit else None)


_COUNT = """
    (SELECT count(*) FROM documents AS d WHERE d.owner_id = s.owner_id AND d.sender_id = s.id AND d.trashed_at IS NULL)
"""


async def rename(db: TenantDatabase, sender_id: UUID, change: SenderChange) -> Sender:
    """Gives a sender another name; what is written as before still means it. Raises NotFound, SenderExists."""
    async with db.transaction() as tx:
        await _one_at_a_time(tx, db.owner_id)
        bound = {"owner": db.owner_id, "id": sender_id, "name": change.name, "key": name_key(change.name), "alias": alias_key(change.name)}
        # Documents first, as everywhere: they show their sender's name.
        await _touch(tx, db.owner_id, sender_id)
        try:
            changed = await tx.execute(
                """
                UPDATE senders SET name = %(name)s, name_key = %(key)s, alias_key = %(alias)s, by_owner = true
                WHERE owner_id = %(owner)s AND id = %(id)s
                """,
                bound,
            )
        except UniqueViolation:
            raise SenderExists(f"You already have a sender “{change.name}”. To have one of both, merge them.") from None
        if not changed:
            raise NotFound("There is no such sender.")
        await learn(tx, db.owner_id, written=change.name, sender_id=sender_id)
        return await _read(tx, db.owner_id, sender_id)


async def merge(db: TenantDatabase, sender_id: UUID, into: UUID) -> Sender:
    """Makes two senders one: documents and spellings of the first are the second's, which stays. Raises NotFound, ValidationFailed."""
    if sender_id == into:
        raise ValidationFailed("A sender cannot be merged into itself.", errors=[{"loc": ["body", "into"], "msg": "is the same sender"}])
    bound = {"owner": db.owner_id, "id": sender_id, "into": into}
    async with db.transaction() as tx:
        await _one_at_a_time(tx, db.owner_id)
        both: int = await tx.fetch_value(
            "SELECT count(*) FROM senders WHERE owner_id = %(owner)s AND id = ANY (ARRAY[%(id)s, %(into)s]::uuid[])", bound
        )
        if both != 2:
            raise NotFound("There is no such sender.")
        await _move_documents(tx, bound)
        # Whoever is just giving a document this sender holds it; what came of that is moved, too.
        await tx.execute("SELECT FROM senders WHERE owner_id = %(owner)s AND id = %(id)s FOR UPDATE", bound)
        await _move_documents(tx, bound)
        await tx.execute("UPDATE sender_aliases SET sender_id = %(into)s WHERE owner_id = %(owner)s AND sender_id = %(id)s", bound)
        await tx.execute("UPDATE senders SET by_owner = true WHERE owner_id = %(owner)s AND id = %(into)s", bound)
        await tx.execute("DELETE FROM senders WHERE owner_id = %(owner)s AND id = %(id)s", bound)
        lifecycle.wake_listeners(tx, db.owner_id)
        return await _read(tx, db.owner_id, into)


async def _move_documents(tx: Transaction, bound: dict[str, UUID]) -> None:
    await tx.execute(
        """
        UPDATE documents SET sender_id = %(into)s, updated_at = now()
        WHERE owner_id = %(owner)s AND id IN (
            SELECT id FROM documents WHERE owner_id = %(owner)s AND sender_id = %(id)s ORDER BY id FOR NO KEY UPDATE
        )
        """,
        bound,
    )


async def _touch(tx: Transaction, owner_id: UUID, sender_id: UUID) -> None:
    await tx.execute(
        """
        UPDATE documents SET updated_at = now()
        WHERE owner_id = %(owner)s AND id IN (
            SELECT id FROM documents WHERE owner_id = %(owner)s AND sender_id = %(id)s ORDER BY id FOR NO KEY UPDATE
        )
        """,
        {"owner": owner_id, "id": sender_id},
    )
    lifecycle.wake_listeners(tx, owner_id)


async def _one_at_a_time(tx: Transaction, owner_id: UUID) -> None:
    """Of an owner's changes to senders the second waits for the first: two merges that cross would wait for each other."""
    await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended('senders ' || %(owner)s::text, 0))", {"owner": owner_id})


async def _read(tx: Transaction, owner_id: UUID, sender_id: UUID) -> Sender:
    sender = await tx.fetch_one(
        f"SELECT s.id, s.name, {_COUNT} AS documents FROM senders AS s WHERE s.owner_id = %(owner)s AND s.id = %(id)s",
        {"owner": owner_id, "id": sender_id},
        row=Sender,
    )
    if sender is None:
        raise NotFound("There is no such sender.")
    return sender
