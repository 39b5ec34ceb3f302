"""What lies in the system's temporary folder goes with its owner: at the end, or when the next one starts after a kill."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.postgres import Postgres
from shared import temporary
from tests.system.stack import ROOT

OLD = 1_000_000_000
OTHER_UID = 54_321


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _aged(path: Path) -> Path:
    os.utime(path, (OLD, OLD), follow_symlinks=False)
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_and_a_folder_are_gone_at_the_end(folder: Path) -> None:
    with temporary.file("original") as original, temporary.folder("tests") as mine:
        original.write_bytes(b"a document")
        (mine / "inside").mkdir()
        assert {original.parent, mine.parent} == {folder}
    assert _names(folder) == []


def test_what_a_killed_process_left_is_removed_and_what_is_held_stays(folder: Path) -> None:
    code = """if True:
        import os, signal
        from shared import temporary
        with temporary.file("original") as original, temporary.folder("benchmark") as mine:
            original.write_bytes(b"a document")
            (mine / "deep" / "er").mkdir(parents=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    environ = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", code], env=environ, check=False)
    assert killed.returncode < 0
    left = [_aged(path) for path in folder.iterdir()]
    assert len(left) == 2
    with temporary.file("original") as original, temporary.folder("tests") as mine:
        temporary.remove_stale()
        assert {path.name for path in folder.iterdir()} == {_aged(original).name, _aged(mine).name}
        temporary.remove_stale()
        assert original.exists()
        assert mine.exists()


def _of_another_user(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, OTHER_UID, OTHER_UID)


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "precious")


def _writable_by_all(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _young(path: Path) -> None:
    path.mkdir(mode=0o700)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_of_another_user, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")),
        _link,
        _writable_by_all,
        _pipe,
        _young,
    ],
)
def test_what_may_be_anothers_is_left_alone(folder: Path, make: Callable[[Path], None]) -> None:
    (folder / "precious").mkdir(mode=0o700)
    path = temporary.path_of("tests", "0123abcd")
    make(path)
    if make is not _young:
        _aged(path)
    temporary.remove_stale()
    assert _names(folder) == sorted(["precious", path.name])


def test_other_names_are_left_alone(folder: Path) -> None:
    names = [f"docuvault-notes-{os.geteuid()}-x", f"docuvault-tests-{os.geteuid() + 1}-x", "docuvault", f"docuvault-tests-{os.geteuid()}-"]
    for name in names:
        (folder / name).mkdir(mode=0o700)
        _aged(folder / name)
    temporary.remove_stale()
    assert _names(folder) == sorted(names)


async def test_a_database_leaves_no_folder_for_its_sockets(folder: Path) -> None:
    data = folder / ("deep" * 30)
    data.mkdir()
    postgres = Postgres(data / "postgresql", folder, durable=False)
    await postgres.start()
    try:
        assert postgres.sockets.is_dir()
        assert data not in postgres.sockets.parents
        temporary.remove_stale()
        _aged(postgres.sockets)
        temporary.remove_stale()
        assert (postgres.sockets / ".s.PGSQL.5432").exists()
    finally:
        await postgres.stop()
    assert not postgres.sockets.exists()


def test_a_run_of_the_tests_leaves_nothing() -> None:
    """But the locks of ports, empty files that every run uses again."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="dv-") as name:  # sockets in it have short paths
        _run_the_tests(Path(name))


def _run_the_tests(folder: Path) -> None:
    others = ("DOCUVAULT_", "PYTEST_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(others)} | {"TMPDIR": str(folder)}
    tests = "tests/db/test_transactions.py::test_rows_come_as_what_was_asked_for"
    command = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", tests, "tests/test_keys.py"]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    left = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != f"docuvault-ports-{os.geteuid()}"]
    assert left == []
    assert [name for name in _names(folder) if name.startswith("docuvault-")] == [f"docuvault-ports-{os.geteuid()}"]
