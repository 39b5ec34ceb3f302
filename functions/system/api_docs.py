"""GET /docs: the API, to read and to try; one page that loads nothing from anywhere else."""

import base64
import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from shared.faas import Call, Response, endpoint
from shared.faas.responses import accepts

SWAGGER_UI = Path(__file__).with_name("swagger_ui")
"""Swagger UI (Apache-2.0), from the package swagger-ui-dist 5.35.0."""

_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null, tryItOutEnabled: true});'


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, bytes, str]:
    """The page, the page gzipped, and its Content-Security-Policy."""
    library = (SWAGGER_UI / "swagger-ui-bundle.js").read_text().replace("</script", "<\\/script")
    style = (SWAGGER_UI / "swagger-ui.css").read_text().replace("</style", "<\\/style")
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in (library, _START))
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>DocuVault API</title><link rel="icon" href="data:,"><style>{style}</style></head><body><div id="docs"></div>'
        f"<script>{library}</script><script>{_START}</script></body></html>"
    ).encode()
    return page, gzip.compress(page, 6, mtime=0), policy


@endpoint("GET", "/docs", auth="none", returns="text/html")
async def api_docs(call: Call) -> Response:
    page, zipped, policy = _page()
    headers = [("content-security-policy", policy), ("cache-control", "public, max-age=3600"), ("vary", "accept-encoding")]
    if accepts(call.headers.get("accept-encoding", ""), "gzip"):
        return Response.content(zipped, "text/html; charset=utf-8", headers=[*headers, ("content-encoding", "gzip")])
    return Response.content(page, "text/html; charset=utf-8", headers=headers)
