"""What the extraction tests share: documents made in memory, and `read` to have one read in the sandbox."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from shared.extraction import Extraction, extract, sandbox

Read = Callable[..., Awaitable[Extraction]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """`await read(content, "letter.pdf")`: the extraction of these bytes under this name."""

    async def read_content(content: bytes, filename: str = "document") -> Extraction:
        path = tmp_path / "object"
        path.write_bytes(content)
        return await extract(path, filename=filename, declared_type="application/octet-stream")

    return read_content


@pytest.fixture(scope="session", autouse=True)
def _end_fork_server() -> Iterator[None]:
    yield
    sandbox.stop()
