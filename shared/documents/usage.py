"""What an account holds, in bytes and documents."""

from dataclasses import dataclass
from uuid import UUID

from shared.config import settings
from shared.db import Transaction
from shared.documents.models import StorageUsage


@dataclass(frozen=True)
class _UsageRow:
    bytes_used: int
    bytes_reserved: int
    bytes_quota: int | None
    documents: int


async def of(tx: Transaction, owner_id: UUID) -> StorageUsage:
    """The owner's usage; the quota is DEFAULT_QUOTA if none was set."""
    row = await tx.fetch_one(
        "SELECT bytes_used, bytes_reserved, bytes_quota, documents FROM account_usage WHERE owner_id = %(owner)s",
        {"owner": owner_id},
        row=_UsageRow,
    ) or _UsageRow(0, 0, None, 0)
    quota = settings().default_quota if row.bytes_quota is None else row.bytes_quota
    return StorageUsage(bytes_used=row.bytes_used, bytes_reserved=row.bytes_reserved, bytes_quota=quota, documents=row.documents)
