"""Seconds from `./scripts/serve` to ready, the first time (everything is made) and the second; resident memory of the idle stack."""

import os
import signal
import subprocess
import time
from pathlib import Path

from infra.local.ports import free_port_block
from shared import temporary

ROOT = Path(__file__).resolve().parents[2]
NOT_COUNTED = {"postgres": "PostgreSQL", "weed": "S3 store"}


def run() -> None:
    """Measures and prints; the environment is there already."""
    subprocess.run([ROOT / "scripts" / "environment", "requirements.lock"], check=True)
    with temporary.folder("benchmark") as folder:
        first, _ = _start(folder)
        second, memory = _start(folder)
    print(f"from ./scripts/serve to ready: first time {first:.1f} s, second time {second:.1f} s (ratio {second / first:.2f})")
    counted = {what: figures for what, figures in memory.items() if what not in NOT_COUNTED.values()}
    resident, proportional = (sum(figures[column] for figures in counted.values()) for column in (0, 1))
    print(
        f"resident memory of the idle stack without PostgreSQL and S3 store: {resident:.0f} MB (shared pages once: {proportional:.0f} MB)"
    )
    for what, figures in sorted(memory.items(), key=lambda item: -item[1][0]):
        print(f"    {figures[0]:6.0f} MB ({figures[1]:4.0f})  {what}{'' if what in counted else ', not counted'}")


Figures = tuple[float, float]
"""Megabytes: resident (RSS), and proportional (PSS: pages shared by several processes are counted once)."""


def _start(folder: Path) -> tuple[float, dict[str, Figures]]:
    """Seconds until ready, and memory by process a moment later."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    started = time.perf_counter()
    command = [str(ROOT / "scripts" / "serve"), "--port", str(free_port_block(1)), "--data-dir", str(folder / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ) as serving:
        assert serving.stdout is not None
        for line in serving.stdout:
            if "is ready at" in line:
                break
        seconds = time.perf_counter() - started
        time.sleep(3)  # what starts lazily in the background has started
        memory = _memory(serving.pid)
        serving.send_signal(signal.SIGTERM)
        serving.communicate(timeout=60)
    assert serving.returncode == 0, serving.returncode
    return seconds, memory


def _memory(root: int) -> dict[str, Figures]:
    """Of a process and all below it, by what they are."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family, fresh = {root}, {root}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - family
        family |= fresh
    memory: dict[str, Figures] = {}
    for pid in family:
        try:
            lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
            sizes = {line[0]: int(line[1]) / 1024 for line in lines}
            what = _name(Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
        except OSError:
            continue
        resident, proportional = memory.get(what, (0.0, 0.0))
        memory[what] = (resident + sizes["Rss:"], proportional + sizes["Pss:"])
    return memory


def _name(command: list[str]) -> str:
    program = Path(command[0].split(":")[0]).name
    if program in NOT_COUNTED:
        return NOT_COUNTED[program]
    module = command[command.index("-m") + 1] if "-m" in command else program
    return module


if __name__ == "__main__":
    run()
