"""PostgreSQL, the only truth: the pool, and the two places that open transactions (with a tenant, and without)."""

from shared.db.database import Database, TenantDatabase, Transaction, database, will_fail_again

__all__ = ["Database", "TenantDatabase", "Transaction", "database", "will_fail_again"]
