"""Signatures are those that the protocol's makers publish."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from shared.storage.signing import Signer

AT = datetime(2013, 5, 24, tzinfo=UTC)
KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def test_the_example_of_the_documentation_is_signed_as_there() -> None:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html (its bucket is in the host)
    signer = Signer("https://examplebucket.s3.amazonaws.com", "us-east-1", *KEYS)
    assert signer.url("GET", "test.txt", at=AT, seconds=86400) == (
        "https://examplebucket.s3.amazonaws.com/test.txt"
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_key_and_parameter_is_signed_as_botocore_does(key: str, disposition: str) -> None:
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    ours = Signer("http://127.0.0.1:9000", "us-east-1", *KEYS).url(
        "GET", "vault", key, at=AT, seconds=60, query={"response-content-disposition": disposition}
    )
    parts = urlsplit(ours)
    assert parse_qs(parts.query, keep_blank_values=True)["response-content-disposition"] == [disposition]

    class At(S3SigV4QueryAuth):  # type: ignore[misc]
        """botocore's signer at a moment of ours."""

        def add_auth(self, request: AWSRequest) -> None:
            request.context["timestamp"] = AT.strftime("%Y%m%dT%H%M%SZ")
            self._modify_request_before_signing(request)
            canonical = self.canonical_request(request)
            self._inject_signature_to_request(request, self.signature(self.string_to_sign(request, canonical), request))

    unsigned = f"{parts.scheme}://{parts.netloc}{parts.path}"
    request = AWSRequest("GET", unsigned, params={"response-content-disposition": disposition})
    At(Credentials(*KEYS), "s3", "us-east-1", expires=60).add_auth(request)
    assert request.url.rpartition("X-Amz-Signature=")[2] == ours.rpartition("X-Amz-Signature=")[2]


def test_hosts_are_signed_as_clients_send_them() -> None:
    def host(endpoint: str) -> str:
        return urlsplit(Signer(endpoint, "x", *KEYS).url("GET", "b", at=AT, seconds=1)).netloc

    assert host("https://objects.example.org:443") == "objects.example.org"
    assert host("http://objects.example.org:80") == "objects.example.org"
    assert host("http://objects.example.org:9000") == "objects.example.org:9000"
    assert host("http://[::1]:9000") == "[::1]:9000"
