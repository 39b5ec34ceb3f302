"""Finds the functions: every file under `functions/`, imported under its bare name as functions-framework does."""

import importlib.util
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from shared.config import SettingsError
from shared.faas.declarations import ENDPOINTS, EVENT_FUNCTIONS, EndpointDeclaration, EventDeclaration

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ROOT / "functions"
EVENT_AREAS = ("events", "schedules")


class NotOneFunction(Exception):
    """A function's file does not declare the one function it is named after."""


def http_functions() -> list[EndpointDeclaration]:
    """Every HTTP function, by name."""
    return [ENDPOINTS[load(path)] for path in _files(events=False)]


def event_functions() -> list[EventDeclaration]:
    """Every event function and schedule, by name."""
    return [EVENT_FUNCTIONS[load(path)] for path in _files(events=True)]


def files() -> list[Path]:
    """Every function's file."""
    return sorted([*_files(events=False), *_files(events=True)])


def check_remote(names: Collection[str]) -> None:
    """Raises SettingsError if REMOTE_FUNCTIONS has names that no function has."""
    if unknown := sorted(set(names) - {path.stem for path in files()}):
        raise SettingsError(
            f"REMOTE_FUNCTIONS: there is no function {', '.join(unknown)}. Example: REMOTE_FUNCTIONS=create_upload,send_email"
        )


def load(path: Path) -> str:
    """Imports a function's file under its bare name, once; the function's name. Raises NotOneFunction, and whatever the file raises."""
    name = path.stem
    if getattr(sys.modules.get(name), "__file__", None) != str(path):
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    if name not in ENDPOINTS and name not in EVENT_FUNCTIONS:
        raise NotOneFunction(f"{path} must declare one function called {name}")
    return name


def _files(*, events: bool) -> Iterator[Path]:
    for path in sorted(FUNCTIONS.glob("*/*.py"), key=lambda path: path.stem):
        if (path.parent.name in EVENT_AREAS) == events and not path.stem.startswith("_"):
            yield path
