"""Keys are read as they were made, and nothing else is taken for one."""

from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.functions import ROOT
from shared.storage.object_keys import EXTENSION, HEALTH_READ, HEALTH_WRITE, AuditExportKey, OriginalKey, ThumbnailKey, is_internal

OWNER = UUID("01890a5d-ac96-774b-bcce-b302099a8057")

originals = st.builds(OriginalKey, st.uuids(), st.uuids(), st.uuids(), st.just("") | st.from_regex(EXTENSION, fullmatch=True))
thumbnails = st.builds(ThumbnailKey, st.uuids(), st.uuids(), st.integers(1, 2**31 - 1))


@given(originals)
def test_an_originals_key_is_read_as_it_was_made(key: OriginalKey) -> None:
    assert OriginalKey.parse(str(key)) == key
    assert not is_internal(str(key))
    assert ThumbnailKey.parse(str(key)) is None


@given(thumbnails)
def test_a_thumbnails_key_is_read_as_it_was_made(key: ThumbnailKey) -> None:
    assert ThumbnailKey.parse(str(key)) == key
    assert is_internal(str(key))
    assert OriginalKey.parse(str(key)) is None


@given(st.builds(AuditExportKey, st.dates()))
def test_an_audit_exports_key_is_read_as_it_was_made(key: AuditExportKey) -> None:
    assert AuditExportKey.parse(str(key)) == key
    assert is_internal(str(key))


@given(st.text() | st.builds("/".join, st.lists(st.text() | st.uuids().map(str), min_size=3, max_size=4)))
@example("")
@example("../../etc/passwd")
@example(f"{OWNER}/{OWNER}/{OWNER}.PDF")
@example(f"{OWNER}/{OWNER}/{OWNER}\n")
@example(f"{str(OWNER).upper()}/{OWNER}/{OWNER}")
@example(f"{{{OWNER}}}/{OWNER}/{OWNER}")
@example(f"{OWNER.hex}/{OWNER}/{OWNER}")
@example(f".derived/{OWNER}/{OWNER}/01.webp")
@example(".audit/2026-02-30.jsonl")
@example(f".derived/{OWNER}/{OWNER}/\u0661.webp")
def test_what_is_read_as_a_key_is_written_the_same(text: str) -> None:
    for kind in (OriginalKey, ThumbnailKey, AuditExportKey):
        key = kind.parse(text)
        assert key is None or str(key) == text


def test_two_uploads_of_one_document_have_two_keys() -> None:
    assert OriginalKey.new(OWNER, OWNER, ".pdf") != OriginalKey.new(OWNER, OWNER, ".pdf")


@pytest.mark.parametrize("key", [HEALTH_READ, HEALTH_WRITE])
def test_what_health_checks_store_is_internal(key: str) -> None:
    assert is_internal(key)


ELSEWHERE = ('f".derived/', 'f".audit/', '".health/', 'key.startswith(".")', 'key.split("/")', 'key.partition("/")')


def test_no_other_module_knows_how_a_key_is_made() -> None:
    sources = [path for folder in ("shared", "functions", "infra") for path in (ROOT / folder).rglob("*.py")]
    knowing = [str(path.relative_to(ROOT)) for path in sources if any(code in path.read_text() for code in ELSEWHERE)]
    assert knowing == ["shared/storage/object_keys.py"]
