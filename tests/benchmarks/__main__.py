"""`python -m tests.benchmarks [name …]`: runs the named benchmarks, or all of them; each prints its figures as ratios of one run.

A benchmark is a module of this folder with `run()`; its docstring says what it measures against what.
"""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef run(" in path.read_text())


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"There is no benchmark called {', '.join(unknown)}; there are: {', '.join(NAMES)}.")
        return 2
    failed = 0
    for name in names or NAMES:
        module = import_module(f"tests.benchmarks.{name}")
        print(f"\n== {name}: {(module.__doc__ or name).strip().partition(chr(10))[0]}", flush=True)
        # Each in a process of its own: settings are read once a process, and every benchmark has services of its own.
        failed = subprocess.run([sys.executable, "-c", f"from {module.__name__} import run; run()"], check=False).returncode or failed
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
