"""Google's token endpoint (OAuth 2.0, authorization code with PKCE), as its documentation describes it, with TLS."""

import base64
import contextlib
import hashlib
import secrets
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from infra.local.certificates import ensure_certificate

CLIENT_ID, CLIENT_SECRET = "client", "its secret"
SCOPE = "https://www.googleapis.com/auth/drive.file"


class GoogleServer:
    """`consent` is what the person does in the browser: the query that it comes back with."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        ensure_certificate(self.certificate, self._key)
        self.codes: dict[str, dict[str, str]] = {}
        self.refresh_tokens: set[str] = set()
        self.access_tokens: list[str] = []
        self.failing: list[int] = []
        self.invalid_grant = False
        self.next_token = ""
        """The access token that comes next, if a test has to know it before."""
        self._port = 0

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["GoogleServer"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self._key)
        app = web.Application()
        app.router.add_post("/token", self._token)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self._port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()

    def consent(self, authorization_url: str) -> dict[str, str]:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT_ID, "S256")
        assert (asked["access_type"], asked["prompt"], asked["scope"]) == ("offline", "consent", SCOPE)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "scope": SCOPE, "authuser": "0"}

    async def _token(self, request: web.Request) -> web.Response:
        if self.failing:
            return web.Response(status=self.failing.pop(0))
        form = {name: str(value) for name, value in (await request.post()).items()}
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        client = base64.b64decode(basic).decode() if basic else f"{form.get('client_id')}:{form.get('client_secret')}"
        if client != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return web.json_response({"error": "invalid_client"}, status=401)
        token = self.next_token or secrets.token_urlsafe(16)
        self.access_tokens.append(token)
        said = {"token_type": "Bearer", "access_token": token, "expires_in": 3599, "scope": SCOPE}
        if form["grant_type"] == "refresh_token":
            if self.invalid_grant or form["refresh_token"] not in self.refresh_tokens:
                return web.json_response({"error": "invalid_grant", "error_description": "Token has been revoked."}, status=400)
            return web.json_response(said)
        asked = self.codes.pop(form["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        refresh = secrets.token_urlsafe(16)
        self.refresh_tokens.add(refresh)
        return web.json_response(said | {"refresh_token": refresh})
