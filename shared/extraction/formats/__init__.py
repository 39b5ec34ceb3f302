"""How each kind of document is read: a module a kind, each with `read(file, …) -> Reading`. Runs inside the sandbox only.

A reader raises an ExtractionFailed for what it understands of a failure; anything else it raises counts as a damaged file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.extraction.failures import ExtractionWarning


@dataclass(frozen=True)
class Scan:
    """A page that is only a picture, its text still to be recognised.

    `page` is its place in `Reading.pages`, counted from 0. The picture is page or frame `frame` (from 0) of the file itself, or of the
    `attachment`-th attachment (from 1) if it is an e-mail.
    """

    page: int
    frame: int
    attachment: int = 0


@dataclass
class Reading:
    """What a reader found: raw text by page (cleaned later), and a page count where the kind has pages."""

    pages: list[str] = field(default_factory=list)
    page_count: int | None = None
    title: str | None = None
    created: str | None = None
    """When the file was made, as it says itself: its first digits are year, month and day."""
    thumbnail: bytes | None = None
    truncated: bool = False
    """Whether the document goes on after what was read."""
    left_out: str = ""
    """What was not read of it, as a sentence, if more can be said than that."""
    warnings: list[ExtractionWarning] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    """What is left to recognise; empty unless the recogniser defers."""
    milliseconds: dict[str, float] = field(default_factory=dict)

    def leave_out_attachments(self, read: int, attached: int) -> None:
        """Note that only the first `read` of the attached files were read."""
        if read < attached:
            self.truncated = True
            self.left_out = f"{read:,} of {attached:,} attachments were read. Upload the others by themselves."

    def warn(self, code: str, detail: str) -> None:
        """Note a part that was not read; `code` is one of WARNING_CODES."""
        self.warnings.append(ExtractionWarning(code, detail))


class Stopwatch:
    """Milliseconds by step: `lap("text")` books the time since the last lap under that name."""

    def __init__(self) -> None:
        import time

        self._clock = time.perf_counter
        self._since = self._clock()
        self.milliseconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = self._clock()
        self.milliseconds[step] = round(self.milliseconds.get(step, 0) + (now - self._since) * 1000, 2)
        self._since = now


def as_one_page(parts: Iterable[str]) -> list[str]:
    """One page of the parts that hold something, a blank line between them."""
    return ["\n\n".join(part for part in parts if part and part.strip())]
