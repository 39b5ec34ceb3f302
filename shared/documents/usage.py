"""What an account holds, in bytes and documents."""

from uuid import UUID

from shared.config import settings
from shared.db import Transaction
from shared.documents.models import StorageUsage


async def of(tx: Transaction, owner_id: UUID) -> StorageUsage:
    """The owner's usage; the quota is what an admin has set, for this account or for everyone, or else DEFAULT_QUOTA."""
    default = settings().default_quota
    usage = await tx.fetch_one(
        """
        SELECT bytes_used, bytes_reserved, coalesce(bytes_quota, system_limit('default_quota'), %(default)s) AS bytes_quota, documents
        FROM account_usage WHERE owner_id = %(owner)s
        """,
        {"owner": owner_id, "default": default},
        row=StorageUsage,
    )
    return usage or StorageUsage(bytes_used=0, bytes_reserved=0, bytes_quota=default, documents=0)
