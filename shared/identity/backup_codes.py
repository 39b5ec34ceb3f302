"""Backup codes: ten at a time, each good once, for those who lost their authenticator.

Sixteen characters of Crockford's base32 in four groups. The first four find the code, the other twelve (60 bits) are stored as an Argon2id
hash.
"""

import asyncio
import secrets
from dataclasses import dataclass
from uuid import UUID

from shared.db import Database, Transaction
from shared.identity import passwords
from shared.ids import new_id

COUNT = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LOOKUP = 4
_LENGTH = 16


@dataclass(frozen=True)
class HashedCode:
    """What is stored of a code."""

    lookup: str
    hash: str


@dataclass(frozen=True)
class _CodeRow:
    id: UUID
    code_hash: str


def looks_like_one(text: str) -> bool:
    """Whether a code that was typed is a backup code, not one of an authenticator."""
    return len(_plain(text)) == _LENGTH


async def make() -> tuple[list[str], list[HashedCode]]:
    """Ten new codes to show, and what to store of them."""
    plain: set[str] = set()
    lookups: set[str] = set()
    while len(plain) < COUNT:
        code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
        if code[:_LOOKUP] not in lookups:
            plain.add(code)
            lookups.add(code[:_LOOKUP])
    ordered = sorted(plain)
    hashes = await asyncio.gather(*(passwords.hash_password(code[_LOOKUP:]) for code in ordered))
    shown = ["-".join(code[i : i + 4] for i in range(0, _LENGTH, 4)) for code in ordered]
    return shown, [HashedCode(code[:_LOOKUP], hashed) for code, hashed in zip(ordered, hashes, strict=True)]


async def replace(tx: Transaction, user_id: UUID, codes: list[HashedCode]) -> None:
    """Stores these codes in place of all earlier ones (system transaction)."""
    await remove(tx, user_id)
    for code in codes:
        await tx.execute(
            "INSERT INTO backup_codes (id, user_id, lookup, code_hash) VALUES (%(id)s, %(user)s, %(lookup)s, %(hash)s)",
            {"id": new_id(), "user": user_id, "lookup": code.lookup, "hash": code.hash},
        )


async def remove(tx: Transaction, user_id: UUID) -> None:
    """All codes of a user are void (system transaction)."""
    await tx.execute("DELETE FROM backup_codes WHERE user_id = %(user)s", {"user": user_id})


async def find(db: Database, user_id: UUID, text: str) -> UUID | None:
    """The unused code that `text` is, or None. Costs one Argon2id verification either way. It is not used up: `use` does that."""
    code = _plain(text)
    async with db.system() as tx:
        row = await tx.fetch_one(
            "SELECT id, code_hash FROM backup_codes WHERE user_id = %(user)s AND lookup = %(lookup)s AND used_at IS NULL",
            {"user": user_id, "lookup": code[:_LOOKUP]},
            row=_CodeRow,
        )
    verdict = await passwords.verify_password(code[_LOOKUP:], row.code_hash if row else None)
    return row.id if row is not None and verdict.right and len(code) == _LENGTH else None


async def use(tx: Transaction, code_id: UUID) -> bool:
    """Uses a code up; of many at once, one does (system transaction)."""
    return bool(await tx.execute("UPDATE backup_codes SET used_at = now() WHERE id = %(id)s AND used_at IS NULL", {"id": code_id}))


def _plain(text: str) -> str:
    # Crockford: no difference between o and 0, i or l and 1.
    return text[:64].lower().replace("-", "").replace(" ", "").translate(str.maketrans("oil", "011"))
