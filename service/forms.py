"""Parts of a multipart/form-data body that is in memory."""

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 64


class BadForm(ValueError):
    """The body is no form, or is cut off."""


def read_form(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Name and content of each part, in order. raises: BadForm, in words a client may read."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadForm("Content-Type says multipart/form-data and gives no boundary")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise BadForm("the body cannot be read as multipart/form-data with the boundary given") from None
    if not parts.is_complete:
        raise BadForm("the form is cut off: its last boundary is missing")
    return parts.found


class _Parts:
    """What the parser has met so far."""

    def __init__(self) -> None:
        self.found: list[tuple[str, bytes]] = []
        self.is_complete = False
        self._header = self._value = b""
        self._disposition = b""
        self._chunks: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_begin": self._begin_header,
            "on_header_field": self._more_header,
            "on_header_value": self._more_value,
            "on_header_end": self._end_header,
            "on_part_data": self._more_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        if len(self.found) >= MAX_PARTS:
            raise BadForm(f"the form has more than {MAX_PARTS} parts")
        self._disposition, self._chunks = b"", []

    def _begin_header(self) -> None:
        self._header = self._value = b""

    def _more_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _more_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value

    def _more_data(self, data: bytes, start: int, end: int) -> None:
        self._chunks.append(data[start:end])

    def _end_part(self) -> None:
        name = parse_options_header(self._disposition)[1].get(b"name")
        if name is None:
            raise BadForm("a part of the form has no name")
        self.found.append((name.decode("utf-8", "replace"), b"".join(self._chunks)))

    def _end(self) -> None:
        self.is_complete = True
