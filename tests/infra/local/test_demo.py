"""`scripts/demo`: from upload to search, on the real thing."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.services import free_port_block
from infra.local.stack import ROOT


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All demos of this module share it: repeating one is safe."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def demo(data_dir: Path, *arguments: str | Path, port: int = 0) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "infra.local.demo", "--once", "--data-dir", data_dir, *arguments],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(ROOT), "PORT": str(port or free_port_block(1))},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_every_sample_becomes_searchable_and_the_corrupt_one_fails_as_it_should(data_dir: Path, taken_port: int) -> None:
    shown = demo(data_dir, port=taken_port)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert f"Port {taken_port} is taken by another program: listening on " in shown.stderr
    lines = [line for line in shown.stdout.splitlines() if line.startswith(("✓", "✗"))]
    samples = [file.name for file in (ROOT / "scripts" / "samples").iterdir() if file.suffix != ".py"]
    assert sorted(line.split()[1] for line in lines) == sorted(samples)
    for line in lines:
        if "corrupt" in line:
            assert line.endswith("(as it should)")
        else:
            assert all(f"{step} " in line for step in ("uploaded", "read", "filed", "searchable")), line
    assert "[notice]" in shown.stdout
    assert "nothing found" not in shown.stdout


def test_a_document_of_ones_own_that_cannot_be_read_makes_the_exit_code_1(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("The lighthouse keeper's pension was recalculated.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 but no more than that")
    (tmp_path / ".hidden").write_text("not a document")

    shown = demo(data_dir, tmp_path)

    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "Not searchable: broken.pdf." in shown.stdout
    assert "✓ letter.txt" in shown.stdout
    assert ".hidden" not in shown.stdout


def test_a_file_that_is_not_there_is_one_sentence(data_dir: Path, tmp_path: Path) -> None:
    shown = demo(data_dir, tmp_path / "nowhere.pdf")
    assert shown.returncode == 1
    assert shown.stderr == f"{tmp_path / 'nowhere.pdf'} is neither a file nor a folder.\n"
