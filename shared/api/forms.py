"""A form with one file, read as it comes in (multipart/form-data, RFC 7578): its bytes are never held whole.

    form = await FileForm.open(call.stream, call.headers["content-type"])
    async for chunk in form.chunks(): ...
    form.fields  # those before and after the file

Raises MalformedBody for what is no such form, UnsupportedMediaType for another content type, ValidationFailed for a form without its file.
"""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from shared.errors import MalformedBody, UnsupportedMediaType, ValidationFailed

FILE_FIELD = "file"
MAX_FIELDS = 20
MAX_FIELD_LENGTH = 1024

_BEGIN, _DATA, _END = "begin", "data", "end"


class FileForm:
    """Made by `open`, once the file's own headers are there."""

    def __init__(self, stream: AsyncIterator[bytes], parser: Any, found: "deque[tuple[str, Any]]") -> None:
        self._stream = stream
        self._parser = parser
        self._found = found
        self._complete = False
        self.fields: dict[str, str] = {}
        self.filename = ""
        self.content_type = ""

    @classmethod
    async def open(cls, stream: AsyncIterator[bytes], content_type: str) -> "FileForm":
        """Reads up to where the file's bytes begin."""
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            raise UnsupportedMediaType("Send the document as multipart/form-data, in the field `file`.")
        found: deque[tuple[str, Any]] = deque()
        try:
            parser = MultipartParser(options.get(b"boundary", b""), _callbacks(found))  # type: ignore[arg-type]
        except FormParserError as wrong:
            raise MalformedBody(f"The form cannot be read: {wrong}.") from None
        form = cls(stream, parser, found)
        if not await form._skip_to_file():
            raise ValidationFailed("The form has no file in its field `file`.", errors=[{"loc": ["body", FILE_FIELD], "msg": "is missing"}])
        return form

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file's bytes; then the rest of the form is read, and `fields` is complete."""
        while (item := await self._next()) is not None:
            kind, value = item
            if kind == _DATA:
                yield value
            elif kind == _END:
                break
        if await self._skip_to_file():
            raise ValidationFailed("Send one file at a time.", errors=[{"loc": ["body", FILE_FIELD], "msg": "is there more than once"}])

    async def _skip_to_file(self) -> bool:
        """Reads plain fields until a file begins; False if the form ends first."""
        while (item := await self._next()) is not None:
            _, headers = item
            name, filename, content_type = _disposition(headers)
            if name == FILE_FIELD and filename is not None:
                self.filename, self.content_type = filename, content_type
                return True
            value = bytearray()
            while (item := await self._next()) is not None and item[0] == _DATA:
                value += item[1]
                if len(value) > MAX_FIELD_LENGTH:
                    raise MalformedBody(f"A field of the form is longer than {MAX_FIELD_LENGTH} bytes.")
            self.fields[name] = value.decode("utf-8", "replace")
            if len(self.fields) > MAX_FIELDS:
                raise MalformedBody(f"The form has more than {MAX_FIELDS} fields.")
        return False

    async def _next(self) -> "tuple[str, Any] | None":
        from python_multipart.exceptions import FormParserError

        while not self._found:
            if self._complete:
                return None
            chunk = await anext(self._stream, b"")
            try:
                if chunk:
                    self._parser.write(chunk)
                else:
                    self._complete = True
                    self._parser.finalize()
                    if not self._ended():
                        raise MalformedBody("The form ends in the middle.")
            except FormParserError as wrong:
                raise MalformedBody(f"The form cannot be read: {wrong}.") from None
        return self._found.popleft()

    def _ended(self) -> bool:
        from python_multipart.multipart import MultipartState

        return bool(self._parser.state == MultipartState.END)


def _callbacks(found: "deque[tuple[str, Any]]") -> dict[str, Any]:
    headers: dict[str, str] = {}
    field, value = bytearray(), bytearray()

    def header_end() -> None:
        headers[field.decode("latin-1").lower()] = value.decode("utf-8", "replace")
        field.clear()
        value.clear()

    def headers_finished() -> None:
        found.append((_BEGIN, dict(headers)))
        headers.clear()

    return {
        "on_header_field": lambda data, start, end: field.extend(data[start:end]),
        "on_header_value": lambda data, start, end: value.extend(data[start:end]),
        "on_header_end": header_end,
        "on_headers_finished": headers_finished,
        "on_part_data": lambda data, start, end: found.append((_DATA, data[start:end])),
        "on_part_end": lambda: found.append((_END, None)),
    }


def _disposition(headers: dict[str, str]) -> tuple[str, str | None, str]:
    """The part's name, its filename (None for a plain field) and its content type."""
    from python_multipart.multipart import parse_options_header

    # Browsers send names as UTF-8; the parser of this header knows Latin-1 only.
    raw = headers.get("content-disposition", "").encode("utf-8").decode("latin-1")
    _, options = parse_options_header(raw)
    name = options.get(b"name", b"").decode("utf-8", "replace")
    filename = options.get(b"filename")
    # The HTML standard (form-data encoding) has these three escaped so, and nothing else.
    text = None if filename is None else filename.decode("utf-8", "replace").replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return name, text, headers.get("content-type", "")
