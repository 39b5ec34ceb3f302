"""Accounts: the people who have one."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import class_row

from shared.db import Transaction
from shared.identity.models import StorageFolders, User, UserWithHome
from shared.ids import new_id

MAX_DISPLAY_NAME = 200

_COLUMNS = "id, email, display_name, role, second_factor, storage_connection_id, created_at"
_CREDENTIALS = "id, email, password_hash, password_generation, second_factor, NOT disabled AND deleted_at IS NULL AS usable"


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """What is needed to check a sign-in."""

    id: UUID
    email: str
    password_hash: str
    password_generation: int
    """Rises with each new password."""
    second_factor: bool
    usable: bool


async def insert(
    tx: Transaction, *, email: str, password_hash: str, display_name: str | None = None, role: Literal["user", "admin"] = "user"
) -> UUID | None:
    """A new account; its id, or None if the address has one already (system transaction)."""
    made: UUID | None = await tx.fetch_value(
        """
        INSERT INTO users (id, email, password_hash, display_name, role)
        VALUES (%(id)s, %(email)s, %(hash)s, %(name)s, %(role)s)
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        {"id": new_id(), "email": email, "hash": password_hash, "name": display_name, "role": role},
    )
    return made


async def credentials_by_address(tx: Transaction, email: str) -> StoredCredentials | None:
    """Who signs in with this address (system transaction)."""
    return of_address(await (await ask_by_address(tx, email)).fetchone(), email)


def of_address(found: StoredCredentials | None, email: str) -> StoredCredentials | None:
    """What was found for `email`, if it is the same address to Python, too.

    To some of PostgreSQL's collations `İ` (U+0130) is an `i`: whoever types a look-alike would be counted, or sent mail, as somebody else.
    """
    return found if found is not None and found.email.casefold() == email.strip().casefold() else None


async def ask_by_address(tx: Transaction, email: str) -> AsyncCursor[StoredCredentials]:
    """Sends the question, whose response goes through `of_address`; in a pipeline it travels with others (system transaction)."""
    cursor = tx.connection.cursor(row_factory=class_row(StoredCredentials))
    question: Any = f"SELECT {_CREDENTIALS} FROM users WHERE lower(email) = lower(%(email)s)"
    await cursor.execute(question, {"email": email.strip()})
    return cursor


async def credentials(tx: Transaction, user_id: UUID) -> StoredCredentials | None:
    """What `user_id` signs in with (system transaction)."""
    return await tx.fetch_one(f"SELECT {_CREDENTIALS} FROM users WHERE id = %(id)s", {"id": user_id}, row=StoredCredentials)


async def lock(tx: Transaction, user_id: UUID) -> None:
    """Nobody else signs in, or changes what signing in takes, before this transaction ends (system transaction).

    Whoever locks several things locks them in this order, so that no two wait for each other: failed attempts (`throttle`), the user's
    row, everything that belongs to the user.
    """
    await tx.execute("SELECT 1 FROM users WHERE id = %(id)s FOR UPDATE", {"id": user_id})


async def get(tx: Transaction, user_id: UUID) -> User | None:
    """The account, unless it is disabled or being deleted."""
    return await tx.fetch_one(
        f"SELECT {_COLUMNS} FROM users WHERE id = %(id)s AND NOT disabled AND deleted_at IS NULL", {"id": user_id}, row=User
    )


async def enter(tx: Transaction, user_id: UUID, password_hash: str) -> User | None:
    """The account, its row locked, if it may still be entered with the password that was checked (system transaction).

    The lock keeps a sign-in and "end all sessions" apart: whichever comes second sees the other.
    """
    return await (await ask_to_enter(tx, user_id, password_hash)).fetchone()


async def ask_to_enter(tx: Transaction, user_id: UUID, password_hash: str) -> AsyncCursor[User]:
    """Sends what `enter` does; in a pipeline it travels with others (system transaction)."""
    cursor = tx.connection.cursor(row_factory=class_row(User))
    question: Any = f"""
        UPDATE users SET last_seen_at = now()
        WHERE id = %(id)s AND password_hash = %(hash)s AND NOT disabled AND deleted_at IS NULL
        RETURNING {_COLUMNS}
        """
    await cursor.execute(question, {"id": user_id, "hash": password_hash})
    return cursor


async def store_password(tx: Transaction, user_id: UUID, password_hash: str, *, was: str | None = None) -> int | None:
    """Sets a new password, if `was` is given only while that is still the hash; its generation, or None (system transaction)."""
    generation: int | None = await tx.fetch_value(
        """
        UPDATE users SET password_hash = %(hash)s, password_generation = password_generation + 1, updated_at = now()
        WHERE id = %(id)s AND deleted_at IS NULL AND (%(was)s::text IS NULL OR password_hash = %(was)s)
        RETURNING password_generation
        """,
        {"id": user_id, "hash": password_hash, "was": was},
    )
    return generation


async def store_rehashed(tx: Transaction, user_id: UUID, password_hash: str) -> None:
    """The same password, hashed anew (system transaction)."""
    await tx.execute(
        "UPDATE users SET password_hash = %(hash)s, updated_at = now() WHERE id = %(id)s AND deleted_at IS NULL",
        {"id": user_id, "hash": password_hash},
    )


async def rename(tx: Transaction, user_id: UUID, display_name: str | None) -> User | None:
    """Sets the display name (the tenant's own transaction will do)."""
    return await tx.fetch_one(
        f"""
        UPDATE users SET display_name = %(name)s, updated_at = now()
        WHERE id = %(id)s AND NOT disabled AND deleted_at IS NULL
        RETURNING {_COLUMNS}
        """,
        {"id": user_id, "name": display_name},
        row=User,
    )


async def choose_storage(
    tx: Transaction, user_id: UUID, connection_id: UUID | None, folders: StorageFolders | None = None
) -> UserWithHome | None:
    """New documents go to this connection of the user's, or with None stay in DocuVault's own store (the tenant's transaction will do).

    `folders`: how they lie there; None leaves it as it is.
    """
    return await tx.fetch_one(
        f"""
        UPDATE users
        SET storage_connection_id = %(connection)s, storage_folders = coalesce(%(folders)s, storage_folders), updated_at = now()
        WHERE id = %(id)s AND NOT disabled AND deleted_at IS NULL
        RETURNING {_COLUMNS}, storage_folders
        """,
        {"id": user_id, "connection": connection_id, "folders": folders},
        row=UserWithHome,
    )
