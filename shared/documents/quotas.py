"""What an account may hold: reserved when an upload begins, used once the object is there, released when it goes.

Each function changes the owner's one row in `account_usage` inside the caller's transaction. That row is always the last one a
transaction locks (documents come first), so two transactions never wait for each other in a circle.
"""

from uuid import UUID

from shared.config import settings
from shared.db import Transaction
from shared.errors import DomainError

MAX_DOCUMENTS = 1_000_000
"""Of one account, the trash included: what is known of a document takes room beside its bytes, and those may be few."""


class QuotaExceeded(DomainError):
    status, code, title = 403, "quota_exceeded", "There is not enough room left in this account"


class DocumentTooLarge(DomainError):
    status, code, title = 413, "document_too_large", "The document is too large"


async def largest(tx: Transaction) -> int:
    """The bytes that a document may have: what an admin has set, or else MAX_DOCUMENT_SIZE."""
    limit: int = await tx.fetch_value(
        "SELECT coalesce(system_limit('max_document_size'), %(default)s)", {"default": settings().max_document_size}
    )
    return limit


def check_size(size: int, limit: int) -> None:
    """Raises DocumentTooLarge if no document may have `size` bytes, by what `largest` says."""
    if size > limit:
        raise DocumentTooLarge(f"A document may have {_in_words(limit)}; this one has {_in_words(size)}.")


async def reserve(tx: Transaction, owner_id: UUID, size: int) -> None:
    """Sets `size` bytes aside for an upload. Raises DocumentTooLarge, and QuotaExceeded, also if there are MAX_DOCUMENTS.

    The quota is the account's own, or what an admin has set for everyone, or else DEFAULT_QUOTA.

    Locks the account's row: what follows in `tx` has it alone.
    """
    reserved = await tx.execute(
        """
        UPDATE account_usage SET bytes_reserved = bytes_reserved + %(size)s
        WHERE owner_id = %(owner)s AND documents < %(most)s
            AND bytes_used + bytes_reserved + %(size)s <= coalesce(bytes_quota, (SELECT system_limit('default_quota')), %(default)s)
            AND %(size)s <= coalesce((SELECT system_limit('max_document_size')), %(largest)s)
        """,
        {
            "owner": owner_id,
            "size": size,
            "default": settings().default_quota,
            "largest": settings().max_document_size,
            "most": MAX_DOCUMENTS,
        },
    )
    if not reserved:
        check_size(size, await largest(tx))
        raise QuotaExceeded(
            f"There is no room for another {_in_words(size)} or document. Remove documents and empty the trash, then try again."
        )


async def room(tx: Transaction, owner_id: UUID) -> int:
    """Bytes that the account has left just now, what is reserved counted as taken; 0 or less if it is full."""
    left: int = await tx.fetch_value(
        """
        SELECT CASE WHEN documents < %(most)s
            THEN coalesce(bytes_quota, (SELECT system_limit('default_quota')), %(default)s) - bytes_used - bytes_reserved ELSE 0 END
        FROM account_usage WHERE owner_id = %(owner)s
        """,
        {"owner": owner_id, "default": settings().default_quota, "most": MAX_DOCUMENTS},
    )
    return left


async def use(tx: Transaction, owner_id: UUID, *, reserved: int, size: int, documents: int = 1) -> None:
    """An upload has become a document, or with `documents=0` a version of one: its reservation ends, its `size` bytes count."""
    await tx.execute(
        """
        UPDATE account_usage
        SET bytes_reserved = greatest(0, bytes_reserved - %(reserved)s), bytes_used = bytes_used + %(size)s,
            documents = documents + %(documents)s
        WHERE owner_id = %(owner)s
        """,
        {"owner": owner_id, "reserved": reserved, "size": size, "documents": documents},
    )


async def give_back(tx: Transaction, owner_id: UUID, size: int) -> None:
    """`size` bytes of a document that stays are gone."""
    await tx.execute(
        "UPDATE account_usage SET bytes_used = greatest(0, bytes_used - %(size)s) WHERE owner_id = %(owner)s",
        {"owner": owner_id, "size": size},
    )


async def free(tx: Transaction, owner_id: UUID, size: int, *, documents: int) -> None:
    """`documents` documents are gone, of `size` bytes together."""
    await tx.execute(
        """
        UPDATE account_usage
        SET bytes_used = greatest(0, bytes_used - %(size)s), documents = greatest(0, documents - %(documents)s)
        WHERE owner_id = %(owner)s
        """,
        {"owner": owner_id, "size": size, "documents": documents},
    )


async def release(tx: Transaction, owner_id: UUID, reserved: int) -> None:
    """An upload was given up: its reservation ends."""
    await tx.execute(
        "UPDATE account_usage SET bytes_reserved = greatest(0, bytes_reserved - %(reserved)s) WHERE owner_id = %(owner)s",
        {"owner": owner_id, "reserved": reserved},
    )


def _in_words(size: int) -> str:
    for unit, name in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}".replace(".0 ", " ")
    return f"{size} bytes"
