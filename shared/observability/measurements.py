"""What this process counts, in Prometheus' text form (exposition format 0.0.4).

Labels are names of functions, HTTP statuses, queues, outcomes: all of them ours and few, so that no client can make series, and never
somebody's id or address.
"""

import hmac
import os
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.config import settings
from shared.errors import Unauthenticated

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
UNROUTED = "none"
"""Stands for the function of requests that reached none."""

EventOutcome = Literal["done", "rejected", "failed"]


@dataclass(frozen=True)
class Metric:
    """Samples of one name, each with its labels."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]


@dataclass
class Durations:
    """How long something took, by function: a histogram each."""

    name: str
    help: str
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _sums: dict[str, float] = field(default_factory=dict)

    def observe(self, function: str, seconds: float) -> None:
        """Counts one of `function`'s that took so long."""
        counts = self._counts.get(function)
        if counts is None:
            counts = self._counts[function] = [0] * (len(BUCKETS_SECONDS) + 1)
            self._sums[function] = 0.0
        counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._sums[function] += seconds

    def lines(self) -> Iterable[str]:
        """As the text has it: buckets hold what took as long as their bound, or less."""
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} histogram"
        for function, counts in sorted(self._counts.items()):
            total = 0
            for bound, count in zip((*(f"{bound:g}" for bound in BUCKETS_SECONDS), "+Inf"), counts, strict=True):
                total += count
                yield f'{self.name}_bucket{{function="{function}",le="{bound}"}} {total}'
            yield f'{self.name}_sum{{function="{function}"}} {self._sums[function]:.6f}'
            yield f'{self.name}_count{{function="{function}"}} {total}'


class ProcessMetrics:
    """What one process has served since it started."""

    def __init__(self) -> None:
        self.under_way = 0
        self.requests: dict[tuple[str, int], int] = {}
        self.events: dict[tuple[str, EventOutcome], int] = {}
        self.request_seconds = Durations("docuvault_request_seconds", "Time from a request to the end of its response.")
        self.event_seconds = Durations("docuvault_event_seconds", "Time an event function took.")

    def count_request(self, function: str | None, status: int, seconds: float) -> None:
        """One response has been sent."""
        name = function or UNROUTED
        self.requests[name, status] = self.requests.get((name, status), 0) + 1
        self.request_seconds.observe(name, seconds)

    def count_event(self, function: str, outcome: EventOutcome, seconds: float) -> None:
        """One event has been handled, refused for good, or will come again."""
        self.events[function, outcome] = self.events.get((function, outcome), 0) + 1
        self.event_seconds.observe(function, seconds)


process = ProcessMetrics()


def require_token(bearer: str | None) -> None:
    """Raises Unauthenticated unless it is METRICS_TOKEN; without that setting everyone may read."""
    expected = settings().metrics_token if settings().has("metrics") else ""
    if expected and not hmac.compare_digest((bearer or "").encode("utf-8", "surrogatepass"), expected.encode()):
        raise Unauthenticated("Send the metrics token: `Authorization: Bearer …` with METRICS_TOKEN.")


def render(further: Iterable[Metric] = ()) -> str:
    """The whole text: what this process counts, and what else is known."""
    lines: list[str] = []
    for metric in (*_of_process(), *further):
        lines += (f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}")
        for labels, value in metric.samples:
            shown = ",".join(f'{name}="{text}"' for name, text in labels.items())
            lines.append(f"{metric.name}{{{shown}}} {value:.15g}" if shown else f"{metric.name} {value:.15g}")
    lines += process.request_seconds.lines()
    lines += process.event_seconds.lines()
    return "\n".join(lines) + "\n"


def _of_process() -> Iterable[Metric]:
    yield Metric(
        "docuvault_requests_total",
        "counter",
        "Responses sent, by function and HTTP status.",
        [({"function": function, "status": str(status)}, count) for (function, status), count in sorted(process.requests.items())],
    )
    yield Metric("docuvault_requests_under_way", "gauge", "Requests that have no whole response yet.", [({}, process.under_way)])
    yield Metric(
        "docuvault_events_total",
        "counter",
        "Events that functions here were given, by how that ended.",
        [({"function": function, "outcome": outcome}, count) for (function, outcome), count in sorted(process.events.items())],
    )
    times = os.times()
    yield Metric("process_cpu_seconds_total", "counter", "CPU time of this process.", [({}, times.user + times.system)])
    yield Metric("process_start_time_seconds", "gauge", "When this process started, in Unix time.", [({}, _STARTED)])
    memory = _resident_bytes()
    if memory is not None:  # Linux alone says
        yield Metric("process_resident_memory_bytes", "gauge", "Memory of this process.", [({}, memory)])
        yield Metric("process_open_fds", "gauge", "Open files and connections of this process.", [({}, len(os.listdir("/proc/self/fd")))])


_STARTED = time.time()


def _resident_bytes() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
