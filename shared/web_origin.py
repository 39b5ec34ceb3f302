"""The web origin of a URL (RFC 6454)."""

from urllib.parse import urlsplit


def origin_of(url: str) -> str:
    """Scheme, host and port as browsers write them: in lower case, without the scheme's own port (section 6.2)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, {"http": 80, "https": 443}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
