"""Page numbers in sentences for a person."""

from collections.abc import Sequence


def in_words(numbers: Sequence[int]) -> str:
    """`page 3`, `pages 2, 5-9`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return f"page{'' if len(numbers) == 1 else 's'} " + ", ".join(
        str(first) if first == last else f"{first}-{last}" for first, last in runs
    )
