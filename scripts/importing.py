"""What `scripts/import` does: brings an archive, an export of paperless-ngx or plain files into an account, by the public API alone.

Nothing is doubled: what the vault has already, outside its trash, is left as it is, and an upload that was broken off goes on. So the same
command again does what is missing.
"""

import argparse
import getpass
import json
import os
import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from scripts import import_sources
from scripts.import_sources import ImportItem, SkippedItem, Source, Unusable
from scripts.vault_client import Refused, Unreachable, Uploaded, VaultClient

TOKEN, URL = "DOCUVAULT_TOKEN", "DOCUVAULT_URL"
_ENDS_IT_ALL = {"unauthenticated", "insufficient_scope", "forbidden", "quota_exceeded", "unknown"}
"""Refusals that the next file would meet, too."""


@dataclass
class ImportReport:
    """What became of everything; one line of JSON each in `file`."""

    file: TextIO | None = None
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, entry: str, outcome: str, *, reason: str = "", document_id: str = "") -> None:
        self.counts[outcome] += 1
        if reason:
            self.problems.append(f"{entry}: {reason}")
        if self.file is not None:
            self.file.write(json.dumps({"entry": entry, "outcome": outcome, "reason": reason, "document_id": document_id}) + "\n")
            self.file.flush()

    def __str__(self) -> str:
        outcomes = ("uploaded", "resumed", "there already", "skipped", "failed")
        lines = [", ".join(f"{self.counts[outcome]} {outcome}" for outcome in outcomes)]
        return "\n".join([*(f"  {problem}" for problem in self.problems), *lines])


def main(arguments: list[str] | None = None) -> int:
    """0 if everything is there, 1 if something is not, 2 if nothing could be done, 130 if somebody stopped it."""
    parser = argparse.ArgumentParser(
        prog="scripts/import",
        description="Brings documents into a DocuVault: an archive of one, an export of paperless-ngx, or the files of a folder or ZIP.",
        epilog=f"The API token is read from {TOKEN}, or asked for; it needs documents:read, documents:write, topics:read, topics:write.",
    )
    parser.add_argument("source", type=Path, help="a folder or a ZIP")
    parser.add_argument("--url", default=os.environ.get(URL, "http://127.0.0.1:8000"), help=f"of the vault; or {URL}")
    parser.add_argument("--topics-from-folders", action="store_true", help="of plain files: the folder a file is in is its topic")
    parser.add_argument("--report", type=Path, help="a file for what became of each document, as JSON Lines")
    parser.add_argument("--dry-run", action="store_true", help="only says what there is to bring in")
    options = parser.parse_args(arguments)
    address = urlsplit(options.url)
    if address.scheme not in ("http", "https") or not address.hostname:
        parser.error("--url is an address such as https://vault.example.org")
    if address.scheme == "http" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
        print("Take care: over http the token and the documents can be read on their way.", file=sys.stderr)
    try:
        with ExitStack() as stack:
            source = stack.enter_context(import_sources.opened(options.source))
            if options.dry_run:
                return _list(source, topics_from_folders=options.topics_from_folders)
            token = os.environ.get(TOKEN) or getpass.getpass("API token: ")
            vault = stack.enter_context(VaultClient(options.url, token.strip()))
            report = ImportReport(stack.enter_context(options.report.open("w")) if options.report is not None else None)
            return bring_in(source, vault, report, topics_from_folders=options.topics_from_folders)
    except Unusable as unusable:
        print(unusable, file=sys.stderr)
        return 2
    except OSError as failed:
        print(f"{failed.filename}: {failed.strerror}", file=sys.stderr)
        return 2


def bring_in(source: Source, vault: VaultClient, report: ImportReport, *, topics_from_folders: bool = False) -> int:
    """Brings everything in, telling as it goes; as `main`."""
    ended = 0
    try:
        total = len(source.names())
        for number, item in enumerate(import_sources.items(source, topics_from_folders=topics_from_folders), 1):
            if isinstance(item, SkippedItem):
                report.add(item.entry, "skipped", reason=item.reason)
                continue
            _one(source, vault, report, item)
            print(f"{number} of at most {total}: {item.filename}", flush=True)
    except KeyboardInterrupt:
        ended = 130
    except Unreachable as gone:
        report.problems.append(str(gone))
        ended = 1
    except Refused as refused:
        report.problems.append(str(refused))
        ended = 1
    print(report)
    if ended:
        print("It was not brought to its end; the same command again goes on from here.")
    return ended or (1 if report.counts["failed"] else 0)


def _one(source: Source, vault: VaultClient, report: ImportReport, item: ImportItem) -> None:
    """Raises Refused if nothing else would be taken either, Unreachable."""
    try:
        uploaded = _upload(source, vault, item)
    except (Unusable, OSError) as unusable:
        report.add(item.entry, "failed", reason=str(unusable))
    except Refused as refused:
        report.add(item.entry, "failed", reason=str(refused))
        if refused.code in _ENDS_IT_ALL:
            raise
    else:
        reasons = [*item.remarks, *(f"{name} was left out: {reason}" for name, reason in uploaded.left_out.items())]
        report.add(item.entry, uploaded.outcome, reason="; ".join(reasons), document_id=uploaded.document_id)


def _upload(source: Source, vault: VaultClient, item: ImportItem) -> Uploaded:
    details = dict(item.details)
    if item.topics:
        topics = (
            vault.topic(topic.name, color=topic.color, parent=None if topic.parent is None else vault.topic(topic.parent))
            for topic in item.topics
        )
        details["topic_ids"] = list(dict.fromkeys(topics))
    try:
        with source.file(item.entry) as file:
            return vault.upload(file, item.filename, content_type=item.content_type, **details)
    except Refused as refused:
        if refused.code != "unsupported_type" or item.instead is None:
            raise
    with source.file(item.instead) as file:
        return vault.upload(file, f"{Path(item.filename).stem}.pdf", content_type="application/pdf", **details)


def _list(source: Source, *, topics_from_folders: bool) -> int:
    """0, or 1 if something lies in a folder that cannot be read: what it holds would not be brought in."""
    unreadable = source.unreadable()
    for item in import_sources.items(source, topics_from_folders=topics_from_folders):
        if isinstance(item, SkippedItem):
            print(f"not brought in: {item.entry}: {item.reason}")
        elif item.entry in unreadable:
            print(f"not brought in: {item.entry}: {unreadable[item.entry]}")
        else:
            print(f"{item.entry} as {item.filename}", *(f"[{topic.name}]" for topic in item.topics))
    return 1 if unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
