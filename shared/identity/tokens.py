"""Access tokens: JWTs (RFC 7519) signed with ES256, good for 15 minutes.

Only ES256 is accepted, only with a `kid` of ours, only with every claim present and of the right form (RFC 8725). Nothing here asks
whether a token is revoked: `access.authenticate` does.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared import clock
from shared.config import settings
from shared.errors import Unauthenticated
from shared.identity.client import Client
from shared.ids import new_id
from shared.keys import signing_keys

LIFETIME = timedelta(minutes=15)
CLOCK_SKEW = timedelta(minutes=1)
"""How far in the future a token may have been issued: clocks differ between machines."""
MAX_LENGTH = 4096
"""Characters; anything longer is no token of ours."""
_TYPE = "at+jwt"  # RFC 9068, section 2.1
_ROLES = ("user", "admin")
_CLAIMS = ["iss", "sub", "role", "jti", "sid", "fgp", "iat", "exp"]


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The verified claims."""

    user_id: UUID
    role: str
    token_id: UUID
    session_id: UUID
    fingerprint: str
    expires_at: datetime


def issue(user_id: UUID, role: str, session_id: UUID, client: Client, *, now: datetime | None = None) -> tuple[str, int]:
    """A new access token of a session, bound to the client's browser; the token and the seconds it is good for."""
    import jwt

    issued = now or clock.now()
    key = signing_keys()[0]
    claims = {
        "iss": settings().backend_url,
        "sub": str(user_id),
        "role": role,
        "jti": str(new_id()),
        "sid": str(session_id),
        "fgp": client.fingerprint,
        "iat": int(issued.timestamp()),
        "exp": int((issued + LIFETIME).timestamp()),
    }
    token = jwt.encode(claims, key.private, algorithm="ES256", headers={"kid": key.kid, "typ": _TYPE})
    return token, int(LIFETIME.total_seconds())


def verify(token: str) -> AccessToken:
    """The claims of a token that we signed and that has not expired. Raises Unauthenticated."""
    import jwt

    if len(token) > MAX_LENGTH:
        raise Unauthenticated("This is not an access token.")
    try:
        header = jwt.get_unverified_header(token)
        key = next((key for key in signing_keys() if key.kid == header.get("kid")), None)
        if key is None or header.get("alg") != "ES256" or header.get("typ") != _TYPE or "crit" in header:
            raise Unauthenticated("The access token is not valid here.")
        claims = jwt.decode(
            token,
            key.public,
            algorithms=["ES256"],
            issuer=settings().backend_url,
            leeway=0,
            options={"require": _CLAIMS, "verify_iat": False, "strict_aud": True},
        )
        # Not by PyJWT: its leeway would make the token last longer, too.
        if not isinstance(claims["iat"], int) or claims["iat"] > (clock.now() + CLOCK_SKEW).timestamp():
            raise Unauthenticated("The access token is not valid here.")
        if claims["role"] not in _ROLES or not isinstance(claims["fgp"], str):
            raise Unauthenticated("The access token is not valid here.")
        return AccessToken(
            user_id=UUID(claims["sub"]),
            role=claims["role"],
            token_id=UUID(claims["jti"]),
            session_id=UUID(claims["sid"]),
            fingerprint=claims["fgp"],
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The access token has expired.") from None
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise Unauthenticated("The access token is not valid here.") from None
