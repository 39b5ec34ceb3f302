"""Who documents come from: the owner's senders, and how each is written on paper.

A sender is found by its aliases: a name's words in folded case, without punctuation and without the legal form at its end. What a person
corrects, renames or merges is remembered as an alias, so that the next document that is written so is recognised.
"""

import re
import unicodedata
from uuid import UUID

from shared.db import Transaction
from shared.documents.name_keys import name_key, one_line
from shared.ids import new_id

NAME_CHARACTERS = 200

READ_AT_MOST = 5_000
"""Senders an owner may have before documents bring no new ones; a person may always name one."""

_WORD = re.compile(r"[^\W_]+")
_LEGAL_FORM = re.compile(
    "ab|ag|aps|as|asa|bv|co|company|corp|corporation|cv|eg|ev|gbr|gesmbh|ggmbh|gmbh|inc|incorporated|kft|kg|kgaa|limited|llc|llp|ltd|mbh|nv"
    "|ohg|oy|oyj|plc|sa|sarl|sas|se|sl|spa|srl|sro|ug"
)


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
        INSERT INTO senders (id, owner_id, name, name_key, by_owner) VALUES (%(id)s, %(owner)s, %(name)s, %(key)s, true)
        ON CONFLICT (owner_id, name_key) DO UPDATE SET by_owner = true
        RETURNING id
        """,
        {"id": new_id(), "owner": owner_id, "name": name, "key": name_key(name)},
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
    """The sender that a document's `written` means, made if it is new; None if it is no name, or the owner has too many."""
    name = sane_name(written)
    if name is None:
        return None
    bound = {"id": new_id(), "owner": owner_id, "name": name, "key": name_key(name), "alias": alias_key(name), "most": READ_AT_MOST}
    find = """
        SELECT sender_id FROM sender_aliases WHERE owner_id = %(owner)s AND alias_key = %(alias)s
        UNION ALL SELECT id FROM senders WHERE owner_id = %(owner)s AND name_key = %(key)s
        LIMIT 1
    """
    known: UUID | None = await tx.fetch_value(find, bound)
    if known is not None:
        return known
    made: UUID | None = await tx.fetch_value(
        """
        INSERT INTO senders (id, owner_id, name, name_key)
        SELECT %(id)s, %(owner)s, %(name)s, %(key)s
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


async def learn(tx: Transaction, owner_id: UUID, *, written: str, sender_id: UUID) -> None:
    """A person says that what is written so comes from this sender; a sender that a person named keeps its own name."""
    await tx.execute(
        """
        INSERT INTO sender_aliases AS a (owner_id, alias_key, sender_id) VALUES (%(owner)s, %(alias)s, %(sender)s)
        ON CONFLICT (owner_id, alias_key) DO UPDATE SET sender_id = excluded.sender_id
        WHERE NOT EXISTS (
            SELECT FROM senders AS s WHERE s.owner_id = a.owner_id AND s.id = a.sender_id AND s.by_owner AND s.id <> excluded.sender_id
        )
        """,
        {"owner": owner_id, "alias": alias_key(written), "sender": sender_id},
    )


async def drop_if_unused(tx: Transaction, owner_id: UUID, sender_id: UUID) -> None:
    """Removes a sender that was read from documents and that none comes from any more."""
    await tx.execute(
        """
        DELETE FROM senders AS s
        WHERE s.owner_id = %(owner)s AND s.id = %(sender)s AND NOT s.by_owner
            AND NOT EXISTS (SELECT FROM documents AS d WHERE d.owner_id = %(owner)s AND d.sender_id = %(sender)s)
        """,
        {"owner": owner_id, "sender": sender_id},
    )
