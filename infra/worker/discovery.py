"""Finding event functions: every file of functions/events and functions/schedules is one, and its name is the function's."""

import sys
from collections.abc import Iterable
from pathlib import Path

from infra.functions import EVENT_AREAS, FUNCTIONS, NotOneFunction, load
from shared.faas.declarations import EVENT_FUNCTIONS
from shared.faas.event_functions import CloudEventFunction

EVENT_FOLDERS = tuple(FUNCTIONS / area for area in EVENT_AREAS)


def load_event_functions(folders: Iterable[Path] = EVENT_FOLDERS) -> dict[str, CloudEventFunction]:
    """Event functions by service name. Raises NotOneFunction, and whatever a file raises when it is imported."""
    functions: dict[str, CloudEventFunction] = {}
    for folder in folders:
        for path in sorted(folder.glob("[!_]*.py")):
            name = load(path)
            if name not in EVENT_FUNCTIONS:
                raise NotOneFunction(f"{path} declares no event function named {name}")
            functions[name.replace("_", "-")] = getattr(sys.modules[name], name)
    return functions
