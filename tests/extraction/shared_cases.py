"""The awkward papers of `../shared/cases`, which lie beside the repository on the machines of those who keep them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.extraction import ExtractionFailed
from tests.extraction.conftest import Read


def _folder() -> Path | None:
    return next((folder for parent in Path(__file__).parents if (folder := parent / "shared" / "cases") and (folder / "cases.json").is_file()), None)  # fmt: skip  # noqa: E501


def cases_of(kind: str) -> list[Any]:
    """The cases of a kind (its letter), as parameters of a test; one skipped if they are not there."""
    folder = _folder()
    if folder is None:
        return [pytest.param({"file": "none"}, marks=pytest.mark.skip("the shared cases are not on this machine"))]
    cases = json.loads((folder / "cases.json").read_text())
    return [case | {"path": str(folder / case["file"])} for case in cases if case["kind"].startswith(kind)]


async def missing_from(case: dict[str, Any], read: Read) -> list[str]:
    """What should stand in the text and does not, and what should not and does."""
    try:
        found = await read(Path(case["path"]).read_bytes(), case["file"])
    except ExtractionFailed as failure:
        return [] if case["status"] == "failed" and case.get("code") == failure.code else [failure.code]
    text = _closed_up(" ".join([case["file"], *found.pages]))
    wanted = [query.strip('"') for query in case["found"]] + case.get("text", [])
    unwanted = [query for query in case["not_found"] if _closed_up(query.strip('"')) in text]
    return [words for words in wanted if _closed_up(words) not in text] + unwanted


def _closed_up(text: str) -> str:
    return re.sub(r"\s+", "", text).casefold()
