"""Stands for an SDK that takes its time to be imported."""

from time import perf_counter

IMPORT_SECONDS = 0.3

_started = perf_counter()
while perf_counter() - _started < IMPORT_SECONDS:
    pass
