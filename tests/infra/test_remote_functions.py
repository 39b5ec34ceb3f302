"""REMOTE_FUNCTIONS: a name that no function has is refused where it would do harm, by those who call functions."""

import os
import subprocess
import sys

import pytest

from infra import functions
from infra.functions import ROOT
from infra.local.ports import free_port_block
from shared.config import SettingsError


def test_names_of_functions_of_both_kinds_are_understood() -> None:
    functions.check_remote(["create_upload", "send_email"])
    functions.check_remote([])
    with pytest.raises(SettingsError, match=r"^REMOTE_FUNCTIONS: there is no function create-upload, mial\. Example: REMOTE_FUNCTIONS="):
        functions.check_remote(["mial", "send_email", "create-upload"])


@pytest.mark.parametrize("program", ["gateway", "broker"])
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"FUNCTION_URL_TEMPLATE": "http://{service}:8080"}, "REMOTE_FUNCTIONS: there is no function mial. Example: "),
        ({"FUNCTION_URL_TEMPLATE": ""}, "REMOTE_FUNCTIONS: says which functions FUNCTION_URL_TEMPLATE is for, which is not set. Example: "),
    ],
)
def test_who_calls_functions_does_not_start_with_names_that_nobody_has(
    services: None, program: str, variables: dict[str, str], sentence: str
) -> None:
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PORT": str(free_port_block(1)), "REMOTE_FUNCTIONS": "send_email,mial"} | variables
    ended = subprocess.run([sys.executable, "-m", f"infra.{program}"], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
