"""What makes the name of a topic, a sender or a view unique, and gives it its place in a list."""

import unicodedata


def name_key(name: str) -> str:
    """Without accents first, then as it is, both in folded case.

    Folding follows the Unicode standard's canonical caseless matching (section 3.13, D145).
    """
    decomposed = unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return f"{unicodedata.normalize('NFC', plain)}\x01{unicodedata.normalize('NFC', decomposed)}"


def one_line(name: str) -> str:
    """The name with white space made single spaces. Raises ValueError if it holds control characters, or shows no character at all."""
    categories = {unicodedata.category(character) for character in name}
    if "Cc" in categories:
        raise ValueError("holds control characters")
    tidy = " ".join(name.split())
    if all(category[0] in "CZ" for category in categories):
        raise ValueError("shows no character")
    return tidy
