"""What the README shows works as it stands there."""

import os
import re
from pathlib import Path
from uuid import UUID

from infra.functions import ROOT
from shared.db import Database, TenantDatabase
from shared.identity import tokens
from shared.identity.client import Client
from shared.ids import new_id
from tests.functions.alone import alone
from tests.search.vault import Vault

README = (ROOT / "README.md").read_text()
BROWSER = Client("127.0.0.1", "newcomer", "en")


async def test_the_function_it_adds_runs_alone(db: Database, owner: UUID, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n# functions/(.+?)/(.+?\.py)\n(.+?)```", README, re.DOTALL)
    area, name, source = example
    assert not (ROOT / "functions" / area / name).exists()
    (tmp_path / name).write_text(source)
    document = await Vault(TenantDatabase(db, owner)).add("Letter", "The heron landed", "here today.")
    token, _ = tokens.issue(owner, "user", new_id(), BROWSER)
    headers = {"authorization": f"Bearer {token}", "user-agent": BROWSER.user_agent, "accept-language": BROWSER.accept_language}

    async with alone(tmp_path / name, tmp_path) as client:
        answer = await client.get(f"/api/documents/{document}/words", headers=headers)
        unknown = await client.get(f"/api/documents/{owner}/words", headers=headers)
        stranger = await client.get(f"/api/documents/{document}/words")

    assert (answer.status_code, answer.json()) == (200, {"words": 5}), answer.text
    assert (unknown.status_code, stranger.status_code) == (404, 401)


def test_what_it_names_is_there() -> None:
    """Sections and files it links to, tests that hold its promises, modules it runs and scripts it calls."""
    headings = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert "://" in link or link in headings or (ROOT / link).exists(), link
    for test in set(re.findall(r"`(tests/[\w/.]*)`", README)):
        assert (ROOT / test).exists(), test
    for script in set(re.findall(r"\./(scripts/[\w-]+)", README)):
        assert os.access(ROOT / script, os.X_OK), script
    for module in set(re.findall(r"-m ((?:infra|tests)[.\w]+)", README)):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_each_promise_of_security_names_tests_that_there_are() -> None:
    """A row of the table is a promise; its last column names files with tests, or folders of such."""
    table = README.partition("## Security\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 15
    for promised, held_by in rows:
        named = [Path(name) for name in re.findall(r"`([\w/]+(?:\.py|/))`", held_by)]
        assert named, promised
        for name in named:
            path = ROOT / (name if name.parts[0] == "tests" else named[0].parent / name)
            files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
            assert any(re.search(r"^(async )?def test_", file.read_text(), re.MULTILINE) for file in files), f"{promised}: {name}"
