"""OneDrive: signing in by MSAL, and tokens that are renewed as they run out.

MSAL is called on a thread, its requests through the outbound guard. What Microsoft renews (the refresh token, too) is sealed at once.
"""

import asyncio
import time
from typing import Any
from uuid import UUID

from shared.cloud import connections
from shared.cloud.sign_ins import OAuthProvider, Signed, SignInRefused, callback_url
from shared.config import settings
from shared.db import TenantDatabase
from shared.errors import NotConfigured
from shared.storage import CredentialsRejected, StorageUnavailable
from shared.storage.onedrive import OneDriveBackend, Tokens

SCOPES = ["Files.ReadWrite"]
"""MSAL adds `openid profile offline_access`."""
SILENCE_SECONDS = 20.0
RENEWED_MEANWHILE_SECONDS = 300


class OneDriveSignIn:
    """Microsoft accounts, and work or school accounts of ONEDRIVE_TENANT_ID."""

    provider: OAuthProvider = "onedrive"

    async def begin(self, state: str) -> tuple[str, dict[str, Any]]:
        def work(app: Any) -> dict[str, Any]:
            flow: dict[str, Any] = app.initiate_auth_code_flow(
                SCOPES, redirect_uri=callback_url("onedrive"), state=state, prompt="select_account"
            )
            return flow

        flow = await _with_msal(work)
        return str(flow["auth_uri"]), flow

    async def finish(self, begun: dict[str, Any], answered: dict[str, str]) -> Signed:
        def work(app: Any) -> dict[str, Any]:
            try:
                said: dict[str, Any] = app.acquire_token_by_auth_code_flow(begun, answered)
            except (ValueError, KeyError):  # the state, or something in the id token, is not what it should be
                return {"error": "invalid_state"}
            return said

        said = await _with_msal(work)
        if "access_token" not in said or "refresh_token" not in said:
            raise SignInRefused("invalid_state" if said.get("error") == "invalid_state" else "sign_in_failed")
        claims = said.get("id_token_claims") or {}
        account = str(claims.get("preferred_username") or claims.get("oid") or "OneDrive")
        return Signed(account, f"OneDrive of {account}", _credentials(said))


async def backend(db: TenantDatabase, account: connections.Account) -> OneDriveBackend:
    """The account's drive. Raises NotConfigured."""

    async def refresh() -> Tokens:
        return await _refresh(db, account.id, tokens.access_token)

    tokens = Tokens(str(account.credentials["access_token"]), float(account.credentials["expires_at"]), refresh)
    return OneDriveBackend(tokens, connections.url_guard(), graph_url=settings().onedrive_graph_url)


async def _refresh(db: TenantDatabase, connection_id: UUID, expired: str) -> Tokens:
    """Newer tokens: those that another process has got meanwhile, or new ones, which are kept. Raises CredentialsRejected."""
    credentials = (await connections.account_of(db, connection_id)).credentials
    if credentials["access_token"] == expired or credentials["expires_at"] < time.time() + RENEWED_MEANWHILE_SECONDS:
        refresh_token = credentials["refresh_token"]
        said = await _with_msal(lambda app: app.acquire_token_by_refresh_token(refresh_token, SCOPES))
        if "access_token" not in said:
            if said.get("error") in ("invalid_grant", "interaction_required", "consent_required", "unauthorized_client"):
                raise CredentialsRejected("Microsoft does not accept the sign-in any more; sign in again.")
            raise StorageUnavailable("Microsoft does not renew the sign-in just now; try again in a moment.")
        credentials = _credentials({"refresh_token": refresh_token} | said)
        await connections.replace_credentials(db, connection_id, credentials)
    access_token = str(credentials["access_token"])
    return Tokens(access_token, float(credentials["expires_at"]), lambda: _refresh(db, connection_id, access_token))


def _credentials(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "access_token": said["access_token"],
        "refresh_token": said["refresh_token"],
        "expires_at": time.time() + int(said.get("expires_in", 0)),
    }


async def _with_msal(work: Any) -> dict[str, Any]:
    given = settings()
    if not given.onedrive_client_id or not given.onedrive_client_secret:
        raise NotConfigured("OneDrive needs ONEDRIVE_CLIENT_ID and ONEDRIVE_CLIENT_SECRET.")

    def call() -> dict[str, Any]:
        import msal
        import requests

        from shared.outbound.clients import requests_session

        session = requests_session(connections.url_guard(), seconds=SILENCE_SECONDS, response_bytes=2**20)
        try:
            app = msal.ConfidentialClientApplication(
                given.onedrive_client_id,
                client_credential=given.onedrive_client_secret,
                authority=f"{given.onedrive_login_url}/{given.onedrive_tenant_id}",
                http_client=session,
                instance_discovery=False,
            )
            said: dict[str, Any] = work(app)
            return said
        except (requests.RequestException, msal.exceptions.MsalError, ValueError):
            # ValueError: what its addresses are was answered with something else.
            raise StorageUnavailable("Microsoft's sign-in cannot be reached just now; try again in a moment.") from None
        finally:
            session.close()

    return await asyncio.to_thread(call)
