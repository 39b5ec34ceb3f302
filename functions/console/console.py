"""GET /: what this is, to somebody who opens the address in a browser; one page that loads nothing from anywhere else."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

from shared.faas import Call, Response, endpoint

PAGE = Path(__file__).with_name("start.html")


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, str]:
    """The page and its Content-Security-Policy: no script, and no style but its own."""
    page = PAGE.read_text()
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" for style in styles)
    policy = f"default-src 'none'; style-src {hashes}; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    return page.encode(), policy


@endpoint("GET", "/", auth="none", returns="text/html")
async def console(call: Call) -> Response:
    page, policy = _page()
    headers = [("content-security-policy", policy), ("cache-control", "public, max-age=3600")]
    return Response.content(page, "text/html; charset=utf-8", headers=headers)
