"""`./scripts/generate`: writes all that is derived from the functions' declarations; `--check` only says whether it is stale."""

import importlib
import json
import pkgutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

import shared
from infra.functions import ROOT, event_functions, http_functions
from infra.knative.manifests import manifests
from shared.faas.openapi_document import describe

MANIFESTS = "infra/knative/base"

SUBSCRIPTIONS_HEAD = '''"""Which functions each event wakes.

Generated from the functions' declarations by `./scripts/generate`; do not edit.
"""

from typing import NamedTuple


class Subscription(NamedTuple):
    function: str
    queue: str


SUBSCRIPTIONS: dict[str, tuple[Subscription, ...]] = {
'''


def generated() -> dict[Path, str]:
    """Every generated file with what it should hold."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)  # every domain's errors, which functions import only when they need them
    description = describe(http_functions(), version=version)
    return {
        ROOT / "openapi.yaml": _yaml(description),
        ROOT / "functions" / "system" / "openapi.json": json.dumps(description, ensure_ascii=False, separators=(",", ":")) + "\n",
        ROOT / "shared" / "events" / "subscriptions.py": _subscriptions(),
        **manifests(),
    }


def main(arguments: list[str]) -> int:
    """Exit status 1 if `--check` finds a file stale."""
    check = "--check" in arguments
    wanted = generated()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in sorted((ROOT / MANIFESTS).rglob("*.yaml")) if path not in wanted]  # of an area that is gone
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} does not say what the functions declare; run ./scripts/generate and commit it.")
        elif path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
            print(f"wrote {name}")
        else:
            path.unlink()
            print(f"removed {name}")
    if not stale:
        print("everything generated is up to date")
    return 1 if check and stale else 0


def _subscriptions() -> str:
    by_type: dict[str, list[tuple[str, str]]] = {}
    for declaration in event_functions():
        by_type.setdefault(declaration.event_type, []).append((declaration.name, declaration.queue))
    lines = [
        f'    "{event_type}": ({", ".join(f"""Subscription("{name}", "{queue}")""" for name, queue in sorted(targets))},),\n'
        for event_type, targets in sorted(by_type.items())
    ]
    schedules = [f'    "{declaration.name}": "{declaration.schedule}",\n' for declaration in event_functions() if declaration.schedule]
    return SUBSCRIPTIONS_HEAD + "".join(lines) + "}\n\n" + "SCHEDULES: dict[str, str] = {\n" + "".join(sorted(schedules)) + "}\n"


def _yaml(description: dict[str, Any]) -> str:
    head = "# Generated from the functions' declarations by ./scripts/generate; do not edit.\n"
    return head + yaml.dump(description, Dumper=_InFull, sort_keys=False, allow_unicode=True, width=140)


class _InFull(yaml.SafeDumper):
    """Writes out what occurs twice, twice: anchors tell a reader nothing."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
