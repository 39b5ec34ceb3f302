"""Google Drive: signing in by google-auth-oauthlib, and tokens that are renewed as they run out.

Both are called on threads, their requests through the outbound guard. What Google renews is sealed at once.
"""

import asyncio
from typing import Any
from uuid import UUID

from shared.cloud import connections
from shared.cloud.sign_ins import OAuthProvider, Signed, SignInRefused, callback_url
from shared.config import settings
from shared.db import TenantDatabase
from shared.errors import NotConfigured
from shared.storage import CredentialsRejected, StorageUnavailable
from shared.storage.google_drive import GoogleDriveBackend

SILENCE_SECONDS = 20.0


class GoogleSignIn:
    """Google accounts; GOOGLE_DRIVE_SCOPE says how much of the drive is asked for."""

    provider: OAuthProvider = "google_drive"

    async def begin(self, state: str) -> tuple[str, dict[str, Any]]:
        def work() -> tuple[str, dict[str, Any]]:
            flow = _flow(autogenerate_code_verifier=True)
            # A refresh token comes only with consent; without it the connection would be good for an hour.
            url, _ = flow.authorization_url(access_type="offline", prompt="consent", state=state)
            return str(url), {"code_verifier": flow.code_verifier}

        return await asyncio.to_thread(work)

    async def finish(self, begun: dict[str, Any], answered: dict[str, str]) -> Signed:
        credentials = await asyncio.to_thread(_exchange, str(begun["code_verifier"]), answered["code"])

        async def renew(expired: str) -> str:
            raise CredentialsRejected("Google does not accept the sign-in.")

        backend = GoogleDriveBackend(credentials["access_token"], renew, connections.url_guard(), api_url=settings().google_api_url)
        try:
            account = await backend.account()
        finally:
            await backend.close()
        return Signed(account, f"Google Drive of {account}", credentials)


async def backend(db: TenantDatabase, account: connections.Account) -> GoogleDriveBackend:
    """The account's drive. Raises NotConfigured."""
    _configured()

    async def renew(expired: str) -> str:
        return await _renew(db, account.id, expired)

    token = str(account.credentials["access_token"])
    return GoogleDriveBackend(token, renew, connections.url_guard(), api_url=settings().google_api_url)


async def _renew(db: TenantDatabase, connection_id: UUID, expired: str) -> str:
    """A newer access token: one that another process has got meanwhile, or a new one, which is kept."""
    said = (await connections.account_of(db, connection_id)).credentials
    if said["access_token"] != expired:
        return str(said["access_token"])
    renewed = await asyncio.to_thread(_refresh, said)
    await connections.replace_credentials(db, connection_id, renewed)
    return str(renewed["access_token"])


def _refresh(said: dict[str, Any]) -> dict[str, Any]:
    from google.auth.exceptions import RefreshError, TransportError
    from google.auth.transport.requests import Request
    from google.oauth2.credentials import Credentials

    from shared.outbound.clients import requests_session

    credentials = Credentials(  # type: ignore[no-untyped-call]
        said["access_token"],
        refresh_token=said["refresh_token"],
        token_uri=said["token_uri"],
        client_id=said["client_id"],
        client_secret=said["client_secret"],
    )
    session = requests_session(connections.url_guard(), seconds=SILENCE_SECONDS)
    try:
        credentials.refresh(Request(session))  # type: ignore[no-untyped-call]
    except RefreshError as refused:
        if refused.retryable:
            raise StorageUnavailable("Google does not renew the sign-in just now; try again in a moment.") from None
        raise CredentialsRejected("Google does not accept the sign-in any more; sign in again.") from None
    except TransportError:
        raise StorageUnavailable("Google's sign-in cannot be reached just now; try again in a moment.") from None
    finally:
        session.close()
    return said | {"access_token": credentials.token, "refresh_token": credentials.refresh_token or said["refresh_token"]}


def _exchange(code_verifier: str, code: str) -> dict[str, Any]:
    """The credentials that the code is good for. Raises SignInRefused, StorageUnavailable."""
    import requests
    from oauthlib.oauth2 import OAuth2Error

    from shared.outbound.clients import requests_session

    flow = _flow(code_verifier=code_verifier)
    guarded = requests_session(connections.url_guard(), seconds=SILENCE_SECONDS)
    for scheme, adapter in guarded.adapters.items():
        flow.oauth2session.mount(scheme, adapter)
    flow.oauth2session.trust_env = False
    try:
        flow.fetch_token(code=code)
    except (OAuth2Error, Warning, ValueError):  # a Warning: another scope than the one asked for was given
        raise SignInRefused("sign_in_failed") from None
    except requests.RequestException:
        raise StorageUnavailable("Google's sign-in cannot be reached just now; try again in a moment.") from None
    finally:
        flow.oauth2session.close()
    credentials = flow.credentials
    if not credentials.refresh_token:
        raise SignInRefused("sign_in_failed")
    return {
        "token_uri": credentials.token_uri,
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "access_token": credentials.token,
        "refresh_token": credentials.refresh_token,
    }


def _flow(**more: Any) -> Any:
    from google_auth_oauthlib.flow import Flow

    given = _configured()
    client = {
        "client_id": given.google_client_id,
        "client_secret": given.google_client_secret,
        "auth_uri": given.google_auth_url,
        "token_uri": given.google_token_url,
    }
    return Flow.from_client_config({"web": client}, scopes=given.google_drive_scope.split(), redirect_uri=callback_url("google"), **more)


def _configured() -> Any:
    given = settings()
    if not given.google_client_id or not given.google_client_secret:
        raise NotConfigured("Google Drive needs GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET.")
    return given
