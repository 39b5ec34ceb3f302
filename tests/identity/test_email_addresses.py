"""Mail addresses, as far as a form can tell."""

import pytest

from shared.identity.email_addresses import check_address


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.org", "ada@example.org"),
        ("  ada@EXAMPLE.org ", "ada@example.org"),
        ("Ada.Lovelace+vault@sub.example.co.uk", "Ada.Lovelace+vault@sub.example.co.uk"),
        ("admin@localhost", "admin@localhost"),
        ("grüße@bücher.example", "grüße@bücher.example"),
    ],
)
def test_addresses_are_taken(typed: str, kept: str) -> None:
    assert check_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@@example.org",
        "a b@example.org",
        "ada@exa mple.org",
        "ada@example.org\r\nBcc: x@example.org",
        "ada@example.org\0",
        "ada@-example.org",
        "ada@example..org",
        ".ada@example.org",
        "a..b@example.org",
        "ada@127.0.0.1",
        "<ada@example.org>",
        "ada@example.org,eve@example.org",
        f"{'a' * 65}@example.org",
        f"ada@{'a' * 64}.org",
        f"ada@{'a.' * 130}org",
        "ada\u202e@example.org",
    ],
)
def test_what_is_none_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a mail address"):
        check_address(typed)
