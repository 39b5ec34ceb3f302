"""The names that documents have in an archive: their human ones, as far as every system takes them, each once."""

import hashlib
import unicodedata

from shared.cloud import cloud_names
from shared.documents import filenames

MANIFEST = "manifest.jsonl"
ERRORS = "errors.txt"
TEXT_FOLDER = "text"
VERSIONS_FOLDER = "versions"


class ArchiveNames:
    """Gives each document a name that no other has, also for systems that tell neither case nor composed letters apart.

    Of a name 8 bytes are remembered, so a million documents take some 100 MB; two names that share them cost a needless number.
    """

    def __init__(self) -> None:
        self._taken = {_remembered(name) for name in (MANIFEST, ERRORS, TEXT_FOLDER, VERSIONS_FOLDER)}
        self._numbers: dict[int, int] = {}

    def take(self, filename: str) -> str:
        """At most 200 bytes (`cloud_names.NAME_BYTES`), no folder; the second of a name is `name (2).pdf`, and so on."""
        filename = filenames.clean(filename)
        name = cloud_names.name_for(filename)
        first = _remembered(name)
        if first in self._taken:
            number = self._numbers.get(first, 2)
            while _remembered(name := cloud_names.name_for(filename, number)) in self._taken:
                number += 1
            self._numbers[first] = number + 1
        self._taken.add(_remembered(name))
        return name


def text_name(name: str) -> str:
    """Where the text of the document of that name lies."""
    return f"{TEXT_FOLDER}/{name}.txt"


def version_name(name: str, number: int, filename: str) -> str:
    """Where an earlier version of the document of that name lies, which was called `filename`."""
    return f"{VERSIONS_FOLDER}/{name}/{number}{filenames.extension(filename)}"


def _remembered(name: str) -> int:
    folded = unicodedata.normalize("NFKC", name.casefold())
    return int.from_bytes(hashlib.blake2b(folded.encode(), digest_size=8).digest(), "big")
