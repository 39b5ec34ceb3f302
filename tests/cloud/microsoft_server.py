"""Microsoft's sign-in (OpenID Connect, authorization code with PKCE), as its documentation describes it, with TLS."""

import base64
import contextlib
import hashlib
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from infra.local.certificates import ensure_certificate

CLIENT_ID, CLIENT_SECRET = "client", "its secret"


class MicrosoftServer:
    """One tenant. `consent` is what the person does in the browser: the query that it comes back with."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        ensure_certificate(self.certificate, self._key)
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_tokens: set[str] = set()
        self.access_tokens: list[str] = []
        self.failing: list[int] = []
        self.invalid_grant = False
        self._port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["MicrosoftServer"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        app = web.Application()
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self._port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def consent(self, authorization_url: str) -> dict[str, str]:
        parts = urlsplit(authorization_url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert f"{parts.scheme}://{parts.netloc}" == self.url
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT_ID, "S256")
        assert {"Files.ReadWrite", "offline_access"} <= set(asked["scope"].split())
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "session_state": "x"}

    async def _discovery(self, request: web.Request) -> web.Response:
        base = f"{self.url}/{request.match_info['tenant']}"
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=self.failing.pop(0))
        form = {name: str(value) for name, value in (await request.post()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_client"}, status=401)
        if form["grant_type"] == "refresh_token":
            if self.invalid_grant or form["refresh_token"] not in self.refresh_tokens:
                return web.json_response({"error": "invalid_grant"}, status=400)
            self.refresh_tokens.discard(form["refresh_token"])
            return web.json_response(self._tokens())
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = {
            "iss": f"{self.url}/common/v2.0",
            "aud": CLIENT_ID,
            "exp": int(time.time()) + 600,
            "iat": int(time.time()),
            "nonce": asked.get("nonce"),
            "oid": "o",
            "sub": "s",
            "preferred_username": "ada@example.org",
        }
        return web.json_response(self._tokens() | {"id_token": f"{_part({'alg': 'none'})}.{_part(claims)}."})

    def _tokens(self) -> dict[str, object]:
        refresh, access = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.refresh_tokens.add(refresh)
        self.access_tokens.append(access)
        return {"token_type": "Bearer", "access_token": access, "refresh_token": refresh, "expires_in": 3600, "scope": "Files.ReadWrite"}


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
