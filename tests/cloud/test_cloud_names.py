"""Names that every cloud takes, and people still know."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cloud import cloud_names
from shared.storage.cloud_addresses import segments


@pytest.mark.parametrize(
    ("filename", "number", "expected"),
    [
        ("Rechnung März.pdf", 1, "Rechnung März.pdf"),
        ("Rechnung März.pdf", 2, "Rechnung März (2).pdf"),
        ("no ending", 3, "no ending (3)"),
        ('a"b*c:d<e>f?g|h;i.pdf', 1, "a_b_c_d_e_f_g_h_i.pdf"),
        ("CON.txt", 1, "_CON.txt"),
        ("com1.tar.gz", 1, "_com1.tar.gz"),
        ("name. .pdf", 1, "name.pdf"),
        ("~$lock.docx", 1, "$lock.docx"),
        (".env", 1, "_env"),
        ("ends with dot.", 1, "ends with dot"),
        ("請求書.pdf", 1, "請求書.pdf"),
        ("...", 1, "document"),
    ],
)
def test_a_name_is_kept_as_far_as_every_cloud_takes_it(filename: str, number: int, expected: str) -> None:
    assert cloud_names.name_for(filename, number) == expected


@given(st.text(max_size=300), st.integers(1, 999))
def test_every_name_is_possible_and_stays_when_made_again(filename: str, number: int) -> None:
    name = cloud_names.name_for(filename.encode("utf-8", "replace").decode(), number)
    assert segments(name) == [name]
    assert len(name.encode()) <= cloud_names.NAME_BYTES
    assert not set('"*:<>?/\\|;') & set(name)
    assert name == name.strip()
    assert not name.endswith(".")
    assert not name.startswith((".", "~"))


def test_names_of_different_numbers_differ() -> None:
    assert len({cloud_names.name_for("ä" * 300 + ".pdf", number) for number in range(1, 200)}) == 199


def test_a_year_has_a_folder() -> None:
    assert cloud_names.folder_for(datetime(2026, 3, 1, tzinfo=UTC)) == "DocuVault/2026"
