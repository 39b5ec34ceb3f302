"""What the console shows of the children's logs."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.local import child_logs
from infra.local.child_logs import Warnings
from infra.local.data_folder import DataFolder
from infra.local.stack import Program, Stack, _said


def test_a_warning_is_one_line_whatever_its_facts_hold(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    warnings = Warnings("broker", log)
    record = {"time": "2026-01-01T00:00:00Z", "level": "warning", "message": "interrupted", "reason": "closed\n\tbefore the end\n"}
    log.write_text(json.dumps(record) + "\n" + json.dumps(record | {"level": "info"}) + "\n")

    assert list(warnings.new()) == ["broker: warning interrupted reason=closed before the end"]
    assert list(warnings.new()) == []


@pytest.mark.parametrize("line", ["42", "null", "[1]", '"x"', "{}"])
def test_whatever_a_program_said_last_can_be_told(tmp_path: Path, line: str) -> None:
    log = tmp_path / "gateway.log"
    log.write_text(f"it broke\n{line}\n")
    assert _said(log) == f"it broke {line}"


async def test_warnings_are_shown_also_while_a_log_cannot_be_kept_small(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.logs.mkdir()
    log = folder.logs / "gateway.log"
    # A full disk does not take the copy either.
    log.with_name("gateway.log.1").mkdir()
    log.write_bytes(b"\n" * child_logs.LIMIT_BYTES)
    said: asyncio.Queue[str] = asyncio.Queue()
    stack = Stack(folder, 0, {}, said.put_nowait, _programs=[Program("gateway", tmp_path, folder.logs, {})])
    watching = asyncio.create_task(stack._watch_logs())
    try:
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            for number in range(2):
                with log.open("a") as text:
                    text.write(json.dumps({"level": "warning", "message": f"number {number}"}) + "\n")
                assert await said.get() == f"gateway: warning number {number}"
    finally:
        watching.cancel()
