"""Finding event functions: every file of functions/events and functions/schedules is one, and its name is the function's."""

import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from shared.faas.declarations import EVENT_FUNCTIONS
from shared.faas.events import CloudEventFunction

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
EVENT_FOLDERS = (FUNCTIONS / "events", FUNCTIONS / "schedules")


class NotAnEventFunction(Exception):
    """A file that stands among the event functions and declares none of its own name."""


def load_event_functions(folders: Iterable[Path] = EVENT_FOLDERS) -> dict[str, CloudEventFunction]:
    """Event functions by service name, imported as functions-framework does: by path, under the file's bare name.

    Raises NotAnEventFunction, and whatever a file raises when it is imported.
    """
    found: dict[str, CloudEventFunction] = {}
    for folder in folders:
        for path in sorted(folder.glob("[!_]*.py")):
            name = path.stem
            module = sys.modules.get(name)
            if module is None or getattr(module, "__file__", None) != str(path):
                spec = importlib.util.spec_from_file_location(name, path)
                assert spec is not None
                assert spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[name] = module
                spec.loader.exec_module(module)
            if name not in EVENT_FUNCTIONS:
                raise NotAnEventFunction(f"{path} declares no event function named {name}")
            found[name.replace("_", "-")] = getattr(module, name)
    return found
