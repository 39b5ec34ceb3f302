"""`scripts/demo`: from upload to search, on the real thing."""

import fcntl
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.ports import free_port_block
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


UNREADABLE = Path("/proc/sys/vm/compact_memory")
"""A regular file that root may not read either."""


def command(data_dir: Path, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "infra.local.demo", "--once", "--data-dir", data_dir, *arguments]


def environment(port: int = 0, **environ: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "PORT": str(port or free_port_block(1))} | environ


def demo(data_dir: Path, *arguments: str | Path, port: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(data_dir, *arguments),
        cwd=ROOT,
        env=environment(port, **environ),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=180,
        check=False,
    )


def demo_on_a_terminal(data_dir: Path, *arguments: str | Path, terminal: str) -> tuple[int, str]:
    """Its exit code and what it showed on a terminal of 80 columns and 24 lines."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        command(data_dir, *arguments), cwd=ROOT, env=environment(TERM=terminal), stdin=its, stdout=its, stderr=subprocess.DEVNULL
    ) as running:
        os.close(its)
        shown = b""
        try:
            while more := os.read(ours, 65536):
                shown += more
        except OSError:  # so Linux says that nobody has the other end any more
            os.close(ours)
    return running.returncode, shown.decode()


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


def test_a_path_that_leads_nowhere_is_one_sentence(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    shown = demo(data_dir, tmp_path / "round")
    assert shown.returncode == 1
    assert shown.stderr == f"{tmp_path / 'round'} cannot be opened (Too many levels of symbolic links).\n"


def test_a_folder_without_documents_is_one_sentence(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    shown = demo(data_dir, tmp_path)
    assert shown.returncode == 1
    assert shown.stderr == f"There are no documents in {tmp_path}; hidden files are passed over.\n"


@pytest.mark.skipif(not UNREADABLE.exists(), reason=f"there is no {UNREADABLE} here")
def test_a_file_that_cannot_be_read_stops_only_itself(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("The lighthouse keeper's pension was recalculated.")
    (tmp_path / "closed.txt").symlink_to(UNREADABLE)

    shown = demo(data_dir, tmp_path)

    assert shown.returncode == 1, shown.stdout + shown.stderr
    assert "✗ closed.txt  refused: the file cannot be read (Permission denied)" in shown.stdout
    assert "✓ letter.txt" in shown.stdout
    assert "Not searchable: closed.txt." in shown.stdout


def test_names_that_are_no_text_and_consoles_that_lack_signs_stop_nothing(data_dir: Path, tmp_path: Path) -> None:
    for name in (b"no-\xff-utf8.txt", b"two\nlines.txt", b"escape\x1b[2J.txt"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("The lighthouse keeper's pension was recalculated.")

    shown = demo(data_dir, tmp_path, PYTHONIOENCODING="latin-1")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    names = [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("? ")]
    assert sorted(names) == ["escape?[2J.txt", "no-?-utf8.txt", "two?lines.txt"]
    assert "\x1b" not in shown.stdout


def test_a_narrow_terminal_shows_the_whole_way_at_the_end(data_dir: Path) -> None:
    code, shown = demo_on_a_terminal(data_dir, "scripts/samples/hotel-booking.html", "scripts/samples/corrupt.pdf", terminal="xterm")

    assert code == 0, shown
    *drawn, last = shown.split("\x1b[2F\x1b[J")
    assert drawn
    booking, corrupt = last.splitlines()[:2]
    assert all(f"{step} " in booking for step in ("uploaded", "read", "filed", "searchable")), booking
    assert booking.endswith("→ Travel")
    assert corrupt.endswith("(as it should)")
    assert all(len(line) < 80 for drawing in drawn[1:] for line in drawing.splitlines())


def test_a_terminal_that_knows_no_escape_sequences_gets_none(data_dir: Path) -> None:
    code, shown = demo_on_a_terminal(data_dir, "scripts/samples/hotel-booking.html", terminal="dumb")
    assert code == 0, shown
    assert "\x1b" not in shown
    assert "✓ hotel-booking.html  uploaded " in shown
