"""Lines that hold: who imports whom, how thin functions are, where heavy things are imported."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import shared
from infra.functions import FUNCTIONS, ROOT, files
from shared.api.models import RequestModel, ResponseModel

LINT = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
THIN = 80
"""Lines a function's file may have."""
SLOW_TO_IMPORT = {
    "boto3",
    "botocore",
    "redis",
    "limits",
    "kreuzberg",
    "pypdfium2",
    "PIL",
    "argon2",
    "httpx",
    "aiohttp",
    "jwt",
    "cryptography",
}
SLOW_TO_IMPORT |= {"requests", "urllib3", "webdav3", "lxml", "msal", "googleapiclient", "google_auth_oauthlib", "httplib2", "oauthlib"}
SLOW_TO_IMPORT |= {"anthropic", "openai", "httpx2", "genai_prices", "google", "apscheduler", "charset_normalizer", "rfc8785"}
DATABASE_ONLY = {"psycopg", "psycopg_pool"}


def test_the_import_contracts_of_pyproject_are_kept() -> None:
    said = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_a_contract_that_is_broken_would_be_seen(tmp_path: Path) -> None:
    floors = {f"{name.replace('.', '/')}/__init__.py": "" for name in re.findall(r"shared\.\w+", (ROOT / "pyproject.toml").read_text())}
    for module, text in (
        floors
        | {
            "shared/__init__.py": "import infra",
            "shared/config/__init__.py": "import shared.faas",
            "infra/__init__.py": "",
            "functions/a/one.py": "from functions.a import two",
            "functions/a/two.py": "import infra",
        }
    ).items():
        (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / module).write_text(text)
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    said = subprocess.run(LINT, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "4 broken" in said.stdout, said.stdout


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_function_is_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) < THIN


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_a_function_imports_the_domain_and_little_else(path: Path) -> None:
    # By its bare name, as the framework knows it, one function could import another where import-linter cannot see it.
    allowed = set(sys.stdlib_module_names) | {"shared", "pydantic"}
    assert {name for name, _ in _imports(path)} <= allowed


def test_requests_and_responses_have_one_home() -> None:
    """What `shared/` names stands in its area's models; only what one function alone names may stand beside that function."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)
    every = {*_descendants(RequestModel), *_descendants(ResponseModel)}
    declared = [model for model in every if model.__module__.startswith("shared.") and "[" not in model.__name__]
    homeless = {f"{model.__module__}.{model.__name__}" for model in declared if not re.search(r"\.(\w+_)?models$", model.__module__)}
    assert homeless == set()


def test_what_is_slow_to_import_is_imported_where_it_is_used() -> None:
    eager = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "shared").rglob("*.py")
        for name, top in _imports(path)
        if top and name in SLOW_TO_IMPORT and not _runs_in_the_parsing_child(path)
    ]
    assert eager == []


def test_only_the_database_package_imports_the_driver_for_more_than_its_errors_and_types() -> None:
    opens = [
        f"{path.relative_to(ROOT)}: {node.value.id}.{node.attr}"
        for path in [*(ROOT / "shared").rglob("*.py"), *FUNCTIONS.rglob("*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in DATABASE_ONLY
        if node.attr not in ("errors", "Error", "OperationalError", "DatabaseError", "AsyncConnection", "sql", "types")
        if path.parent.name != "db"
    ]
    assert opens == []


def _runs_in_the_parsing_child(path: Path) -> bool:
    return "formats" in path.parts or path.name in ("reading.py", "language.py", "forkserver.py")


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The first names of what a module imports, and whether at its top."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        top = node in tree.body
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], top
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").partition(".")[0], top


def _descendants(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _descendants(child)
