"""When a delivery that failed is tried again, and when it is given up."""

import random

MAX_ATTEMPTS = 12
FIRST_DELAY_SECONDS = 0.5
FACTOR = 3.0
LONGEST_DELAY_SECONDS = 3600.0
JITTER = 0.25


def retry_delay(attempts: int, chance: float | None = None) -> float | None:
    """Seconds to wait after the `attempts`-th failure, or None if it was the last.

    0.5 s, 1.5 s, 4.5 s, … up to an hour, each a quarter more or less (`chance` in 0..1 decides): twelve attempts in about three hours.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    delay = min(FIRST_DELAY_SECONDS * FACTOR ** (attempts - 1), LONGEST_DELAY_SECONDS)
    chance = random.random() if chance is None else chance  # noqa: S311  spreading load, not a secret
    return float(delay * (1 - JITTER + 2 * JITTER * chance))
