"""The sandbox changes nothing of what is read: the whole corpus of formats, inside and outside, text for text."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.extraction import ExtractionFailed, extract
from tests.extraction.conftest import Read
from tests.extraction.corpus import ROOT, SMALL, corpus, described, small_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for name, content in corpus():
        assert not (folder / name).exists(), name
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def outside(folder: Path) -> dict[str, Any]:
    """What a process without confinement reads, and which modules it imports meanwhile."""
    finished = subprocess.run([sys.executable, "-m", "tests.extraction.corpus", folder], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


async def test_the_same_is_read_inside_the_sandbox_and_outside(folder: Path, outside: dict[str, Any]) -> None:
    at_a_time = asyncio.Semaphore(2)

    async def inside(path: Path) -> dict[str, Any]:
        async with at_a_time:
            try:
                return described(await extract(path, filename=path.name, declared_type=""))
            except ExtractionFailed as failure:
                return described(failure)

    names = sorted(path.name for path in folder.iterdir())
    read = dict(zip(names, await asyncio.gather(*(inside(folder / name) for name in names)), strict=True))
    assert len(read) > 200
    different = {name: (read[name], outside["read"][name]) for name in names if read[name] != outside["read"][name]}
    assert different == {}
    assert not any("crash" in found.get("failed", "") for found in read.values())


def test_nothing_is_imported_once_a_document_is_open(outside: dict[str, Any]) -> None:
    """A child finds no module that the fork server has not loaded; what is missing belongs into `reading.warm_up`."""
    allowed = {name for name in outside["imported"] if name.startswith(("shared.config", "shared.extraction"))}
    assert set(outside["imported"]) - allowed == set()


async def test_small_pictures_are_read(read: Read) -> None:
    """Tesseract has a remark to make on each of them, which it must be able to get rid of."""
    assert len(SMALL) == 54
    pages = [(name, (await read(content, name)).pages) for name, content in small_pictures()]
    assert [name for name, (text,) in pages if "library fee" not in " ".join(text.split())] == []
