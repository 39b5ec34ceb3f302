"""Load on an HTTP server, by wrk (https://github.com/wg/wrk, in every distribution): one thread of C is never the bottleneck here."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

CONNECTIONS = 64


class NoLoadGenerator(Exception):
    """wrk is not installed."""


@dataclass(frozen=True)
class Load:
    """What one run of wrk saw; times in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float


def load(url: str, headers: Mapping[str, str], *, seconds: int) -> Load:
    """Requests as fast as they are answered. Raises NoLoadGenerator; asserts that every answer was a success."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise NoLoadGenerator("wrk is not installed (Debian, Ubuntu: apt install wrk)")
    command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None, said
    return Load(float(rate[1]), _milliseconds(said, "50%"), _milliseconds(said, "99%"))


def _milliseconds(said: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", said)
    assert found is not None, said
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
