"""`python -m infra.minio.bucket`: what it cannot do is one sentence."""

import os
import subprocess
import sys

from infra.functions import ROOT


def prepare(**environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.minio.bucket"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_settings_that_are_missing_are_named() -> None:
    answer = prepare(MINIO_ENDPOINT="http://127.0.0.1:1", MINIO_BUCKET="docuvault")
    assert answer.returncode == 2
    assert answer.stderr == "Missing in the environment: MINIO_ACCESS_KEY, MINIO_SECRET_KEY.\n"


def test_a_server_that_does_not_answer_is_named() -> None:
    answer = prepare(MINIO_ENDPOINT="http://127.0.0.1:1", MINIO_BUCKET="docuvault", MINIO_ACCESS_KEY="a", MINIO_SECRET_KEY="b")
    assert answer.returncode == 1
    assert answer.stderr.startswith("The bucket docuvault could not be made ready at http://127.0.0.1:1: ")
    assert answer.stderr.count("\n") == 1
