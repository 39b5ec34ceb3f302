"""Files that a build has made, served as browsers like them: by ETag or for good, and in the compressed form that lies beside them."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shared.api.response import Header, Response
from shared.errors import NotFound
from shared.faas.responses import accepts, matches

INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
_HASHED = re.compile(r"-[\w-]{8}\.\w+$")
"""A name that changes with the content, as Vite makes them."""
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@dataclass(frozen=True)
class _BuiltFile:
    content: bytes
    brotli: bytes | None
    gzip: bytes | None
    content_type: str
    etag: str
    caching: str


class BuiltFiles:
    """`index.html` and `assets/` of a folder, read once: what is not among them is not served, whatever a request says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def respond(self, name: str, headers: Mapping[str, str], further: Iterable[Header] = ()) -> Response:
        """The file `name` to a request with these headers, or 304. Raises NotFound."""
        file = self._files.get(name)
        if file is None:
            raise NotFound
        out = [("etag", file.etag), ("cache-control", file.caching), ("vary", "accept-encoding"), *further]
        if matches(file.etag, headers.get("if-none-match", "")):
            return Response(304, b"", out)
        accepted = headers.get("accept-encoding", "")
        if file.brotli is not None and accepts(accepted, "br"):
            return Response.content(file.brotli, file.content_type, headers=[*out, ("content-encoding", "br")])
        if file.gzip is not None and accepts(accepted, "gzip"):
            return Response.content(file.gzip, file.content_type, headers=[*out, ("content-encoding", "gzip")])
        return Response.content(file.content, file.content_type, headers=out)

    @cached_property
    def _files(self) -> dict[str, _BuiltFile]:
        paths = [self._folder / INDEX, *(path for path in (self._folder / "assets").iterdir() if path.suffix not in (".br", ".gz"))]
        return {path.name: _read(path) for path in paths}


def _read(path: Path) -> _BuiltFile:
    content = path.read_bytes()
    return _BuiltFile(
        content,
        _compressed(path, ".br"),
        _compressed(path, ".gz"),
        _TYPES.get(path.suffix, "application/octet-stream"),
        f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        _FOR_GOOD if _HASHED.search(path.name) else _ASK_AGAIN,
    )


def _compressed(path: Path, suffix: str) -> bytes | None:
    beside = path.with_name(path.name + suffix)
    return beside.read_bytes() if beside.exists() else None
