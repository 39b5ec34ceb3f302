# ruff: noqa: E501, RUF100 (records, a line each)
"""Files from before 2007 made by hand: compound files, and the least of Word, Excel, PowerPoint and Outlook in them."""

import struct
from collections.abc import Sequence

_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file of these streams ("folder/name"); those below 4,096 bytes lie in the small sectors."""
    tree: dict[str, list[str]] = {"": []}
    for path in streams:
        names = path.split("/")
        for depth in range(len(names)):
            folder, full = "/".join(names[:depth]), "/".join(names[: depth + 1])
            if full not in tree.setdefault(folder, []):
                tree[folder].append(full)
                if depth < len(names) - 1:
                    tree.setdefault(full, [])
    paths = ["", *(path for path in _walk(tree, ""))]
    sectors: list[bytes] = []
    chains: list[int] = []

    def add(data: bytes) -> int:
        count = -(-len(data) // 512)
        if not count:
            return _END
        first = len(chains)
        sectors.extend(data[512 * number : 512 * (number + 1)].ljust(512, b"\0") for number in range(count))
        chains.extend([*range(first + 1, first + count), _END])
        return first

    starts, small, small_chains = {}, b"", list[int]()
    for path, data in streams.items():
        if len(data) >= 4096:
            starts[path] = add(data)
        else:
            starts[path], count = len(small) // 64, -(-len(data) // 64)
            small += data.ljust(64 * count, b"\0")
            small_chains += [*range(starts[path] + 1, starts[path] + count), _END][: count or 0]
    root = add(small)
    small_table = add(struct.pack(f"<{len(small_chains)}I", *small_chains))
    entries = b""
    for path in paths:
        children = tree.get(path, [])
        siblings = tree.get(path.rpartition("/")[0], []) if path else []
        place = siblings.index(path) if path else 0
        right = paths.index(siblings[place + 1]) if path and place + 1 < len(siblings) else _FREE
        name = ("Root Entry" if not path else path.rpartition("/")[2]).encode("utf-16-le") + b"\0\0"
        kind = 2 if path in streams else 1 if path else 5
        length = len(streams[path]) if path in streams else 0 if path else len(small)
        entries += name.ljust(64, b"\0") + struct.pack(
            "<HBBIII", len(name), kind, 1, _FREE, right, paths.index(children[0]) if children else _FREE
        )
        entries += bytes(36) + struct.pack("<IQ", starts.get(path, 0 if path else root), length)
    directory = add(entries)
    fat_count = 1
    while fat_count * 128 < len(chains) + fat_count:
        fat_count += 1
    fat_sectors = list(range(len(chains), len(chains) + fat_count))
    chains += [_FAT] * fat_count
    table = struct.pack(f"<{len(chains)}I", *chains).ljust(fat_count * 512, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6xIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, fat_count, directory, 0, 4096, small_table, 1, _END, 0)  # fmt: skip  # noqa: E501
    header += struct.pack("<109I", *fat_sectors, *[_FREE] * (109 - fat_count))
    return header + b"".join(sectors) + table


def _walk(tree: dict[str, list[str]], folder: str) -> list[str]:
    found = []
    for child in tree.get(folder, []):
        found += [child, *_walk(tree, child)]
    return found


def doc(text: str, *, footnotes: str = "", headers: str = "", comments: str = "", deleted: tuple[int, int] | None = None, flags: int = 0) -> bytes:  # fmt: skip  # noqa: E501
    """A Word document (MS-DOC) whose text takes two bytes a character; `deleted` says which characters were deleted under tracking."""
    whole = text + footnotes + headers + comments + "\r"
    main = bytearray(0x600)
    struct.pack_into("<HH6xH", main, 0, 0xA5EC, 0xC1, 0x0200 | flags)
    struct.pack_into("<8I", main, 0x4C, len(text), len(footnotes), len(headers), 0, len(comments), 0, 0, 0)
    pieces = struct.pack("<II", 0, len(whole)) + struct.pack("<HIH", 0, 0x600, 0)
    clx = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", main, 0x1A2, 0, len(clx))
    table = clx
    main += whole.encode("utf-16-le")
    if deleted is not None:
        main += bytes(-len(main) % 512)
        start, end = 0x600 + 2 * deleted[0], 0x600 + 2 * deleted[1]
        page = bytearray(512)
        struct.pack_into("<4I", page, 0, 0x600, start, end, 0x600 + 2 * len(whole))
        page[16:19] = bytes((0, 200, 0))
        page[400:404] = bytes((3, 0x00, 0x08, 1))
        page[511] = 3
        struct.pack_into("<II", main, 0xFA, len(table), 12)
        table += struct.pack("<III", 0x600, 0x600 + 2 * len(whole), len(main) // 512)
        main += page
    return compound({"WordDocument": bytes(main), "1Table": table})


def _record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _string(text: str, *, short: bool = False) -> bytes:
    return struct.pack("<BB" if short else "<HB", len(text), 1) + text.encode("utf-16-le")


def xls(sheets: dict[str, Sequence[Sequence[str | float]]], *, formats: dict[int, str] | None = None, styles: Sequence[int] = (), notes: Sequence[str] = (), more: bytes = b"") -> bytes:  # fmt: skip  # noqa: E501
    """A workbook (BIFF8). A number is shown in the style of its column: `styles` are numbers of formats, `formats` their codes."""
    bof = _record(0x809, struct.pack("<HH", 0x600, 5) + bytes(12))
    strings: list[str] = []
    bodies = []
    for number, rows in enumerate(sheets.values()):
        body = _record(0x809, struct.pack("<HH", 0x600, 0x10) + bytes(12)) + _record(0x14, _string("&LBriefkopf"))
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if isinstance(cell, str):
                    strings.append(cell)
                    body += _record(0xFD, struct.pack("<HHHI", row, column, 0, len(strings) - 1))
                else:
                    body += _record(0x203, struct.pack("<HHHd", row, column, column if column < len(styles) else 0, cell))
        for note in notes if number == 0 else ():
            body += (
                _record(0x1B6, struct.pack("<10xH6x", len(note)))
                + _record(0x3C, b"\1" + note.encode("utf-16-le"))
                + _record(0x3C, bytes(16))
            )
        bodies.append(body + _record(0x0A))
    table = struct.pack("<II", len(strings), len(strings)) + b"".join(map(_string, strings))
    shared = _record(0xFC, table[:7999])
    if rest := table[7999:]:  # in the middle of a string, which says anew how wide it is
        shared += _record(0x3C, b"\1" + rest)
    head = more + b"".join(_record(0x41E, struct.pack("<H", number) + _string(code)) for number, code in (formats or {}).items())
    head += b"".join(_record(0xE0, struct.pack("<HH16x", 0, number)) for number in (styles or (0,)))
    length = len(bof) + len(head) + len(shared) + 4 + sum(4 + 6 + 2 + 2 * len(name) for name in sheets)
    directory = b""
    for name, body in zip(sheets, bodies, strict=True):
        directory += _record(0x85, struct.pack("<IBB", length, 0, 0) + _string(name, short=True))
        length += len(body)
    return compound({"Workbook": bof + head + directory + shared + _record(0x0A) + b"".join(bodies)})


def _atom(kind: int, content: bytes = b"", instance: int = 0) -> bytes:
    return struct.pack("<HHI", instance << 4, kind, len(content)) + content


def _container(kind: int, *children: bytes, instance: int = 0) -> bytes:
    content = b"".join(children)
    return struct.pack("<HHI", instance << 4 | 0xF, kind, len(content)) + content


def ppt(slides: Sequence[tuple[str, str, str]], *, abandoned: str = "", token: int = 0xE391C05F) -> bytes:
    """A presentation of slides: title (told by the document's outline), text of a box, notes. `abandoned` is what an older save left."""
    stream = _container(1006, _atom(4000, abandoned.encode("utf-16-le"))) if abandoned else b""
    places: dict[int, int] = {}
    listed, notes_listed = b"", b""
    for number, (title, text, notes) in enumerate(slides):
        places[2 + 2 * number] = len(stream)
        stream += _container(
            1006, _atom(1007, struct.pack("<12xIII", 0, 300 + number, 0)),
            _container(1036, _container(0xF002, _container(0xF00D, _atom(3998, struct.pack("<I", 0))), _container(0xF00D, _atom(4000, text.encode("utf-16-le"))))),
        )  # fmt: skip  # noqa: E501
        places[3 + 2 * number] = len(stream)
        stream += _container(1008, _container(1036, _container(0xF00D, _atom(4008, notes.encode("latin-1")))))
        listed += (
            _atom(1011, struct.pack("<IIIII", 2 + 2 * number, 0, 1, 256 + number, 0))
            + _atom(3999, bytes(4))
            + _atom(4000, title.encode("utf-16-le"))
        )
        notes_listed += _atom(1011, struct.pack("<IIIII", 3 + 2 * number, 0, 0, 300 + number, 0))
    places[1] = len(stream)
    stream += _container(1000, _container(4080, listed), _container(4080, notes_listed, instance=2))
    directory = len(stream)
    count = len(places)
    stream += _atom(6002, struct.pack("<I", count << 20 | 1) + b"".join(struct.pack("<I", places[number]) for number in sorted(places)))
    edit = len(stream)
    stream += _atom(4085, struct.pack("<IIIIIIHH", 0, 0, 0, directory, 1, count + 1, 0, 0))
    return compound({"PowerPoint Document": stream, "Current User": _atom(4086, struct.pack("<III", 20, token, edit) + bytes(12))})


def msg(
    *, subject: str = "", sender: tuple[str, str] = ("", ""), to: Sequence[tuple[str, str]] = (), plain: str = "", html: bytes = b"", code_page: int = 0,
    attachments: Sequence[tuple[str, bytes]] = (), nested: Sequence[dict[str, bytes]] = (),
) -> bytes:  # fmt: skip
    """An Outlook message; `nested` are streams of messages attached to it (`msg_streams`)."""
    return compound(msg_streams(subject, sender, to, plain, html, code_page, attachments, nested, header=32))


def msg_streams(
    subject: str, sender: tuple[str, str] = ("", ""), to: Sequence[tuple[str, str]] = (), plain: str = "", html: bytes = b"", code_page: int = 0,
    attachments: Sequence[tuple[str, bytes]] = (), nested: Sequence[dict[str, bytes]] = (), *, header: int = 24,
) -> dict[str, bytes]:  # fmt: skip
    sent = struct.pack("<HHIQ", 0x40, 0x0039, 6, 134169174000000000)
    streams = {"__properties_version1.0": bytes(header) + sent + struct.pack("<HHIII", 3, 0x3FDE, 6, code_page, 0)}
    texts = {"0037001F": subject, "0C1A001F": sender[0], "5D01001F": sender[1], "1000001F": plain}
    streams |= {f"__substg1.0_{name}": text.encode("utf-16-le") + b"\0\0" for name, text in texts.items() if text}
    if html:
        streams["__substg1.0_10130102"] = html
    for number, (name, address) in enumerate(to):
        folder = f"__recip_version1.0_#{number:08X}"
        streams[f"{folder}/__properties_version1.0"] = bytes(8) + struct.pack("<HHIII", 3, 0x0C15, 6, 1 + number % 2, 0)
        streams[f"{folder}/__substg1.0_3001001F"] = name.encode("utf-16-le") + b"\0\0"
        streams[f"{folder}/__substg1.0_39FE001F"] = address.encode("utf-16-le") + b"\0\0"
    for number, (name, content) in enumerate(attachments):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__properties_version1.0"] = bytes(8)
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le") + b"\0\0"
        streams[f"{folder}/__substg1.0_37010102"] = content
    for number, inner in enumerate(nested, len(attachments)):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__properties_version1.0"] = bytes(8)
        streams |= {f"{folder}/__substg1.0_3701000D/{path}": content for path, content in inner.items()}
    return streams
