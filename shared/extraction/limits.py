"""How much one document may cost: every number of the extraction in one place.

A document over a limit of *amount* (pages, text) is read as far as the limit and marked truncated: half a telephone book is better found
than not at all. A document over a limit of *effort* (memory, time, pixels, inflated bytes) fails. Times come from `shared.time_budgets`.
"""

from dataclasses import dataclass

from shared.time_budgets import (
    FULL_READING,
    ONE_PASS_CPU_SECONDS,
    ONE_PASS_RECOGNITION_WALL_SECONDS,
    ONE_PASS_WALL_SECONDS,
    PAGE_CPU_SECONDS,
    ReadingBudget,
)

KIB, MIB, GIB = 2**10, 2**20, 2**30

MAX_PAGES = 2_000
"""Pages read of one document; a PDF of 100,000 pages is read this far and marked truncated."""

MAX_TEXT_CHARACTERS = 10_000_000
"""Characters kept of one document, over all pages."""

MAX_TEXT_FILE = 32 * MIB
"""Bytes read of plain text, CSV, Markdown, HTML and e-mails."""

MAX_OFFICE_FILE = 256 * MIB
"""Bytes of an office file or RTF, which is read into memory whole."""

MAX_PDF_IN_MEMORY = 256 * MIB
"""A PDF above this is read through its file handle instead of a memory map."""

MAX_INFLATED = 512 * MIB
MAX_INFLATED_PART = 256 * MIB
MAX_ARCHIVE_ENTRIES = 20_000
MAX_INFLATION_RATIO = 200
"""Zip containers (DOCX, XLSX, PPTX, ODT, ODS): inflated bytes in all and of one part, entries, and inflated to stored beyond 10 MiB.

Deflate cannot exceed 1,032:1; the XML of real spreadsheets reaches some 50:1."""

MAX_PIXELS = 120_000_000
"""Pixels of one picture (an A3 sheet at 600 dpi has 70 million); checked from its header, before anything is decoded."""

MAX_OCR_PIXELS = 12_000_000
"""A picture is scaled down to this before OCR: A4 at 300 dpi has 8.7 million."""

OCR_DPI = 200
MAX_OCR_PAGES = 300
OCR_SECONDS = ONE_PASS_RECOGNITION_WALL_SECONDS
OCR_PAGE_SECONDS = PAGE_CPU_SECONDS
"""Scanned pages recognised of one document, the wall time after which the remaining ones stay without text (truncated), and that of one
page, after which it stays without."""

MAX_WORDS_OF_PAGE = 5_000
"""Recognised words of one page whose places are kept; a dense page has 700."""

MAX_JPEG_SCANS = 100
MAX_JPEG_SCANNED_PIXELS = 4_000_000_000
"""Scans of a progressive JPEG, and scans times pixels: encoders make some ten, and each goes over the whole picture."""

QUICK_CPU_SECONDS = FULL_READING.cpu_seconds
"""CPU time of a document until its first picture is recognised; a parser sent in circles takes all it gets. 2,000 dense pages of a PDF take
10 s; it is read as far as half of this goes."""

MAX_EMAIL_ATTACHMENTS = 200
"""Attachments of an e-mail or a PDF whose text is read along with it, as far as half of QUICK_CPU_SECONDS goes; the others are named."""

MAX_PAGES_IN_ALL = 21 * MAX_PAGES
"""Pages read of a document and all that is attached to it."""

MAX_TITLE = 500
MAX_WARNINGS = 50
"""Warnings kept of one document."""


@dataclass(frozen=True)
class Limits:
    """What a sandboxed child may use; beyond it the kernel or the parent ends it."""

    wall_seconds: float = ONE_PASS_WALL_SECONDS
    cpu_seconds: int = ONE_PASS_CPU_SECONDS
    address_space: int = 1536 * MIB
    open_files: int = 64
    output_bytes: int = 64 * MIB
    file_bytes: int = 64 * KIB
    """Bytes of a file the child may write: only its own error log in memory is writable at all."""
    niceness: int = 0
    """How far the child steps back for others (nice(2))."""

    @classmethod
    def within(cls, budget: ReadingBudget) -> "Limits":
        """The usual limits, with the times of `budget`."""
        return cls(wall_seconds=budget.wall_seconds, cpu_seconds=budget.cpu_seconds, niceness=budget.niceness)
