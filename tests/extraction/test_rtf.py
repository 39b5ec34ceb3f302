"""RTF is read by the character set of each font, and only what is seen on the paper."""

import pytest

from shared.extraction import content_types
from tests.extraction.conftest import Read


def escaped(text: str, encoding: str) -> bytes:
    return b"".join(b"\\'%02x" % byte if byte > 127 or byte in b"\\{}" else bytes([byte]) for byte in text.encode(encoding))


def rtf(body: bytes, fonts: bytes = rb"{\f0\fnil Arial;}", header: bytes = rb"\ansi\ansicpg1252\deff0") -> bytes:
    return rb"{\rtf1" + header + rb"{\fonttbl" + fonts + b"}" + body + b"}"


@pytest.mark.parametrize(
    ("charset", "encoding", "text"),
    [
        (0, "cp1252", "Fähre über den Strom"),
        (77, "mac_roman", "Fähre über den Strom"),
        (128, "cp932", "表示の棚田"),  # the second byte of the first is a backslash
        (129, "cp949", "방앗간 우물"),
        (134, "gb18030", "水渠和祠堂"),
        (136, "big5", "會議與鑰匙"),
        (161, "cp1253", "συνέλευση"),
        (162, "cp1254", "toplantı ışık"),
        (177, "cp1255", "שלום"),
        (178, "cp1256", "اجتماع"),
        (186, "cp1257", "šeštadienį"),
        (204, "cp1251", "Собрание жильцов"),
        (222, "cp874", "กุญแจ"),
        (238, "cp1250", "Příliš žluťoučký kůň"),
        (255, "cp850", "größere Bäume"),
    ],
)
async def test_the_character_set_of_the_font_is_right(read: Read, charset: int, encoding: str, text: str) -> None:
    fonts = rb"{\f0\fnil\fcharset0 Arial;}{\f3\fswiss\fcharset%d Other;}" % charset
    found = await read(rtf(rb"{\f0 first}\par\plain\f3\fs22 " + escaped(text, encoding) + rb"\par", fonts), "a.rtf")
    assert found.content_type == content_types.RTF
    assert found.pages == [f"first\n{text}"]


async def test_a_font_counts_until_its_group_ends(read: Read) -> None:
    fonts = rb"{\f0\fcharset0 A;}{\f1\fcharset204 B;}"
    assert (await read(rtf(rb"\f0 f\'fcr {\f1 \'e4\'e0} f\'fcr", fonts))).pages == ["für да für"]


async def test_the_second_byte_of_a_letter_may_stand_as_a_letter(read: Read) -> None:
    assert (await read(rtf(rb"\f0 \'92I\'93c", rb"{\f0\fcharset128 MS Gothic;}"))).pages == [b"\x92I\x93c".decode("cp932")]


@pytest.mark.parametrize(
    ("header", "text", "encoding"),
    [
        (rb"\ansi\ansicpg1250\deff0", "zażółć gęślą", "cp1250"),
        (rb"\ansi\ansicpg1251", "Собрание", "cp1251"),
        (rb"\ansi\ansicpg936", "水渠", "gb18030"),
        (rb"\mac", "Gerüst", "mac_roman"),
        (rb"\pc", "Gerüst", "cp437"),
        (rb"\pca", "Gerüst", "cp850"),
    ],
)
async def test_a_font_without_a_character_set_is_in_that_of_the_header(read: Read, header: bytes, text: str, encoding: str) -> None:
    assert (await read(rtf(rb"\f0 " + escaped(text, encoding), header=header))).pages == [text]


@pytest.mark.parametrize(
    ("name", "encoding", "text"), [(b"CE", "cp1250", "łąka"), (b"Cyr", "cp1251", "луг"), (b"Greek", "cp1253", "λιβάδι")]
)
async def test_old_fonts_say_their_script_in_their_name(read: Read, name: bytes, encoding: str, text: str) -> None:
    assert (await read(rtf(rb"\f0 " + escaped(text, encoding), rb"{\f0\fnil Arial %s;}" % name))).pages == [text]


async def test_unicode_stands_in_place_of_what_older_programs_show(read: Read) -> None:
    body = rb"\uc1 \u8364?5 \uc2\u26085\'93\'faZ \uc0\u233\u-255 {\uc3\u955abc}x \uc1\u-10179?\u-8704?"
    assert (await read(rtf(body))).pages == ["€5 日Z é\uff01λx \U0001f600"]


@pytest.mark.parametrize(
    "unseen",
    [
        rb"{\deleted weg}", rb"{\v hidden}", rb"{\*\unknown weg}", rb"{\stylesheet{\s0 Normal;}}", rb"{\pict\pngblip 0badf00d}",
        rb"{\*\shppict{\pict 0bad}}", rb"{\field{\*\fldinst HYPERLINK weg}{\fldrslt }}", rb"{\*\generator Riched;}", rb"{\bin5 we{g\}",
        rb"{\*\bkmkstart weg}", rb"{\info{\author weg}{\operator weg}}",
    ],
)  # fmt: skip
async def test_what_is_not_on_the_paper_is_not_read(read: Read, unseen: bytes) -> None:
    assert (await read(rtf(b"before " + unseen + b"after"))).pages == ["before after"]


async def test_header_footer_notes_and_comments_are_read_around_the_text(read: Read) -> None:
    body = rb"{\header Wasserverband\par}{\footer Konto 12\par}Der Deich{\footnote Kirchenbuch} h\'e4lt{\*\annotation pr\'fcfen}.\par"
    page = (await read(rtf(body))).pages[0]
    assert page.startswith("Wasserverband")
    assert "Der Deich hält." in page
    assert page.index("hält") < page.index("Konto 12") < page.index("Kirchenbuch") < page.index("prüfen")


async def test_cells_and_rows_stand_apart(read: Read) -> None:
    found = await read(rtf(rb"\trowd Gerste\cell Hafer\cell\row\trowd Dinkel\cell 3\cell\row Ende"))
    assert found.pages[0].split() == ["Gerste", "Hafer", "Dinkel", "3", "Ende"]


async def test_signs_that_are_words_of_their_own_are_read(read: Read) -> None:
    body = rb"E\_Akte\~1\emdash\ldblquote gut\rdblquote\tab ver\-eint\line neu\par\{x\}"
    assert (await read(rtf(body))).pages == ["E-Akte\u00a01—“gut”\tvereint\nneu\n{x}"]


async def test_the_title_is_that_of_the_properties(read: Read) -> None:
    assert (await read(rtf(rb"{\info{\title Gr\'fc\'dfe}{\author A}}x"))).title == "Grüße"


async def test_text_given_twice_is_read_once(read: Read) -> None:
    assert (await read(rtf(rb"a{\upr{plain}{\*\ud {uni\u8364 ?}}}b"))).pages == ["auni€b"]


async def test_rtf_cut_off_is_read_as_far_as_it_goes(read: Read) -> None:
    assert (await read(rb"{\rtf1\ansi Der Anfang {\b und")).pages == ["Der Anfang und"]


async def test_a_name_does_not_make_it_rtf(read: Read) -> None:
    assert (await read(b"only text", "a.rtf")).content_type == content_types.TEXT


@pytest.mark.parametrize(
    "body",
    [
        b"{\\pict " + b"0af1\n" * 2_000_000,
        b"\\'e4" * 1_500_000,
        b"{\\header x\\par}" * 50_000,
        b"\\f0{\\f1 a}" * 100_000,
        b"\\" * 2_000_000,
    ],
    ids=["picture", "bytes", "headers", "fonts", "escapes"],
)
async def test_rtf_takes_time_with_its_length(read: Read, body: bytes) -> None:
    assert (await read(rtf(body), "a.rtf")).milliseconds["child_cpu"] < 10_000
