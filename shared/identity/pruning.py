"""Removing what is dead: expired sessions and tokens, forgotten failures, mails long sent. For the hourly schedule."""

from shared.db import Database

_DEAD = {
    # An ended session is kept a while: its refresh tokens answer `session_revoked`, not `unauthenticated`.
    "sessions": "expires_at < now() OR ended_at < now() - interval '30 days'",
    "revocations": "expires_at < now()",
    "one_time_tokens": "expires_at < now() - interval '1 day'",
    "attempts": "updated_at < now() - interval '1 day' AND coalesce(known_until, '-infinity') < now()",
    "mail_counts": "since < now() - interval '1 day'",
    "mails": "sent_at < now() - interval '7 days' OR created_at < now() - interval '30 days'",
    "api_tokens": "revoked_at < now() - interval '30 days' OR expires_at < now() - interval '30 days'",
    "totp_secrets": "confirmed_at IS NULL AND created_at < now() - interval '1 day'",
}
"""Which rows of which table."""


async def prune(db: Database) -> int:
    """Removes dead rows; how many. What somebody is just using is left for the next time: waiting for it, two could wait for each other."""
    async with db.system() as tx:
        return sum(
            [
                await tx.execute(
                    f"DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} WHERE {dead} FOR UPDATE SKIP LOCKED))"
                )
                for table, dead in _DEAD.items()
            ]
        )
