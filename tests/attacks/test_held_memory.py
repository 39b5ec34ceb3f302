"""What requests make a process remember is of bounded size, not of bounded number alone."""

import tracemalloc

from shared.errors import MalformedRequest
from shared.faas import requests
from shared.identity.client import fingerprint

LONG = 28_000
"""Characters: nearly what a header may have."""


def test_thousands_of_long_user_agents_are_not_kept() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert len({fingerprint(f"{number}{'x' * LONG}", "en") for number in range(1000)}) == 1000
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2**20


def test_thousands_of_long_hosts_are_not_kept() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(1000):
            try:
                requests.refuse_malformed({"query_string": b"", "http_version": "1.1"}, b"/", {"host": f"h{number}{'x' * LONG}"}, LONG)
            except MalformedRequest:
                continue
            raise AssertionError("a host of 28,000 characters was taken")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2**20
