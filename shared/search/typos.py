"""How typos are tolerated: a word that no document has stands for the nearest of those that some have (`plan`, `CORRECTIONS`)."""


def edits_allowed(word: str) -> int:
    """How many edits a word of the query may be away from one that it was meant for."""
    return 1 if len(word) <= 5 else 2 if len(word) <= 12 else 3


def distance(left: str, right: str) -> int:
    """Edits between two words: letters put in, left out, changed, or two neighbours swapped (optimal string alignment)."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        line = [row]
        for column, b in enumerate(right, 1):
            edits = min(above[column] + 1, line[column - 1] + 1, above[column - 1] + (a != b))
            if row > 1 and column > 1 and a == right[column - 2] and b == left[row - 2]:
                edits = min(edits, before[column - 2] + 1)
            line.append(edits)
        before, above = above, line
    return above[-1]
