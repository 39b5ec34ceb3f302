"""`scripts/evaluate` prints its table, for a provider here and for one behind HTTP."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ai.servers.openai_server import OpenAIServer, openai_server

ROOT = Path(__file__).resolve().parents[2]


async def _evaluate(*arguments: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.evaluation", *arguments),
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


ROWS = ("accuracy", "macro-F1", "calibration error", "evidence-hit rate", "cost", "speed", "sure, right")


@pytest.mark.parametrize("arguments", [(), ("--all", "--examples", "3"), ("--set", "long", "--cut", "chosen")])
async def test_the_local_provider_is_evaluated(arguments: tuple[str, ...]) -> None:
    said = await _evaluate("--provider", "local", *arguments)
    assert all(row in said for row in ROWS), said


async def test_a_model_behind_an_api_is_evaluated() -> None:
    async with openai_server(OpenAIServer(key="sk-test")) as server:
        where = ("--provider", "openai", "--base-url", f"{server.url}/v1")
        said = await _evaluate(*where, "--papers", "12", OPENAI_API_KEY="sk-test")
        assert len(server.requests) == 12
        assert all(row in said for row in ROWS), said
        assert "$0.0000 " not in said
        assert "0 filed by itself" in await _evaluate(*where, "--injections", OPENAI_API_KEY="sk-test")
