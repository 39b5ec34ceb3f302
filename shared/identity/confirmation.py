"""Before anything that outlasts an access token: a sign-in of the last ten minutes, or the password again (and the second factor).

A stolen access token is good for a quarter of an hour. Nothing that it opens by itself may be good for longer.
"""

from datetime import timedelta
from uuid import UUID

from shared import audit
from shared.audit import AuditAction, AuditOutcome
from shared.db import Database
from shared.errors import Unauthenticated
from shared.identity import accounts, reauthentication, second_factor, sessions
from shared.identity.client import Client
from shared.identity.errors import ReauthenticationRequired

RECENT = timedelta(minutes=10)
"""Since the sign-in itself: refreshing a session does not make it recent again."""


async def require(db: Database, client: Client, user_id: UUID, session_id: UUID | None, *, password: str | None, code: str | None) -> None:
    """Returns if the caller signed in recently, or proves anew who it is.

    Raises ReauthenticationRequired if something is missing for that, InvalidCredentials, InvalidCode, RateLimited if it is wrong.
    """
    async with db.system() as tx:
        account = await accounts.credentials(tx, user_id)
        if account is None or not account.usable:
            raise Unauthenticated
        if session_id is not None and await sessions.is_recent(tx, user_id, session_id, RECENT):
            return
        missing = password is None or (account.second_factor and code is None)
        if missing:
            await audit.record(
                tx,
                AuditAction.REAUTHENTICATION,
                outcome=AuditOutcome.FAILURE,
                actor=user_id,
                owner=user_id,
                origin=client,
                detail={"reason": "missing"},
            )
    if missing or password is None:
        proof = "password and the code of the second factor" if account.second_factor else "password"
        raise ReauthenticationRequired(f"Sign in again, or send your {proof} along.")
    await reauthentication.check_password(db, client, user_id, password)
    if code is not None and account.second_factor:
        await second_factor.check(db, client, user_id, code)
