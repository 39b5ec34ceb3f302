"""`scripts/environment`: `.venv` from a lock file, with the system's Python and nothing else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.environment import LIBPQ, OTHERS
from infra.local.stack import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose lock file asks for nothing."""
    (tmp_path / "scripts").mkdir()
    for name in ("environment", "environment.py"):
        shutil.copy2(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    return tmp_path


def environment(checkout: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    asked = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PIP_NO_INDEX": "1"} | environ
    return subprocess.run([checkout / "scripts" / "environment"], env=asked, capture_output=True, text=True, check=False)


def fake_python(folder: Path, script: str) -> str:
    fake = folder / "python"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    return str(fake)


def test_it_is_made_once_and_again_when_the_lock_file_changes(checkout: Path) -> None:
    first = environment(checkout)
    assert first.returncode == 0, first.stderr
    assert "Making" in first.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()

    assert environment(checkout).stderr == ""

    (checkout / "requirements.lock").write_text("# something else\n")
    assert "Installed" in environment(checkout).stderr


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    assert environment(checkout).returncode == 0
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert "Making" in environment(checkout).stderr
    assert subprocess.run([python, "-c", "pass"], check=False).returncode == 0


def test_a_package_that_cannot_be_had_is_one_sentence(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text(f"nowhere-to-be-found==1.0 --hash=sha256:{'0' * 64}\n")
    answer = environment(checkout)
    assert answer.returncode == 1
    assert "The packages of requirements.lock could not be installed: " in answer.stderr.splitlines()[-1]
    assert "nowhere-to-be-found" in answer.stderr.splitlines()[-1]


def test_an_index_that_cannot_be_reached_is_one_sentence(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text(f"nowhere-to-be-found==1.0 --hash=sha256:{'0' * 64}\n")
    answer = environment(checkout, PIP_NO_INDEX="0", PIP_INDEX_URL="http://127.0.0.1:1/simple", PIP_RETRIES="1")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith(
        "The packages of requirements.lock could not be installed: the package index cannot be reached; look at the network"
    )


def test_a_python_that_is_too_old_is_one_sentence(checkout: Path) -> None:
    old = fake_python(checkout, 'case "$2" in *print*) echo 3.9;; *) exit 1;; esac')
    answer = environment(checkout, PYTHON=old)
    assert answer.returncode == 1
    assert (
        answer.stderr == f"DocuVault needs Python 3.11 or newer; found 3.9 ({old}): install one, or name it with PYTHON=/path/to/python3.\n"
    )


def test_no_python_at_all_is_one_sentence(checkout: Path) -> None:
    answer = environment(checkout, PYTHON=str(checkout / "no-python"))
    assert answer.returncode == 1
    assert answer.stderr.startswith("DocuVault needs Python 3.11 or newer: install one")


def test_a_python_without_venv_is_one_sentence(checkout: Path) -> None:
    without = fake_python(
        checkout, f'if [ "$1" = -m ] && [ "$2" = venv ]; then echo "No module named venv" >&2; exit 1; fi; exec {sys.executable} "$@"'
    )
    answer = environment(checkout, PYTHON=without)
    assert answer.returncode == 1
    assert "has no working venv module: install it" in answer.stderr.splitlines()[-1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_that_cannot_be_written_is_one_sentence(checkout: Path) -> None:
    checkout.chmod(0o555)
    answer = environment(checkout)
    checkout.chmod(0o755)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"The environment {checkout}/.venv cannot be made: ")


def test_every_variable_of_libpq_is_known() -> None:
    from psycopg import pq

    assert {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar} <= set(LIBPQ)
    assert all(OTHERS.fullmatch(name) for name in LIBPQ)
