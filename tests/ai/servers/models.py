"""Models behind the protocol servers: what they say to a prompt of ours."""

import json
import re
from collections.abc import Callable

Model = Callable[[str, str], str]
"""(system, user) -> the answer's text."""

_TOPIC = re.compile(r"^(t\d+): ([^\n(]+)", re.MULTILINE)
_PAGE = re.compile(r"^--- page (\d+) ---$", re.MULTILINE)


def careful(system: str, user: str) -> str:
    """Files a document under each topic whose name stands in it, with the line as its quote."""
    if "propose up to five" in system:
        return json.dumps({"topics": [{"name": "Web design", "reason": "It is about a web site."}, {"name": "Garden", "reason": "x"}]})
    if not system:
        return "ok"
    document = user[user.index("[document ") :]
    pages = _PAGE.split(document)
    found = []
    for alias, name in _TOPIC.findall(user[: user.index("[document ")]):
        word = name.strip().lower().rstrip("s")
        for number, text in zip(pages[1::2], pages[2::2], strict=True):
            lines = [line for line in text.split("\n") if word in line.lower() and not line.startswith("[document ")]
            if lines:
                found.append({"topic": alias, "confidence": 0.93, "quote": max(lines, key=len)[:200], "page": int(number)})
                break
    return json.dumps({"topics": found} | _details(system, document))


_DATED = re.compile(r"date: (\d+) May (\d{4})")


def _details(system: str, document: str) -> dict[str, object]:
    """What is asked for beside the topics: the first line of the first page as title and sender, a date in May."""
    first = document.partition("--- page 1 ---\n")[2].partition("\n")[0]
    said: dict[str, object] = {name: None for name in ("title", "sender", "issued_on") if f'- "{name}" is' in system}
    for name in said.keys() & {"title", "sender"}:
        if first and not first.startswith("[document "):
            said[name] = {"value": first[:80], "quote": first[:200], "page": 1}
    dated = _DATED.search(document)
    if "issued_on" in said and dated:
        said["issued_on"] = {"value": f"{dated[2]}-05-{int(dated[1]):02}", "quote": dated[0], "page": None}
    return said


def obedient(system: str, user: str) -> str:
    """Does what a document tells it: everything under every topic, surely, quoting what does not stand there."""
    aliases = [alias for alias, _ in _TOPIC.findall(user)]
    claims: list[dict[str, object]] = [
        {"topic": alias, "confidence": 1000, "quote": "Approved by the board.", "page": 1} for alias in aliases
    ]
    claims += [
        {"topic": "t999", "confidence": 1, "quote": None, "page": None},
        {"topic": "Garden", "confidence": 1, "quote": None, "page": 1},
    ]
    return json.dumps({"topics": claims, "system": "obeyed"})


def saying(text: str) -> Model:
    """Says this, whatever it is asked."""
    return lambda system, user: text
