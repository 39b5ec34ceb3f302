"""A small client of DocuVault's public API, for scripts: signs in with an API token, waits as the server says, uploads and goes on.

    with VaultClient("https://vault.example.org", token) as vault, open("letter.pdf", "rb") as file:
        print(vault.upload(file, "letter.pdf", title="A letter", topic_ids=[vault.topic("Letters")]))

It needs httpx alone. What the server refuses for now (429, 503, a connection that breaks) is tried again, for PATIENCE_SECONDS at most;
what it refuses for good is a `Refused`. Uploading the same bytes again sends nothing, and an upload that was broken off goes on.
"""

import hashlib
import mimetypes
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Self

import httpx

PATIENCE_SECONDS = 900.0
"""How long a request is tried again before it is given up."""
LONGEST_PAUSE_SECONDS = 60.0
PIECE = 256 * 1024
TOPIC_CHARACTERS = 100

Outcome = Literal["uploaded", "resumed", "there already"]


class Refused(Exception):
    """The server does not take it; `code` as in its problem's JSON, `fields` are the members of the body that it does not like."""

    def __init__(self, status: int, code: str, detail: str, members: dict[str, Any]) -> None:
        super().__init__(f"{detail} ({code})")
        self.status, self.code, self.detail, self.members = status, code, detail, members

    @property
    def fields(self) -> set[str]:
        return {str(error["loc"][1]) for error in self.members.get("errors", []) if len(error.get("loc", [])) > 1}


class Unreachable(Exception):
    """The server could not be reached, or was too busy, for PATIENCE_SECONDS."""


@dataclass(frozen=True)
class Uploaded:
    """What became of an upload; `left_out` are details that the server did not take, with its reason."""

    document_id: str
    outcome: Outcome
    left_out: dict[str, str]


class VaultClient:
    """The API of one vault, as one of its users."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        store_transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        timeout = httpx.Timeout(60, connect=15)
        self._api = httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=timeout, transport=transport)
        self._store = httpx.Client(timeout=timeout, transport=store_transport)  # the token is none of the store's business
        self._sleep, self._clock = sleep, clock
        self._topics: dict[str, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()
        self._store.close()

    def call(self, method: str, path: str, *, json: Any = None, params: Any = None, headers: dict[str, str] | None = None) -> Any:
        """The JSON of a response, None if it has none. Raises Refused, Unreachable. Give POSTs that create an `Idempotency-Key`."""
        response = self._patiently(lambda: self._api.request(method, path, json=json, params=params, headers=headers))
        if response.is_success:
            return response.json() if response.content else None
        raise _refusal(response)

    def pages(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Every item of a list."""
        while True:
            page = self.call("GET", path, params={"limit": 200, **params})
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            params["cursor"] = page["next_cursor"]

    def topic(self, name: str, *, parent: str | None = None, color: str | None = None) -> str:
        """The id of the topic of that name, whatever its case; it is made if there is none."""
        name = " ".join(name.split())[:TOPIC_CHARACTERS].strip()
        if self._topics is None:
            self._topics = {_folded(topic["name"]): topic["id"] for topic in self.pages("/api/topics")}
        if _folded(name) not in self._topics:
            body = {"name": name, "parent_id": parent, "color": color}
            try:
                made = self.call(
                    "POST", "/api/topics", json={key: value for key, value in body.items() if value is not None}, headers=_key()
                )
            except Refused as refused:
                if refused.code != "topic_exists":
                    raise
                made = next(topic for topic in self.pages("/api/topics") if _folded(topic["name"]) == _folded(name))
            self._topics[_folded(name)] = made["id"]
        return self._topics[_folded(name)]

    def upload(
        self, file: BinaryIO, filename: str, *, content_type: str | None = None, replaces: str | None = None, **details: Any
    ) -> Uploaded:
        """Uploads what `file` (seekable) holds. If the vault has the same bytes outside its trash it names that one, left as it is.

        `details` are those of update_document; they are set before the bytes are sent, so a document that is there has them. Raises
        Refused, Unreachable.
        """
        size, sha256 = _measured(file)
        request = {
            "filename": filename,
            "size": size,
            "content_type": content_type or mimetypes.guess_type(filename)[0] or "application/octet-stream",
            "sha256": sha256,
        } | ({} if replaces is None else {"replaces": replaces})
        try:
            created = self.call("POST", "/api/documents", json=request, headers=_key())
        except Refused as refused:
            if refused.code != "duplicate_document":
                raise
            document_id: str = refused.members["document_id"]
            document = self.call("GET", f"/api/documents/{document_id}")
            if document["status"] != "uploading":
                return Uploaded(document_id, "there already", {})
            # An upload that was broken off, ours or another's, of these bytes.
            left_out = self._set(document_id, details)
            self._send(document_id, self.call("GET", f"/api/documents/{document_id}/upload"), file, size)
            return Uploaded(document_id, "resumed", left_out)
        document_id = created["document"]["id"]
        left_out = self._set(document_id, details)
        self._send(document_id, created["upload"], file, size)
        return Uploaded(document_id, "uploaded", left_out)

    def _set(self, document_id: str, details: dict[str, Any]) -> dict[str, str]:
        """Sets what the server takes; what it does not, and why."""
        left_out: dict[str, str] = {}
        while details:
            try:
                self.call("PATCH", f"/api/documents/{document_id}", json=details)
                return left_out
            except Refused as refused:
                wrong = refused.fields & details.keys()
                if refused.status != 422 or not wrong:
                    raise
                left_out |= dict.fromkeys(wrong, refused.detail)
                details = {name: value for name, value in details.items() if name not in wrong}
        return left_out

    def _send(self, document_id: str, upload: dict[str, Any], file: BinaryIO, size: int) -> None:
        if upload["method"] == "multipart":
            self._send_parts(document_id, upload, file, size)
        else:
            self._put(upload["url"], upload["headers"], file, 0, size)
        self.call("POST", f"/api/documents/{document_id}/complete", json={})

    def _send_parts(self, document_id: str, upload: dict[str, Any], file: BinaryIO, size: int) -> None:
        length: int = upload["part_size"]
        there = {part["number"] for part in upload.get("parts", [])}
        for number in (number for number in range(1, upload["part_count"] + 1) if number not in there):
            # Each signed when its turn comes: on a bad line fifty parts take longer than a URL is good for.
            [part] = self.call("POST", f"/api/documents/{document_id}/upload/parts", json={"numbers": [number]})["items"]
            begin = (number - 1) * length
            self._put(part["url"], part["headers"], file, begin, min(length, size - begin))

    def _put(self, url: str, headers: dict[str, str], file: BinaryIO, start: int, length: int) -> None:
        def put() -> httpx.Response:
            return self._store.put(url, content=_pieces(file, start, length), headers={**headers, "content-length": str(length)})

        response = self._patiently(put)
        if not response.is_success and response.status_code != 412:  # 412: it is there already
            raise Refused(response.status_code, "store_refused", "The object store did not take the bytes.", {})

    def _patiently(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """The response, once it is neither “not now” nor a broken connection. Raises Unreachable."""
        ends = self._clock() + PATIENCE_SECONDS
        pause = 1.0
        while True:
            wait = pause
            try:
                response = send()
            except httpx.TransportError as broken:
                reason = str(broken) or type(broken).__name__
            else:
                if not _not_now(response):
                    return response
                reason = f"the server answers {response.status_code}"
                told = response.headers.get("retry-after", "")
                wait = float(told) if told.isascii() and told.isdecimal() and len(told) < 6 else pause
            if self._clock() + wait > ends:
                raise Unreachable(f"Given up after {PATIENCE_SECONDS / 60:.0f} minutes: {reason}.")
            self._sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _not_now(response: httpx.Response) -> bool:
    if response.status_code in (429, 502, 503, 504):
        return True
    return response.status_code == 409 and "retry-after" in response.headers  # the first request with this Idempotency-Key still runs


def _refusal(response: httpx.Response) -> Refused:
    try:
        problem = response.json()
        return Refused(response.status_code, problem["code"], problem["detail"], problem)
    except (ValueError, KeyError, TypeError):
        return Refused(response.status_code, "unknown", f"The server answers {response.status_code}; is this a DocuVault?", {})


def _key() -> dict[str, str]:
    return {"idempotency-key": str(uuid.uuid4())}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _measured(file: BinaryIO) -> tuple[int, str]:
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _pieces(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    file.seek(start)
    while length > 0 and (piece := file.read(min(PIECE, length))):
        length -= len(piece)
        yield piece
