"""PowerPoint presentations (ECMA-376, PresentationML), with a reader of ours over their XML.

kreuzberg calls a valid file damaged whose picture is only linked or missing, and reads neither SmartArt nor charts, comments or what stands
on the layout. Pictures are not looked at here at all.
"""

from typing import BinaryIO

from shared.extraction.formats import Reading
from shared.extraction.formats.openxml import Package, PartDamaged, Relationship, attached_texts, damaged, drawn_text, reference
from shared.extraction.formats.xml_parts import Attributes
from shared.extraction.limits import MAX_PAGES, MAX_TEXT_CHARACTERS

_KIND = "PowerPoint presentation"


def read(file: BinaryIO) -> Reading:
    """A page a slide in the order of the presentation, hidden ones too: its shapes, charts and diagrams, its notes and comments.

    What is drawn on a layout or master is read with the first slide that uses it."""
    package = Package(file)
    main = package.main_part("ppt/presentation.xml")
    try:
        slides = _slides(package, main)
    except PartDamaged:
        raise damaged(_KIND) from None
    reading = Reading(title=package.title, page_count=len(slides) or None, truncated=len(slides) > MAX_PAGES)
    authors = _authors(package, main)
    drawn: set[str] = set()
    unreadable, length = 0, 0
    for number, slide in enumerate(slides[:MAX_PAGES], start=1):
        try:
            if slide is None:
                raise PartDamaged
            page = _page(package, slide, authors, drawn)
        except PartDamaged:
            unreadable += 1
            page = ""
            reading.warn("page_unreadable", f"Slide {number} is damaged and was left out.")
        reading.pages.append(page)
        length += len(page)
        if length > MAX_TEXT_CHARACTERS:
            reading.truncated |= number < len(slides)
            break
    if slides and unreadable == len(reading.pages):
        raise damaged(_KIND)
    reading.pages = reading.pages or [""]
    return reading


def _slides(package: Package, main: str) -> list[str | None]:
    """The parts of the slides; None for one that the package lacks."""
    ids: list[str] = []

    def start(element: str, attributes: Attributes) -> None:
        if element == "sldId":
            ids.append(reference(attributes))

    package.walk(main, start)
    parts = {relationship.id: relationship.part for relationship in package.relationships(main)}
    return [parts.get(id) for id in ids]


def _page(package: Package, slide: str, authors: dict[str, str], drawn: set[str]) -> str:
    texts = [drawn_text(package, slide), *attached_texts(package, slide)]
    for relationship in package.relationships(slide):
        if relationship.part is None:
            continue
        try:
            if relationship.kind == "slideLayout":
                texts += _background(package, relationship, drawn)
            elif relationship.kind == "notesSlide":
                texts.append(drawn_text(package, relationship.part, without=lambda kind: kind in ("sldNum", "sldImg")))
            elif relationship.kind == "comments":
                texts.append(_comments(package, relationship.part, authors))
        except PartDamaged:
            continue
    return "\n\n".join(text for text in texts if text)


def _background(package: Package, layout: Relationship, drawn: set[str]) -> list[str]:
    """What a layout and its master draw themselves; their placeholders hold only instructions."""
    texts = []
    masters = [relationship for relationship in package.relationships(layout.part or "") if relationship.kind == "slideMaster"]
    for relationship in (layout, *masters[:1]):
        if relationship.part and relationship.part not in drawn:
            drawn.add(relationship.part)
            texts.append(drawn_text(package, relationship.part, without=lambda _: True))
    return texts


def _authors(package: Package, main: str) -> dict[str, str]:
    names: dict[str, str] = {}

    def start(element: str, attributes: Attributes) -> None:
        if element in ("cmAuthor", "author"):
            names[attributes.get("id", "")] = attributes.get("name", "")

    for relationship in package.relationships(main):
        if relationship.kind in ("commentAuthors", "authors") and relationship.part:
            try:
                package.walk(relationship.part, start)
            except PartDamaged:
                continue
    return names


def _comments(package: Package, part: str, authors: dict[str, str]) -> str:
    """Both kinds: `cm` with `text`, and threads of `cm` and `reply` with paragraphs ([MS-PPTX] 2.16)."""
    pieces: list[str] = []
    in_text = False

    def start(element: str, attributes: Attributes) -> None:
        nonlocal in_text
        if element in ("cm", "reply"):
            author = authors.get(attributes.get("authorId", ""), "")
            pieces.append(f"\n{author}: " if author else "\n")
        elif element == "br":
            pieces.append("\n")
        in_text = element in ("t", "text")

    def end(element: str) -> None:
        nonlocal in_text
        in_text = False
        if element == "p":
            pieces.append("\n")

    def characters(text: str) -> None:
        if in_text:
            pieces.append(text)

    package.walk(part, start, end, characters)
    return "\n".join(line.strip() for line in "".join(pieces).split("\n") if line.strip())
