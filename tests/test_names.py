"""One name, one meaning: modules, classes, and the paths that comments and pages point at."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from infra.functions import ROOT

OURS = ("shared", "infra", "functions")
SAME_ROLE = {
    "app",  # an ASGI application
    "errors",  # what can go wrong in an area
    "models",  # the requests and responses of an area
    "pruning",  # what an area removes for good
}
"""Modules that may share a name, because they play the same role."""
WORDS = {
    "`response`": r"\b(an?|the|its|our|every|same|successful|HTTP) answers?\b",
    "`responds`": r"\b(PostgreSQL|Redis|MinIO|server|store|service) answers\b",
    "`if`, for a condition": r"\b(Raises [^.;]*|None|False|empty|[Nn]othing|it) where\b",
    "`finalize`, `purge`, `repair`": r"\b(settles|bury|buries|buried|mends?|mended|sees? to|keep here)\b",
}
"""The field's own words, and what they are used instead of in docstrings; a reader whose first language is not English must not stop."""
POINTERS = re.compile(r"(?<![\w/.:-])((?:shared|infra|functions|tests|scripts|docs)/[\w./-]*\w|[\w-]+\.(?:py|md))\b(?!\()")
NOT_HERE = {"functions/documents/count_words.py", "station.py"}
"""What README.md shows how to write, and what a document of tests/ai names."""


def test_no_two_modules_share_a_name_with_different_meanings() -> None:
    assert _shared_by_many((path.stem, path) for path in _sources() if not path.stem.startswith("__") and path.stem not in SAME_ROLE) == {}


def test_no_two_classes_share_a_name() -> None:
    assert _shared_by_many((name.lstrip("_"), path) for path in _sources() for name in _classes(path)) == {}


def test_what_comments_and_pages_point_at_exists() -> None:
    """Migrations are left out: what has run somewhere does not change any more."""
    paths = [
        path
        for folder in (*OURS, "tests", "scripts", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not _foreign(path)
    ]
    names = {path.name for path in (*paths, *ROOT.glob("*"))}
    dangling = [
        f"{page.relative_to(ROOT)}: {pointer}"
        for page in (*(path for path in paths if path.suffix in (".py", ".md")), *ROOT.glob("*.md"))
        for pointer in POINTERS.findall(_prose(page))
        if pointer not in NOT_HERE
        if not (_exists(pointer) if "/" in pointer else pointer in names)
    ]
    assert dangling == []


def test_docstrings_use_the_fields_own_words() -> None:
    found = [
        f"{path.relative_to(ROOT)}: use {word} in: {line.strip()}"
        for path in _sources()
        for line in _docstrings(path)
        for word, pattern in WORDS.items()
        if re.search(pattern, line)
    ]
    assert found == []


def _shared_by_many(named: Iterator[tuple[str, Path]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for name, path in named:
        places[name].append(str(path.relative_to(ROOT)))
    return {name: found for name, found in places.items() if len(found) > 1}


def _sources() -> Iterator[Path]:
    for folder in OURS:
        yield from (path for path in (ROOT / folder).rglob("*.py") if not _foreign(path))


def _foreign(path: Path) -> bool:
    """Whether it came with a package that builds the console."""
    return "node_modules" in path.parts


def _classes(path: Path) -> Iterator[str]:
    """Classes, named types and type variables."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and re.match(r"_?[A-Z][a-z]", target.id):
                yield target.id


def _docstrings(path: Path) -> Iterator[str]:
    """Their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from node.value.value.splitlines()


def _prose(path: Path) -> str:
    """A page, or the docstrings and comments of a module."""
    if path.suffix != ".py":
        return path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return "\n".join(
        token.string
        for token in tokens
        if token.type == tokenize.COMMENT
        or (token.type == tokenize.STRING and token.string.startswith('"""') and token.start[1] in (0, 4, 8))
    )


def _exists(pointer: str) -> bool:
    return (ROOT / pointer).exists() or (ROOT / f"{pointer}.py").exists()
