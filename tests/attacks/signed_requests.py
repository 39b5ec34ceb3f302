"""What a client may add to a request that was signed for it: every header that S3 knows, and what MinIO and SeaweedFS know beside."""

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterator

VICTIM_FOLDER, VICTIM_NAME = "0190a1b2-0000-7000-8000-000000000001/document", "secret.txt"
VICTIM = f"{VICTIM_FOLDER}/{VICTIM_NAME}"
AUDIT = ".audit/2026/11/26.jsonl"
SECRET = b"what another tenant has written"
CHAIN = b"what the audit log says"
VICTIMS = {VICTIM: SECRET, AUDIT: CHAIN, f".derived/{VICTIM_FOLDER}/1.webp": b"what another tenant's first page looks like"}

UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
PAYLOADS = (UNSIGNED_CHUNKS, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD")
_CUSTOMER_KEY = bytes(32)
_CUSTOMER = {
    "algorithm": "AES256",
    "key": base64.b64encode(_CUSTOMER_KEY).decode(),
    "key-MD5": base64.b64encode(hashlib.md5(_CUSTOMER_KEY).digest()).decode(),
}
_EVERYBODY = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'

_VALUES = {
    "x-amz-grant-full-control": [_EVERYBODY],
    "x-amz-grant-read": [_EVERYBODY],
    "x-amz-grant-read-acp": [_EVERYBODY],
    "x-amz-grant-write": [_EVERYBODY],
    "x-amz-grant-write-acp": [_EVERYBODY],
    "x-amz-tagging": ["a=b", "public=true"],
    "x-amz-object-lock-retain-until-date": ["2100-01-01T00:00:00Z"],
    "x-amz-website-redirect-location": ["https://example.org/"],
    "x-amz-copy-source-range": ["bytes=0-4"],
    "x-amz-write-offset-bytes": ["0", "5"],
    "Range": ["bytes=0-1"],
    "Content-Encoding": ["gzip", "aws-chunked", "identity"],
    "Content-Type": ["text/html"],
    "If-None-Match": ['"x"'],
    "If-Match": ["*"],
    "Content-MD5": [base64.b64encode(bytes(16)).decode()],
}
_OTHER_HEADERS = {
    # S3's, which its model does not list
    "x-amz-content-sha256": [*PAYLOADS, hashlib.sha256(b"").hexdigest()],
    "x-amz-decoded-content-length": ["0", "1", "1000000"],
    "x-amz-trailer": ["x-amz-checksum-crc32"],
    "x-amz-security-token": ["x"],
    "x-amz-date": ["20200101T000000Z"],
    "x-amz-signature-age": ["1"],
    "x-amz-meta-name": ["value"],
    "x-amz-replication-status": ["REPLICA"],
    "x-amz-bucket-replication-status": ["REPLICA"],
    "x-amz-storage-class": ["REDUCED_REDUNDANCY", "GLACIER", "nonsense"],
    "x-amz-server-side-encryption-customer-algorithm": ["AES256"],
    "Authorization": ["x", "Bearer x", "AWS x:y", "AWS4-HMAC-SHA256 Credential=x"],
    "X-HTTP-Method-Override": ["DELETE"],
    "X-Original-URL": [f"/docuvault/{VICTIM}"],
    "X-Rewrite-URL": [f"/docuvault/{VICTIM}"],
    "X-Forwarded-Host": ["example.org"],
    "X-Forwarded-Prefix": ["/docuvault/x"],
    "Cache-Control": ["public, max-age=31536000"],
    # MinIO's
    "x-amz-meta-snowball-auto-extract": ["true"],
    "x-minio-extract": ["true"],
    "x-minio-force-create": ["true"],
    "x-minio-force-delete": ["true"],
    "x-minio-source-mtime": ["2020-01-01T00:00:00Z"],
    "x-minio-source-etag": ["0" * 32],
    "x-minio-source-replication-request": ["true"],
    "x-minio-source-proxy-request": ["true"],
    "x-minio-source-deletemarker": ["true"],
    "x-minio-replication-server-side-encryption-sealed-key": ["x"],
    "x-minio-replication-server-side-encryption-seal-algorithm": ["DAREv2-HMAC-SHA256"],
    "x-minio-replication-server-side-encryption-iv": ["x"],
    "x-minio-replication-encrypted-multipart": [""],
    "x-minio-replication-actual-object-size": ["1"],
    "x-minio-internal-server-side-encryption-iv": ["x"],
    # SeaweedFS's
    "Seaweed-Name": ["value"],
    "X-Seaweedfs-Sse-Kms-Key": ["x"],
    "x-seaweedfs-server-side-encryption-iv": ["x"],
    "X-Amz-Seaweed-Acl": ["public"],
}
_COMBINED = (
    {f"x-amz-server-side-encryption-customer-{name}": value for name, value in _CUSTOMER.items()},
    {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "x"},
    {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": "2100-01-01T00:00:00Z"},
    {"x-amz-object-lock-legal-hold": "ON"},
    {"x-amz-content-sha256": UNSIGNED_CHUNKS, "x-amz-decoded-content-length": "1000000", "x-amz-trailer": "x-amz-checksum-crc32"},
    {"x-amz-content-sha256": UNSIGNED_CHUNKS, "x-amz-meta-snowball-auto-extract": "true"},
    {"x-amz-meta-snowball-auto-extract": "true", "x-amz-meta-minio-snowball-prefix": VICTIM_FOLDER},
    {"x-amz-meta-snowball-auto-extract": "true", "x-amz-meta-minio-snowball-prefix": "/"},
)
ADDED_QUERIES = (
    "acl",
    "tagging",
    "retention",
    "legal-hold",
    "uploads",
    "torrent",
    "attributes",
    "versionId=null",
    "partNumber=1&uploadId=x",
    "x-amz-acl=public-read",
    f"x-amz-copy-source=/docuvault/{VICTIM}",
    f"X-Amz-Copy-Source=/docuvault/{VICTIM}",
    f"prefix={VICTIM_FOLDER}",
    "list-type=2",
    "authType=REST-QUERY-STRING",
    "X-Amz-Security-Token=x",
    "AWSAccessKeyId=x&Signature=y&Expires=9999999999",
    "collection=docuvault",
    "op=append",
    f"mv.from=/buckets/docuvault/{VICTIM}",
    f"cp.from=/buckets/docuvault/{VICTIM}",
)


def copies() -> Iterator[dict[str, str]]:
    """Every way to write another object's name where a copy's source goes."""
    for key in (VICTIM, AUDIT):
        quoted = key.replace("/", "%2F")
        plain = (f"/docuvault/{key}", f"docuvault/{key}", f"/docuvault/{key}?versionId=null")
        for source in (*plain, f"docuvault%2F{quoted}", f"%2Fdocuvault%2F{quoted}"):
            yield {"x-amz-copy-source": source}
            yield {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE"}
            yield {"x-amz-copy-source": source, "x-amz-copy-source-range": "bytes=0-4"}
            yield {"x-amz-copy-source": source, "x-amz-content-sha256": UNSIGNED_CHUNKS}
        yield {"x-amz-rename-source": f"/docuvault/{key}"}


def additions() -> Iterator[dict[str, str]]:
    """Headers to add to a request: each that is known, alone, beside a copy's source, and some that belong together."""
    from botocore.session import Session

    model = Session().get_service_model("s3")
    known: dict[str, list[str]] = {}
    for operation in map(model.operation_model, model.operation_names):
        for member in (operation.input_shape.members if operation.input_shape else {}).values():
            if member.serialization.get("location") == "header":
                known.setdefault(member.serialization["name"], list(getattr(member, "enum", ())) or [_an_example(member.type_name)])
    del known["Content-Length"]  # another one is another request: tests/storage/test_object_store.py
    assert {"x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-object-lock-mode"} < known.keys()
    source = {"x-amz-copy-source": f"/docuvault/{VICTIM}"}
    for name, values in (known | _VALUES | _OTHER_HEADERS).items():
        for value in values:
            yield {name: value}
            yield source | {name: value}
    yield from copies()
    yield from _COMBINED


def _an_example(kind: str) -> str:
    return {"boolean": "true", "integer": "1", "long": "1", "timestamp": "Fri, 31 Dec 2100 23:59:59 GMT"}.get(kind, "x")


def archive() -> bytes:
    """A tar file with an entry in the place of each victim."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in (*VICTIMS, VICTIM_NAME, "planted.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(b"planted")
            tar.addfile(entry, io.BytesIO(b"planted"))
    return content.getvalue()


def in_chunks(content: bytes) -> bytes:
    """The body of a request whose payload is in unsigned chunks with a trailer."""
    import zlib

    checksum = base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()
    return f"{len(content):x}\r\n".encode() + content + f"\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()
