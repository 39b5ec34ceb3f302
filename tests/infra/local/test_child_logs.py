"""What the console shows of the children's logs."""

import json
from pathlib import Path

from infra.local.child_logs import Warnings


def test_a_warning_is_one_line_whatever_its_facts_hold(tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    warnings = Warnings("broker", log)
    record = {"time": "2026-01-01T00:00:00Z", "level": "warning", "message": "interrupted", "reason": "closed\n\tbefore the end\n"}
    log.write_text(json.dumps(record) + "\n" + json.dumps(record | {"level": "info"}) + "\n")

    assert list(warnings.new()) == ["broker: warning interrupted reason=closed before the end"]
    assert list(warnings.new()) == []
