"""Which pages may use the embedded store, and what of its responses they may read.

Its own option for origins shows a page the ETag and the length alone; a viewer that fetches a PDF piece by piece needs to see where a piece
lies in the whole. So the bucket says it, in S3's own form (PutBucketCors).
"""

from collections.abc import Sequence
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from infra.local.probes import ask
from infra.processes import StartError
from shared.storage.presigning import Signer

SHOWN = ("ETag", "Content-Length", "Content-Range", "Accept-Ranges", "Content-Type", "Content-Disposition", "Last-Modified")
_METHODS = ("GET", "HEAD", "PUT")
_TRIES = 5


async def allow(signer: Signer, bucket: str, origins: Sequence[str]) -> None:
    """Lets pages of these origins read and put, and see the headers `SHOWN`. Raises StartError."""
    body = _configuration(origins).encode()
    status = 0
    for _ in range(_TRIES):
        address = urlsplit(signer.url("PUT", bucket, seconds=60, query={"cors": ""}))
        head = f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        status, _ = await ask(address.port or 80, head.encode() + body)
        if status in (200, 204):
            return
    raise StartError(f"The object store did not take which pages may use it (its response: {status or 'none'}).")


def _configuration(origins: Sequence[str]) -> str:
    rules = [("AllowedOrigin", origins), ("AllowedMethod", _METHODS), ("AllowedHeader", ("*",)), ("ExposeHeader", SHOWN)]
    elements = "".join(f"<{name}>{escape(value)}</{name}>" for name, values in rules for value in values)
    return f"<CORSConfiguration><CORSRule>{elements}<MaxAgeSeconds>3600</MaxAgeSeconds></CORSRule></CORSConfiguration>"
