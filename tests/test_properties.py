"""Property tests are judged by what they find, never by how long an example took on this machine."""

from hypothesis import settings


def test_no_example_has_a_deadline() -> None:
    assert settings().deadline is None
