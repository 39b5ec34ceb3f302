"""Files on a Nextcloud server: WebDAV, with uploads in chunks that survive a lost connection.

Chunked upload version 2 (Nextcloud developer manual, "Chunked file upload"): a folder for the upload, chunks numbered from 1 in it, one
MOVE of `.file` to the target; every request names the target in `Destination` and the size in `OC-Total-Length`. While the server merges,
it responds 423; once the upload's folder is gone (404), the file is there.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from shared.outbound import UrlGuard
from shared.storage.backend import NameTaken, ObjectMissing, StorageUnavailable
from shared.storage.spooling import pieces
from shared.storage.webdav import WebDAVBackend

CHUNK_SIZE = 16 * 2**20
"""Bytes of a chunk; the server takes 5 MiB to 5 GiB, the last one may be smaller."""
MOST_CHUNKS = 10_000
MERGE_SECONDS = 900.0
"""How long the server may take to make one file of the chunks."""
MERGE_PAUSE_SECONDS = 1.0
ANSWER_BYTES = 2**20


class NextcloudBackend(WebDAVBackend):
    """One account on one Nextcloud server; `server_url` is what its web page has, with or without `/remote.php/…`."""

    provider = "nextcloud"

    def __init__(self, *, server_url: str, username: str, password: str, guard: UrlGuard, user_id: str | None = None) -> None:
        super().__init__(server_url=server_url, username=username, password=password, guard=guard)
        self.server_url = self.server_url.partition("/remote.php")[0].removesuffix("/index.php").rstrip("/")
        self._user_id = user_id or username

    @property
    def _base(self) -> str:
        return f"{self.server_url}/remote.php/dav/files/{quote(self._user_id, safe='')}"

    async def identify(self) -> str:
        """Asks the server for the account's id, which may differ from the name one signs in with; the id. Keys are below it from now on."""
        told = await self._ocs("cloud/user")
        user_id = told.get("id")
        if not isinstance(user_id, str) or not user_id:
            raise StorageUnavailable("The server does not say whose account this is; is it a Nextcloud server?")
        self._user_id = user_id
        return user_id

    async def has_chunked_uploads(self) -> bool:
        """Whether the server says that it takes uploads in chunks."""
        capabilities = (await self._ocs("cloud/capabilities")).get("capabilities")
        dav = capabilities.get("dav") if isinstance(capabilities, dict) else None
        return isinstance(dav, dict) and bool(dav.get("chunking"))

    async def changes(self, folder: str, since: str) -> tuple[bool, str]:
        """By the folder's tag, which Nextcloud changes with everything that happens in it, however deep."""
        entry = await self.look(folder)
        if entry is None:
            raise ObjectMissing
        return not entry.etag or entry.etag != since, entry.etag

    async def _upload(self, key: str, chunks: AsyncIterator[bytes], size: int, content_type: str) -> None:
        """Small files in one request, others in chunks, each of which is sent again if it gets lost."""
        if size <= CHUNK_SIZE:
            await super()._upload(key, chunks, size, content_type)
            return
        upload = f"{self.server_url}/remote.php/dav/uploads/{quote(self._user_id, safe='')}/docuvault-{secrets.token_hex(16)}"
        headers = {"Destination": self._url(key), "OC-Total-Length": str(size)}
        async with self._request("MKCOL", upload, headers=headers):
            pass
        try:
            digest = await self._send_chunks(upload, chunks, size, headers)
            await self._merge(upload, key, size, headers | {"OC-Checksum": f"SHA256:{digest}"})
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self._abandon(upload)))
            raise

    async def _send_chunks(self, upload: str, chunks: AsyncIterator[bytes], size: int, headers: dict[str, str]) -> str:
        """Sends the chunks, hashing; the SHA-256 of all of them in hex."""
        digest, number = hashlib.sha256(), 0
        chunk_size = max(CHUNK_SIZE, -(-size // MOST_CHUNKS))
        async with aclosing(pieces(chunks, chunk_size)) as parts:
            async for piece in parts:
                number += 1
                async with piece.content() as content:
                    digest.update(content)
                    await self._send_chunk(f"{upload}/{number:05d}", content, headers)
        return digest.hexdigest()

    async def _send_chunk(self, url: str, content: bytes, headers: dict[str, str]) -> None:
        sent = headers | {"Content-Type": "application/octet-stream"}
        async with self._request("PUT", url, headers=sent, content=content, repeat=True):
            pass

    async def _merge(self, upload: str, key: str, size: int, headers: dict[str, str]) -> None:
        merging = False
        async with asyncio.timeout(MERGE_SECONDS):
            while True:
                try:
                    async with self._request("MOVE", f"{upload}/.file", headers=headers, accept=(423, 502, 503, 504)) as response:
                        if response.status_code < 300:
                            return
                        # 423: it is at it. The others: a proxy did not wait for it.
                        merging = True
                except ObjectMissing:
                    stored = await self.stat(key)
                    if merging and stored is not None and stored.size == size:
                        return
                    raise StorageUnavailable("The server has lost the upload; try again.") from None
                await asyncio.sleep(MERGE_PAUSE_SECONDS)

    async def _abandon(self, upload: str) -> None:
        try:
            async with self._request("DELETE", upload, accept=(404,)):
                pass
        except (StorageUnavailable, NameTaken):
            pass  # the server removes it after a day

    async def _ocs(self, path: str) -> dict[str, Any]:
        """What the server's own API (OCS) says. Raises StorageUnavailable."""
        url = f"{self.server_url}/ocs/v2.php/{path}?format=json"
        content = bytearray()
        try:
            async with self._request("GET", url, headers={"OCS-APIRequest": "true", "Accept": "application/json"}, repeat=True) as response:
                async for chunk in response.aiter_raw():
                    content += chunk
                    if len(content) > ANSWER_BYTES:
                        raise ValueError("too long")
            data = json.loads(content)["ocs"]["data"]
        except (ObjectMissing, ValueError, KeyError, TypeError):
            data = None
        if not isinstance(data, dict):
            raise StorageUnavailable("There is no Nextcloud server at this address.")
        return data
