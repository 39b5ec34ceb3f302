"""Presigned URLs (AWS Signature Version 4 in the query string), made by boto3's own signer.

One URL is good for one method, object, set of headers and time. The payload itself is not signed, but a `content-length`, a `content-type`
or an `x-amz-checksum-sha256` among the signed headers binds it. No network; botocore's signer is imported at first use (a fifth of what a
whole boto3 client costs in time and memory).

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode, urlsplit

MAX_SECONDS = 7 * 24 * 3600
"""S3's own limit on how long a URL may be good."""


@dataclass(frozen=True)
class KeyPair:
    """An access key and its secret. Every URL shows the access key; the secret signs."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Signer:
    """Signs for one endpoint (a URL) with one pair of keys. Addresses are path style: `/{bucket}/{key}`."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)

    @property
    def address(self) -> str:
        """The endpoint with its host as clients send it: without the scheme's own port."""
        parts = urlsplit(self.endpoint)
        usual = {"http": 80, "https": 443}[parts.scheme]
        return self.endpoint.replace(f":{usual}", "", 1) if parts.port == usual else self.endpoint

    def with_keys(self, keys: KeyPair) -> "Signer":
        """A signer for the same endpoint with other keys."""
        return replace(self, access_key=keys.access_key, secret_key=keys.secret_key)

    def url(
        self,
        method: str,
        bucket: str,
        key: str = "",
        *,
        seconds: int,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """A URL for `method`, good from now for `seconds`; the request must carry `headers` with exactly these values."""
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        address = f"{self.address}/{quote(bucket, safe='')}" + (f"/{quote(key, safe='/')}" if key else "")
        parameters = urlencode(query or {}, quote_via=quote, safe="")
        request = AWSRequest(method, f"{address}?{parameters}" if parameters else address, headers=dict(headers or {}))
        credentials = Credentials(self.access_key, self.secret_key)
        S3SigV4QueryAuth(credentials, "s3", self.region, expires=min(seconds, MAX_SECONDS)).add_auth(request)
        return str(request.url)
