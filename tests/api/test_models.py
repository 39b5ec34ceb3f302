"""The types that requests share."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.faas import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31t12:00:00.25z", datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_by_rfc_3339_is_that_time_in_utc(written: str, moment: datetime) -> None:
    assert (MOMENT.validate_python(written), MOMENT.validate_python(written).tzinfo) == (moment, UTC)


@pytest.mark.parametrize(
    "written",
    [
        "0.5",
        "1769860800",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00Z",
        "2026-02-30T12:00:00Z",
        "now",
        "",
        1769860800,
        True,
        None,
    ],
)
def test_what_is_no_time_by_rfc_3339_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(written)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_utc_has_no_year_for_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="is before the year 1 or after the year 9999"):
        MOMENT.validate_python(written)
