"""Names that people and attackers give to files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents import filenames


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/", "document"),
        ("..", "document"),
        ("", "document"),
        ("rechnung\0.pdf", "rechnung.pdf"),
        ("a\r\nb.txt", "a b.txt"),
        ("gpj\u202eexe.pdf", "gpjexe.pdf"),
        ("\u200freport\u2066.pdf", "report.pdf"),
        ("Ünïcode \U0001f4c4.pdf", "Ünïcode \U0001f4c4.pdf"),
        ("family \U0001f469\u200d\U0001f467.png", "family \U0001f469\u200d\U0001f467.png"),
        ("u\u0308ber.txt", "über.txt"),
        ("trailing. . ", "trailing"),
        ("lone\ud800surrogate.txt", "lonesurrogate.txt"),
    ],
)
def test_a_name_is_kept_without_what_deceives(given_name: str, kept: str) -> None:
    assert filenames.clean(given_name) == kept


def test_a_long_name_keeps_its_ending() -> None:
    name = filenames.clean("x" * 300 + ".pdf")
    assert len(name) == 255
    assert name.endswith("x.pdf")
    assert len(filenames.clean("y" * 300)) == 255


def test_a_long_name_is_not_cut_inside_an_emoji() -> None:
    family = "\U0001f469\u200d\U0001f467"
    name = filenames.clean("x" * 249 + family + "y" * 50 + ".pdf")
    assert name == "x" * 249 + ".pdf"


@given(st.text())
def test_any_name_becomes_one_that_is_safe(name: str) -> None:
    kept = filenames.clean(name)
    assert 1 <= len(kept) <= 255
    assert kept not in (".", "..")
    assert not set(kept) & set("/\\\0\r\n\u202e")
    kept.encode("utf-8")
    assert filenames.clean(kept) == kept
    assert filenames.title(kept)
    header = filenames.content_disposition("attachment", kept)
    header.encode("ascii")
    assert header.count('"') == 2
    assert all(32 <= ord(character) < 127 for character in header)


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.PDF", ".pdf"), ("a.tar.gz", ".gz"), ("a", ""), (".profile", ""), ("a.p df", ""), ("a.é", ""), ("a." + "b" * 11, "")],
)
def test_a_key_gets_a_plain_ending_only(name: str, ending: str) -> None:
    assert filenames.extension(name) == ending


def test_a_download_is_named_in_ascii_and_in_full() -> None:
    header = filenames.content_disposition("inline", 'Grüße "2024"; 100%.pdf')
    assert header == "inline; filename=\"Gru_e _2024__ 100_.pdf\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%222024%22%3B%20100%25.pdf".replace(
        "Gru_e", "Grue"
    )


@pytest.mark.parametrize(
    ("given_title", "kept"),
    [
        ("Annual Report 2023", "Annual Report 2023"),
        ("Microsoft Word - Kündigung.docx", "Kündigung"),
        ("  Budget \n plan ", "Budget plan"),
        ("untitled", None),
        ("Untitled-1", None),
        ("Scan 2024-01-02", None),
        ("20240102_113355", None),
        ("C:\\Users\\me\\letter.doc", None),
        ("https://example.org/x", None),
        ("", None),
        (None, None),
    ],
)
def test_a_title_is_taken_where_it_tells_something(given_title: str | None, kept: str | None) -> None:
    assert filenames.sane_title(given_title) == kept


def test_without_a_title_the_name_serves() -> None:
    assert filenames.title("tax_return_2023.pdf") == "tax return 2023"
    assert filenames.title(".pdf") == ".pdf"
