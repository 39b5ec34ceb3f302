"""Mails as mail programs really write them: stubs, wrong labels, mails in mails, winmail.dat, archives, reports."""

import base64
import io
import struct
import zipfile
from email.message import EmailMessage

import pytest

from shared.extraction import content_types
from shared.extraction.formats import tnef
from tests.extraction.conftest import Read
from tests.extraction.shared_cases import cases_of, missing_from

HEAD = "From: a@example.org\r\nTo: b@example.org\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n"
LETTER = "Für das Decken der Südseite veranschlagen wir elf Tage, die Dachlatten liefern wir selbst."


def mail(text: str = "See the attachment.", subject: str = "Files") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.org", subject
    message.set_content(text)
    return message


def with_file(content: bytes, name: str, kind: str = "application/octet-stream") -> bytes:
    message = mail()
    message.add_attachment(content, *kind.split("/"), filename=name)
    return message.as_bytes()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return out.getvalue()


@pytest.mark.parametrize(
    "stub",
    [
        "",
        "Your program cannot show HTML.",
        "Diese Nachricht ist im HTML-Format. Bitte öffnen Sie sie im Browser: https://example.org/m?x=1&y=2",
    ],
)
async def test_a_stub_of_plain_text_does_not_hide_the_page(read: Read, stub: str) -> None:
    message = mail(stub)
    message.add_alternative(f"<p>{LETTER} <b>RK-55120</b></p>", subtype="html")
    assert "RK-55120" in (await read(message.as_bytes(), "a.eml")).pages[0]


async def test_plain_text_that_says_the_same_is_read_once(read: Read) -> None:
    message = mail(LETTER)
    message.add_alternative(f"<p>{LETTER}</p>", subtype="html")
    assert (await read(message.as_bytes(), "a.eml")).pages[0].count("Dachlatten") == 1


async def test_plain_text_that_says_more_than_the_page_is_read(read: Read) -> None:
    message = mail(LETTER)
    message.add_alternative("<img src=x alt=''><p>Open in the app</p>", subtype="html")
    assert "Dachlatten" in (await read(message.as_bytes(), "a.eml")).pages[0]


async def test_a_file_hanging_on_the_page_is_read_with_the_plain_text(read: Read) -> None:
    message = mail(LETTER)
    message.add_alternative(f"<p>{LETTER}</p>", subtype="html")
    page = list(message.iter_parts())[1]
    assert isinstance(page, EmailMessage)
    page.make_mixed()
    page.add_attachment(b"Riegel und Schloss", "text", "plain", filename="liste.txt")
    found = await read(message.as_bytes(), "a.eml")
    assert found.pages[1] == "liste.txt\n\nRiegel und Schloss"


@pytest.mark.parametrize("label", ["iso-8859-1", "ISO-8859-1", "us-ascii", "latin1", "windows-1252"])
@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
async def test_windows_signs_are_kept_under_any_western_label(read: Read, label: str, kind: str) -> None:
    body = "48 € – „Frühschwimmer“…Jugendliche"
    content = f"{HEAD}Content-Type: {kind}; charset={label}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + body.encode("cp1252")
    assert body in (await read(content, "a.eml")).pages[0]


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [("gb2312", "gb18030", "會議与钥匙"), ("ks_c_5601-1987", "cp949", "똠방각하 회의"), ("shift_jis", "cp932", "①会議"),
     ("iso-2022-jp", "iso2022_jp", "会議"),
     ("koi8-r", "koi8-r", "Собрание"), ("unknown-8bit", "cp1252", "größere Bäume"), ("windows-1252", "utf-8", "größere Bäume")],
)  # fmt: skip
async def test_a_label_stands_for_the_wider_encoding(read: Read, label: str, encoding: str, text: str) -> None:
    subject = f"=?{label}?B?{base64.b64encode(text.encode(encoding)).decode()}?="
    head = f"From: a@example.org\r\nSubject: {subject}\r\nContent-Type: text/plain; charset={label}\r\n\r\n"
    found = await read(head.encode() + text.encode(encoding), "a.eml")
    assert found.title == text
    assert found.pages[0].endswith(f"\n\n{text}")


@pytest.mark.parametrize(
    "subject",
    [b"=?utf-8?Q?Gr=C3?= =?utf-8?Q?=BC=C3=9Fe?=", "Grüße".encode(), "Grüße".encode("cp1252"), b"=?iso-8859-1?q?Gr=FC=DFe?=",
     b"=?utf-8?B?R3LDvMOfZQ==?=", b"=?utf-8?B?R3LDvMOfZQ?=", b"=?utf-8?Q?Gr=C3=BC?=\r\n =?utf-8?Q?=C3=9Fe?="],
)  # fmt: skip
async def test_a_subject_is_read_however_it_is_encoded(read: Read, subject: bytes) -> None:
    assert (await read(b"From: a@example.org\r\nSubject: " + subject + b"\r\n\r\nx", "a.eml")).title == "Grüße"


NESTED = f"From: c@example.org\r\nSubject: =?utf-8?Q?Ger=C3=BCst?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64.b64encode(LETTER.encode()).decode()}\r\n"  # noqa: E501


@pytest.mark.parametrize("name", ["Nachricht.eml", "message", "ATT00001.dat"])
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-unknown", "text/x-mail"])
async def test_a_mail_in_a_mail_is_read_whatever_its_type(read: Read, kind: str, name: str) -> None:
    page = (await read(with_file(NESTED.encode(), name, kind), "a.eml")).pages[0]
    assert f"Attachment: {name}" in page
    assert "Subject: Gerüst" in page
    assert LETTER in page


@pytest.mark.parametrize("encoding", ["7bit", "base64", "quoted-printable"])
async def test_a_nested_mail_may_be_encoded(read: Read, encoding: str) -> None:
    inner = NESTED.encode()
    if encoding == "base64":
        inner = base64.encodebytes(inner)
    elif encoding == "quoted-printable":
        inner = inner.replace(b"=", b"=3D")
    head = f"{HEAD}Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n"
    content = f"{head}Content-Transfer-Encoding: {encoding}\r\n\r\n".encode() + inner + b"\r\n--m--\r\n"
    page = (await read(content, "a.eml")).pages[0]
    assert "Subject: Gerüst" in page
    assert LETTER in page


async def test_files_of_a_nested_mail_are_read(read: Read) -> None:
    inner = with_file("Riegel schwergängig".encode(), "protokoll.txt", "text/plain")
    found = await read(with_file(with_file(inner, "zwei.eml"), "eins.eml"), "a.eml")
    assert found.pages[1:] == ["protokoll.txt\n\nRiegel schwergängig"]


async def test_a_mail_nested_without_end_is_read_as_far_as_it_makes_sense(read: Read) -> None:
    message = mail("innermost").as_bytes()
    for _ in range(30):
        message = with_file(message, "a.eml", "application/x")
    assert (await read(message, "a.eml")).content_type == content_types.EML


async def test_members_of_an_archive_are_named_and_read(read: Read) -> None:
    archive = zipped(protokoll__txt="Türschloss".encode(), bild__bin=b"\0\1\2\3" * 99, inner__zip=zipped(deep__txt=b"deep down"))
    found = await read(with_file(archive, "akten.zip", "application/zip"), "a.eml")
    assert "Attachment: akten.zip/bild.bin" in found.pages[0]
    assert "Attachment: akten.zip/inner.zip" in found.pages[0]
    assert found.pages[1:] == ["akten.zip/protokoll.txt\n\nTürschloss"]
    assert not found.warnings


async def test_a_member_under_a_password_is_named_and_missed(read: Read) -> None:
    archive = bytearray(zipped(geheim__txt=b"secret words"))
    archive[6] |= 1
    directory = archive.index(b"PK\x01\x02")
    archive[directory + 8] |= 1
    found = await read(with_file(bytes(archive), "akten.zip", "application/zip"), "a.eml")
    assert "Attachment: akten.zip/geheim.txt" in found.pages[0]
    assert [warning.code for warning in found.warnings] == ["attachment_unreadable"]


async def test_an_archive_that_unpacks_to_far_more_is_only_named(read: Read) -> None:
    found = await read(with_file(zipped(gross__txt=b"a" * 40_000_000), "bombe.zip", "application/zip"), "a.eml")
    assert "Attachment: bombe.zip/gross.txt" in found.pages[0]
    assert len(found.pages) == 1
    assert [warning.code for warning in found.warnings] == ["attachment_unreadable"]


async def test_a_report_of_a_mail_server_is_read(read: Read) -> None:
    content = (
        f"{HEAD}Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\n\r\n--r\r\nContent-Type: text/plain\r\n\r\n"
        "Undelivered.\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n"
        "Final-Recipient: rfc822; nobody@example.org\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n mailbox unknown\r\n\r\n--r\r\n"
        "Content-Type: text/rfc822-headers\r\n\r\nFrom: a@example.org\r\nSubject: =?utf-8?Q?Ger=C3=BCst?=\r\n\r\n--r--\r\n"
    )
    page = (await read(content.encode(), "a.eml")).pages[0]
    for words in ("Undelivered.", "nobody@example.org", "550 5.1.1 mailbox unknown", "Subject: Gerüst"):
        assert words in page


def attribute(number: int, content: bytes, level: int = 1) -> bytes:
    return struct.pack("<BHHI", level, number, 0, len(content)) + content + b"\0\0"


def properties(*values: tuple[int, int, bytes]) -> bytes:
    out = struct.pack("<I", len(values))
    for number, kind, content in values:
        out += struct.pack("<HHII", kind, number, 1, len(content)) + content + bytes(-len(content) % 4)
    return out


def winmail(*attributes: bytes) -> bytes:
    return tnef.SIGNATURE + b"\1\0" + b"".join(attributes)


@pytest.mark.parametrize(
    "body",
    [attribute(0x800C, "Gerüst am Dach".encode("cp1252") + b"\0"),
     attribute(0x9003, properties((0x1000, 31, "Gerüst am Dach\0".encode("utf-16-le")))),
     attribute(0x9003, properties((0x3FDE, 258, b"x"), (0x1013, 258, "<p>Gerüst am <b>Dach</b></p>".encode())))],
)  # fmt: skip
async def test_winmail_dat_is_taken_apart(read: Read, body: bytes) -> None:
    file = attribute(0x9002, b"\0" * 14, 2) + attribute(0x8010, b"LISTE~1.TXT\0", 2) + attribute(0x800F, b"Dachlatten", 2)
    named = attribute(0x9005, properties((0x3707, 31, "Liste der Sachen.txt\0".encode("utf-16-le"))), 2)
    found = await read(with_file(winmail(body, file, named), "winmail.dat", "application/ms-tnef"), "a.eml")
    assert "Gerüst am Dach" in found.pages[0]
    assert found.pages[1] == "Liste der Sachen.txt\n\nDachlatten"


async def test_winmail_dat_with_nothing_but_compressed_rtf_is_read(read: Read) -> None:
    text = rb"{\rtf1\ansi Ger\'fcst}"
    literal = b"".join(b"\0" + text[start : start + 8] for start in range(0, len(text), 8))
    packed = struct.pack("<II4sI", len(literal) + 12, len(text), b"LZFu", 0) + literal
    content = winmail(attribute(0x9003, properties((0x1009, 258, packed))))
    assert "Gerüst" in "".join((await read(with_file(content, "winmail.dat"), "a.eml")).pages)


def test_compressed_rtf_refers_back_to_what_was_written() -> None:
    # the example of MS-OXRTFCP, 3.1
    packed = bytes.fromhex("2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0")
    assert tnef.inflate_rtf(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_winmail_dat_cut_off_anywhere_is_read_as_far_as_it_goes(cut: int) -> None:
    whole = winmail(
        attribute(0x9003, properties((0x1000, 31, b"a\0b\0"))),
        attribute(0x9002, b""),
        attribute(0x9005, properties((0x3701, 13, b"x" * 40))),
    )
    assert isinstance(tnef.unwrap(whole[:cut]).plain, str)


_BOMBS = {
    "compressed body": lambda: winmail(
        attribute(0x9003, properties((0x1009, 258, struct.pack("<II4sI", 0, 2**31, b"LZFu", 0) + b"\xff" + b"\x0c\xff" * 2_000_000)))
    ),
    "attributes": lambda: winmail(*[attribute(0x9002, b"")] * 400_000),
    "properties": lambda: winmail(attribute(0x9003, struct.pack("<I", 2**31) + struct.pack("<HHI", 0x1003, 1, 2**31) + bytes(4_000_000))),
    "members": lambda: zipped(**{f"m{number}__txt": b"x" for number in range(20_000)}),
}


@pytest.mark.parametrize("name", _BOMBS)
async def test_what_is_wrapped_takes_no_longer_than_other_documents(read: Read, name: str) -> None:
    found = await read(with_file(_BOMBS[name](), "winmail.dat"), "a.eml")
    assert "See the attachment." in found.pages[0]
    assert found.milliseconds["child_cpu"] < 10_000


@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        ("From: a@b.org (A B)\nSubject: Re: Deiche\nOrganization: C\nLines: 11\n\nhello\n", "51060.txt", content_types.TEXT),
        ("Path: x\nFrom: a@b\nNewsgroups: de.rec\nSubject: D\nMessage-ID: <1@b>\nXref: z\n\nhello\n", "post.txt", content_types.TEXT),
        ("From: a@b.org\nTo: c@d.org\nSubject: Deiche\nDate: 1 Apr 93\n\nhello\n", "notes.md", content_types.TEXT),
        ("Received: from x\nFrom: a@b.org\nSubject: Deiche\n\nhello\n", "saved.txt", content_types.EML),
        ("From: a@b.org\nSubject: Deiche\nNewsgroups: de.rec\n\nhello\n", "post.eml", content_types.EML),
    ],
)  # fmt: skip
def test_posts_kept_as_texts_are_texts(head: str, name: str, kind: str) -> None:
    expected = kind if not name.endswith(".md") else content_types.MARKDOWN
    assert content_types.detect(io.BytesIO(head.encode()), name) == expected


@pytest.mark.parametrize(
    "page",
    [
        '<meta charset="iso-8859-1"><p>12 € – „Gästehaus“',
        '<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=ISO-8859-1"><p>12 € – „Gästehaus“',
        "<meta charset=latin1><p>12&nbsp;€ &#150; &#132;G&auml;stehaus&ldquo;",
        "<html><p>12 € – „Gästehaus“",
    ],
)
async def test_a_page_that_calls_itself_western_keeps_the_signs_of_windows(read: Read, page: str) -> None:
    assert (await read(page.encode("cp1252"), "a.html")).pages == ["12 € – „Gästehaus“"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
async def test_what_a_page_is_in_counts_more_than_what_it_says(read: Read, encoding: str) -> None:
    page = "<!doctype html><meta charset=iso-8859-1><p>12 € – „Gästehaus“"
    assert (await read(page.encode(encoding), "a.html")).pages == ["12 € – „Gästehaus“"]


async def test_a_page_that_calls_itself_utf16_and_is_not_is_read(read: Read) -> None:
    assert (await read("<html><meta charset=utf-16><p>Gästehaus".encode(), "a.html")).pages == ["Gästehaus"]


@pytest.mark.parametrize("case", cases_of("F"), ids=lambda case: case["file"])
async def test_the_shared_cases_of_mails_and_pages(case: dict[str, object], read: Read) -> None:
    assert await missing_from(case, read) == []


async def test_all_of_many_attachments_are_read_and_what_is_left_out_is_said(read: Read) -> None:
    def with_attachments(count: int) -> bytes:
        mail = EmailMessage()
        mail["From"], mail["Subject"] = "anna@example.org", "Viele Anlagen"
        mail.set_content("anbei alles")
        for number in range(count):
            mail.add_attachment(f"Anlage{number}wort", filename=f"datei{number}.txt")
        return bytes(mail)

    found = await read(with_attachments(25), "viele.eml")
    assert found.warnings == []
    assert "Anlage24wort" in found.pages[-1]
    found = await read(with_attachments(230), "sehr-viele.eml")
    text = "\n".join(found.pages)
    assert "Anlage199wort" in text
    assert "datei229.txt" in text
    [warning] = found.warnings
    assert (warning.code, warning.detail) == ("text_cut_short", "200 of 230 attachments were read. Upload the others by themselves.")
