"""Removing what is dead: expired sessions and tokens, forgotten failures, mails long sent. For the hourly schedule."""

from shared.db import Database

_STATEMENTS = (
    # An ended session is kept a while: its refresh tokens answer `session_revoked`, not `unauthenticated`.
    "DELETE FROM sessions WHERE expires_at < now() OR ended_at < now() - interval '30 days'",
    "DELETE FROM revocations WHERE expires_at < now()",
    "DELETE FROM one_time_tokens WHERE expires_at < now() - interval '1 day'",
    "DELETE FROM attempts WHERE updated_at < now() - interval '1 day' AND coalesce(known_until, '-infinity') < now()",
    "DELETE FROM mail_counts WHERE since < now() - interval '1 day'",
    "DELETE FROM mails WHERE sent_at < now() - interval '7 days' OR created_at < now() - interval '30 days'",
    "DELETE FROM api_tokens WHERE revoked_at < now() - interval '30 days' OR expires_at < now() - interval '30 days'",
    "DELETE FROM totp_secrets WHERE confirmed_at IS NULL AND created_at < now() - interval '1 day'",
)


async def prune(db: Database) -> int:
    """Removes dead rows; how many."""
    async with db.system() as tx:
        return sum([await tx.execute(statement) for statement in _STATEMENTS])
