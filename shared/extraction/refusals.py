"""What is told of a file that cannot be read: what its owner can do about it."""

from pathlib import PurePath

_UNPACK = "Unpack it and upload the files in it."
_AS_PDF = "Save it as PDF and upload that."
_AS_OFFICE = "Save it as DOCX, XLSX, PPTX or PDF and upload that."
_PRINT = "Print it to a PDF and upload that."

_ADVICE = {
    _UNPACK: "zip 7z rar gz tgz bz2 xz zst tar cab iso dmg jar pst ost mbx",
    _AS_OFFICE: "wpd wps wri sxw sxc sxi 123 wk1 wk3 wk4 qpw hwp abw pages numbers key doc dot xls xlt ppt pps pot xlsb",
    _AS_PDF: "odf odc odb vsd vsdx pub xps oxps one dwg dxf ai eps ps indd cdr djvu djv mobi azw azw3 fb2 svg psd xcf mpp tex dvi p7m",
    "Save its tables as CSV or XLSX and upload those.": "sqlite sqlite3 db mdb accdb dbf parquet feather avro orc",
    "Save it as JPEG or PNG and upload that.": "avif jxl raw cr2 cr3 nef arw dng orf rw2 ico jp2 j2k pcx tga emf wmf ppm pgm pbm pam pnm",
    "Only documents and pictures can be kept here, no recordings.": "mp3 wav flac ogg m4a aac wma opus mp4 mov avi mkv webm wmv mpg 3gp",
    "Programs cannot be kept here.": "exe dll msi com bat apk deb rpm bin so dylib",
}
_BY_EXTENSION = {extension: advice for advice, extensions in _ADVICE.items() for extension in extensions.split()}

_SIGNATURES = (
    (b"PK\x03\x04", _UNPACK), (b"PK\x05\x06", _UNPACK), (b"\x1f\x8b", _UNPACK), (b"7z\xbc\xaf\x27\x1c", _UNPACK),
    (b"Rar!\x1a\x07", _UNPACK), (b"BZh", _UNPACK), (b"\xfd7zXZ\0", _UNPACK), (b"\x28\xb5\x2f\xfd", _UNPACK),
    (b"!BDN", _UNPACK), (b"AT&TFORM", _AS_PDF),
    (b"\xffWPC", _AS_OFFICE), (b"8BPS", _AS_PDF), (b"%!PS", _AS_PDF), (b"MZ", _BY_EXTENSION["exe"]), (b"\x7fELF", _BY_EXTENSION["exe"]),
    (b"ID3", _BY_EXTENSION["mp3"]), (b"OggS", _BY_EXTENSION["mp3"]), (b"fLaC", _BY_EXTENSION["mp3"]),
    (b"\x1aE\xdf\xa3", _BY_EXTENSION["mp4"]),
)  # fmt: skip


def advice(filename: str, head: bytes = b"") -> str:
    """A sentence that says what to do with a file of that name that begins with `head`."""
    if by_name := _BY_EXTENSION.get(PurePath(filename.lower()).suffix.removeprefix(".")):
        return by_name
    return next((advice for signature, advice in _SIGNATURES if head.startswith(signature)), _PRINT)
