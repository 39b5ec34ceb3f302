"""AWS Signature Version 4 in the query string ("presigned URLs"), as S3 and everything that speaks its protocol checks it.

One URL is good for one method, object, set of headers and time. The payload itself is not signed, but a `content-length`, a `content-type`
or an `x-amz-checksum-sha256` among the signed headers binds it. Pure arithmetic, no network.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SECONDS = 7 * 24 * 3600
"""S3's own limit on how long a URL may be good."""


@dataclass(frozen=True)
class Signer:
    """Signs for one endpoint (a URL) with one pair of keys. Addresses are path style: `/{bucket}/{key}`."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    def url(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        at: datetime,
        seconds: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """A URL for `method`, good from `at` (UTC) for `seconds`; the request must carry `headers` with exactly these values."""
        scheme, netloc, prefix = _address(self.endpoint)
        path = f"{prefix}/{_encoded(bucket)}" + (f"/{_encoded(key, safe='/')}" if key else "")
        signed = {"host": netloc} | {name.lower(): " ".join(value.split()) for name, value in (headers or {}).items()}
        names = ";".join(sorted(signed))
        moment = at.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        parameters = dict(query or {}) | {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(min(seconds, MAX_SECONDS)),
            "X-Amz-SignedHeaders": names,
        }
        query_string = "&".join(f"{name}={value}" for name, value in sorted((_encoded(n), _encoded(v)) for n, v in parameters.items()))
        header_lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"{method}\n{path}\n{query_string}\n{header_lines}\n{names}\nUNSIGNED-PAYLOAD"
        to_sign = f"{ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(_key(self.secret_key, moment[:8], self.region), to_sign.encode(), "sha256").hex()
        return f"{scheme}://{netloc}{path}?{query_string}&X-Amz-Signature={signature}"


def _encoded(text: str, safe: str = "") -> str:
    # RFC 3986's unreserved characters stay as they are (`quote` spares them by itself), all else is encoded.
    return quote(text, safe=safe)


@lru_cache(maxsize=16)
def _address(endpoint: str) -> tuple[str, str, str]:
    """Scheme, host as clients send it (without the scheme's own port), and the path before the bucket."""
    parts = urlsplit(endpoint)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    return parts.scheme, host if parts.port in (None, usual) else f"{host}:{parts.port}", parts.path.rstrip("/")


@lru_cache(maxsize=16)
def _key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
