"""What is asked for is what the signature covers."""

from urllib.parse import parse_qs, unquote, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from shared.storage.presigning import MAX_SECONDS, Signer

KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_key_and_parameter_arrives_as_it_was_meant(key: str, disposition: str) -> None:
    signer = Signer("http://127.0.0.1:9000", "us-east-1", *KEYS)
    parts = urlsplit(signer.url("GET", "vault", key, seconds=60, query={"response-content-disposition": disposition}))
    assert unquote(parts.path) == f"/vault/{key}"
    parameters = parse_qs(parts.query, keep_blank_values=True)
    assert parameters["response-content-disposition"] == [disposition]
    assert parameters["X-Amz-Expires"] == ["60"]
    assert KEYS[1] not in parts.query


def test_every_header_is_among_the_signed_ones() -> None:
    headers = {"Content-Length": "5", "Content-Type": "text/plain", "If-None-Match": "*", "x-amz-checksum-sha256": "abc="}
    url = Signer("http://127.0.0.1:9000", "us-east-1", *KEYS).url("PUT", "vault", "key", seconds=60, headers=headers)
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == ["content-length;content-type;host;if-none-match;x-amz-checksum-sha256"]


def test_no_url_is_good_for_longer_than_the_protocol_allows() -> None:
    url = Signer("http://127.0.0.1:9000", "us-east-1", *KEYS).url("GET", "vault", "key", seconds=10 * MAX_SECONDS)
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(MAX_SECONDS)]


def test_hosts_are_signed_as_clients_send_them() -> None:
    def host(endpoint: str) -> str:
        return urlsplit(Signer(endpoint, "x", *KEYS).url("GET", "b", seconds=1)).netloc

    assert host("https://objects.example.org:443") == "objects.example.org"
    assert host("http://objects.example.org:80") == "objects.example.org"
    assert host("http://objects.example.org:9000") == "objects.example.org:9000"
    assert host("http://[::1]:9000") == "[::1]:9000"
