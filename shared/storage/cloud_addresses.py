"""Which addresses a cloud server may have, and which keys its files.

The address is somebody's own words, so it is checked when a backend is made and its host before each request (`shared.outbound`); ports
are those that WebDAV servers use, so that a vault cannot be made to knock at other services. Hosts in ALLOWED_PRIVATE_HOSTS may use any.
"""

import unicodedata
from urllib.parse import quote, unquote, urlsplit

from shared.outbound import UrlGuard, UrlNotAllowed
from shared.outbound.guard import parts_of
from shared.storage.backend import NameRefused

PORTS = frozenset({80, 443, 2077, 2078, 5005, 5006, 8080, 8443})
"""HTTP's own and their usual stand-ins; cPanel's Web Disk (2077, 2078); Synology's WebDAV Server (5005, 5006)."""
SEGMENT_BYTES = 255
"""What the file systems behind most servers allow for one name."""
KEY_BYTES = 4000


def validate_cloud_url(url: str, guard: UrlGuard) -> str:
    """The server's address, without a slash at its end. Raises UrlNotAllowed; where its host leads is checked with each request."""
    url = url.strip()
    if not url.isascii():
        url = quote(url, safe="%/:=&?~#+!$,;'@()*[]")
    host, port = parts_of(url)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise UrlNotAllowed("The server's address ends with its path: leave out what follows “?” or “#”.")
    if any(segment in (".", "..") for segment in unquote(parts.path).split("/")):
        raise UrlNotAllowed("The server's address must not hold “.” or “..” as a folder.")
    if port not in PORTS and not guard.names(host):
        raise UrlNotAllowed(f"Port {port} is not one that cloud servers use; possible are {', '.join(map(str, sorted(PORTS)))}.")
    return url.rstrip("/")


def segments(path: str) -> list[str]:
    """A key's segments. Raises NameRefused for one that could mean another place, or that servers cannot hold."""
    found = path.split("/")
    if len(path.encode("utf-8", "surrogatepass")) > KEY_BYTES:
        raise NameRefused("The path is too long.")
    for segment in found:
        if not segment.strip("."):
            raise NameRefused("A path has no parts that are empty or nothing but dots.")
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in segment):
            raise NameRefused("A name holds no control characters.")
        if len(segment.encode()) > SEGMENT_BYTES:
            raise NameRefused(f"A name has {SEGMENT_BYTES} bytes at most.")
    return found
