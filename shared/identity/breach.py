"""Whether a password is known from a data breach: Have I Been Pwned by k-anonymity.

Only the first five hex digits of the SHA-1 leave the machine, padding hides how many suffixes came back, and a service that does not
response within 2 s counts as "not known" (fails open) with a line in the log.
"""

import asyncio
import hashlib
import logging
import ssl
from functools import lru_cache

from shared.config import settings
from shared.identity.errors import PasswordBreached
from shared.identity.passwords import normalise

log = logging.getLogger("docuvault.identity")

TIMEOUT_SECONDS = 2.0
MAX_ANSWER_BYTES = 1 << 20


async def refuse_breached(password: str) -> None:
    """Raises PasswordBreached. Does nothing if HIBP_URL is empty."""
    if settings().hibp_url and await is_breached(password, settings().hibp_url):
        raise PasswordBreached


async def is_breached(password: str, url: str) -> bool:
    """Asks the service at `url`; False if it cannot be asked."""
    import httpx

    digest = hashlib.sha1(normalise(password).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
    prefix, suffix = digest[:5], digest[5:]
    headers = {"Add-Padding": "true", "User-Agent": "DocuVault"}
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False, verify=_trust()) as client,
            client.stream("GET", f"{url}/range/{prefix}", headers=headers) as response,
        ):
            response.raise_for_status()
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ValueError("the response is too long")
    except (httpx.HTTPError, TimeoutError, OSError, ValueError) as failed:
        log.warning("the breach check could not be made, the password is let through: %s", type(failed).__name__)
        return False
    for line in body.decode("ascii", "replace").splitlines():
        known, _, count = line.strip().partition(":")
        # Padding lines have the count 0.
        if known.upper() == suffix and count.strip() != "0":
            return True
    return False


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """Loading the certificates takes longer than the question: once a process."""
    import httpx

    return httpx.create_ssl_context()
