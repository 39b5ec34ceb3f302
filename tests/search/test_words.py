"""What a word is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.search import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße, ÜBER-größe; naïve", ["strasse", "uber", "grosse", "naive"]),
        ("u\u0308ber \ufb01n x² ①", ["uber", "fin", "x2", "1"]),
        ("snake_case don't a.b@c.de", ["snake", "case", "don", "t", "a", "b", "c", "de"]),
        ("請求書 です", ["請", "求", "書", "で", "す"]),
        ("ﾎﾞｰﾄ ボート Ａ４", ["ボ", "ー", "ト", "ボ", "ー", "ト", "a4"]),
        ("창고에", ["창", "고", "에"]),
        ("กุญแจ ຫ້ອງ", ["กุ", "ญ", "แ", "จ", "ຫ້", "ອ", "ງ"]),
        ("Rech\u00adnung zero\u200bwidth", ["rechnung", "zerowidth"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("Łódź Ærø İstanbul ΑΘΉΝΑ Ёлка", ["lodz", "aero", "istanbul", "αθηνα", "елка"]),
        ("… — ½", ["12"]),
        ("x" * 500, ["x" * 100]),
    ],
)
def test_text_is_cut_into_folded_words(text: str, expected: list[str]) -> None:
    assert words.words(text) == expected


@given(text=st.text())
def test_words_spans_and_tokens_agree(text: str) -> None:
    found = words.words(text)
    spans = list(words.spans(text))
    assert len(found) == len(spans)
    tokens = [(words.fold(token), start) for token, start in words.tokens(text)]
    assert [(word, start) for word, (start, _) in zip(found, spans, strict=True)] == tokens


@given(text=st.one_of(st.text(), st.text(st.characters(codec="cp1252")), st.text(st.sampled_from("aZ9_ßÜ·\u00adˆªŒ²'’-€ \n"))))
def test_a_text_is_cut_into_its_tokens(text: str) -> None:
    found, starts = words.cut(text)
    assert list(zip(found, starts, strict=True)) == list(words.tokens(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wi-Fi, KFZ-Versicherung", ["wifi", "kfzversicherung"]),
        ("on-the-job training", ["onthejob"]),
        ("AB-1234 030-1234567", ["ab1234"]),
        ("a - b -c d- --e-- f--g", []),
        ("Über\u2011Nacht", ["ubernacht"]),
        ("a-b-c", ["abc"]),
        ("-" * 1_000 + "a-b", ["ab"]),
        ("x" * 99 + "-" + "y" * 99, []),
        ("-", []),
    ],
)
def test_hyphens_make_one_word(text: str, expected: list[str]) -> None:
    found, starts = words.cut(text)
    assert [words.fold(joined) for _, _, joined in words.hyphenated(text, found, starts)] == expected


@given(text=st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    for word in words.words(text):
        assert words.fold(word) == word
