"""Who may take how long: every time limit on the way of a document in one table, each with its reason.

Slow work yields to quick work, so a document has up to three readings, on a queue each (`shared.faas.declarations.Queue`):

- `documents`: a small file is read whole, unless pages of it need text recognition (OCR). It has QUICK_READING.
- `large`: a picture, a large file, or one that did not make it in QUICK_READING. It has FULL_READING.
- `recognition`: text recognition, a slice of pages at a time. It has RECOGNITION.

A child process is ended by the kernel at its CPU time and by its parent at its wall time; the delivery that waits for the child must last
longer than all the children that it may start one after the other. `tests/test_time_budgets.py` holds these relations.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadingBudget:
    """What a child process that reads a document may take, in seconds, and how far it steps back for others (nice(2))."""

    cpu_seconds: int
    wall_seconds: float
    niceness: int = 0


QUICK_READING = ReadingBudget(cpu_seconds=5, wall_seconds=30)
"""An ordinary letter takes 0.05 s, 1,000 dense pages 5 s. What takes longer goes to the `large` queue and does not fail for it."""

FULL_READING = ReadingBudget(cpu_seconds=20, wall_seconds=240, niceness=5)
"""A parser sent in circles takes all it gets; nothing that people send was seen to take more than 15 s. The wall time is four times the CPU
time because quick work comes first on a busy machine."""

RECOGNITION = ReadingBudget(cpu_seconds=75, wall_seconds=400, niceness=15)
"""One slice: SLICE_CPU_SECONDS, and one page that begins just before those are over and takes PAGE_CPU_SECONDS, and opening the file.
At niceness 15 the kernel gives it one thirtieth of a core that quick work wants."""

SLICE_CPU_SECONDS = 5.0
"""CPU time after which a slice begins no further page: it ends, and other owners have their turn. A printed page takes 1 to 4 s."""

PAGE_CPU_SECONDS = 60
"""CPU time of one page: noise at 12 megapixels, the worst that was made for it, takes 13 s. One that takes more is left out, with a
warning."""

DOCUMENT_RECOGNITION_CPU_SECONDS = 20 * 60
"""CPU time of text recognition for one document, over all slices: 300 dense pages. Pages after that are left out, with a warning."""

ONE_PASS_CPU_SECONDS = 600
ONE_PASS_WALL_SECONDS = 600.0
ONE_PASS_RECOGNITION_WALL_SECONDS = 480
"""Reading and recognition in one child without yielding, as tests and benchmarks do it: never for a document of an owner."""

DELIVERY_SECONDS = {
    "documents": 15 * 60,  # a quick reading needs less; deleting the objects of a large account does not
    "large": 15 * 60,  # a download of MAX_DOCUMENT_SIZE, then FULL_READING
    "recognition": 20 * 60,  # a download, a slice, and its first page once more if the slice crashed
    "email": 2 * 60,  # mail servers that delay on purpose (greylisting, tarpits) answer within a minute
    "ai": 5 * 60,  # providers have time-outs of their own, which are shorter
    "system": 10 * 60,  # schedules stop taking more after 45 s
}
"""How long a broker waits for the function before it counts the delivery as failed and delivers again, by queue."""

LEASE_SECONDS = 15.0
LEASE_EXTENDED_EVERY_SECONDS = 5.0
"""How long a claim holds without being extended, after which the broker counts as dead, and how often it is: two extensions may fail."""

DRAIN_SECONDS = 20.0
"""How long requests and functions under way may go on after a stop was asked for; a delivery that was cut off is delivered again."""
