"""Reading an HTTP/1.1 response from the bytes of a connection, in whatever pieces they come."""

import re
from collections.abc import Generator
from dataclasses import dataclass

from ..errors import HttpError
from .text import whole_number

_MAX_HEAD = 1024 * 1024  # bytes, as Go's client takes it
_MAX_HEADERS = 1_000
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: .*)?")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FOLD = re.compile(r"\r?\n[ \t]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_LINE_END = re.compile(rb"\r?\n")
_SWITCHING_PROTOCOLS, _OK, _NO_CONTENT, _NOT_MODIFIED = 101, 200, 204, 304


@dataclass(frozen=True, slots=True)
class Response:
    """A response; `reusable` is whether its connection takes another request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reusable: bool


Reader = Generator[None, bytes, Response]
"""Takes the pieces of a connection by `send`, b"" for its end, and returns the response."""


def read_response(most: int) -> Reader:
    """Read one response, and no more than the first `most` bytes of its body.

    Raises:
        HttpError: it is malformed, or the connection ended in the middle of it.
    """
    source = _Source()
    while True:
        head = yield from source.until(_HEAD_END, _MAX_HEAD, "the head of the answer")
        version, status, headers = _parse_head(head)
        if status >= _OK or status == _SWITCHING_PROTOCOLS:
            break  # and not an interim one
    values = {name.lower(): value for name, value in headers}
    kept = _kept_alive(version, values) and status != _SWITCHING_PROTOCOLS
    if status in (_SWITCHING_PROTOCOLS, _NO_CONTENT, _NOT_MODIFIED):
        body, whole = b"", True
    elif "transfer-encoding" in values:
        body, whole = yield from _chunked(source, values, most)
    elif "content-length" in values:
        length = _content_length(headers)
        body, whole = (yield from source.exactly(min(length, most))), length <= most
    else:
        body, whole = (yield from source.to_end(most)), False
    return Response(status, headers, body, reusable=kept and whole and not source.left)


class _Source:
    """What has come of a connection and is not read yet."""

    def __init__(self) -> None:
        self.left = bytearray()

    def until(self, end: re.Pattern[bytes], most: int, what: str) -> Generator[None, bytes, bytes]:
        """Return what comes before `end`, and skip `end`."""
        seen = 0
        while (found := end.search(self.left, max(0, seen - 3))) is None:
            seen = len(self.left)
            if seen > most:
                raise HttpError(f"{what} is longer than {most} bytes")
            yield from self._more()
        before = bytes(self.left[: found.start()])
        del self.left[: found.end()]
        return before

    def exactly(self, count: int) -> Generator[None, bytes, bytes]:
        while len(self.left) < count:
            yield from self._more()
        taken = bytes(self.left[:count])
        del self.left[:count]
        return taken

    def to_end(self, most: int) -> Generator[None, bytes, bytes]:
        """Return what comes until the connection ends, or the first `most` bytes of it."""
        while len(self.left) < most and (piece := (yield)):
            self.left += piece
        return bytes(self.left[:most])

    def _more(self) -> Generator[None, bytes, None]:
        piece = yield
        if not piece:
            raise HttpError("the connection was closed before the answer was complete")
        self.left += piece


def _parse_head(head: bytes) -> tuple[bytes, int, list[tuple[str, str]]]:
    first, _, rest = head.partition(b"\n")
    status_line = _STATUS.fullmatch(first.rstrip(b"\r"))
    if status_line is None:
        raise HttpError(f"the answer is not HTTP/1.1: it begins with {first[:40]!r}")
    text = _FOLD.sub(" ", rest.decode("utf-8", "surrogateescape"))
    lines = text.split("\n") if text else []
    if len(lines) > _MAX_HEADERS:
        raise HttpError(f"the answer has more than {_MAX_HEADERS} headers")
    return status_line[1], int(status_line[2]), [_parse_field(line) for line in lines]


def _parse_field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise HttpError(f"the answer has a malformed header: {line[:40]!r}")
    return name, value.strip(" \t\r")


def _kept_alive(version: bytes, values: dict[str, str]) -> bool:
    wishes = values.get("connection", "").lower()
    return "close" not in wishes if version == b"1" else "keep-alive" in wishes


def _content_length(headers: list[tuple[str, str]]) -> int:
    given = {value for name, value in headers if name.lower() == "content-length"}
    length = whole_number(given.pop())
    if length is None or given:
        raise HttpError("the answer's Content-Length is not one number")
    return length


def _chunked(
    source: _Source, values: dict[str, str], most: int
) -> Generator[None, bytes, tuple[bytes, bool]]:
    """Return the body, or the first `most` bytes of it, and whether it is whole."""
    coding = values["transfer-encoding"].strip().lower()
    if coding != "chunked":
        raise HttpError(f"the answer's Transfer-Encoding {coding[:40]!r} is not known")
    body = bytearray()
    while size := (yield from _chunk_size(source)):
        body += yield from source.exactly(min(size, most - len(body)))
        if len(body) >= most:
            return bytes(body), False
        if (yield from source.until(_LINE_END, 1, "the end of a chunk")):
            raise HttpError("the answer has a chunk that is longer than its size")
    while (yield from source.until(_LINE_END, _MAX_HEAD, "a trailer")):
        pass
    return bytes(body), "content-length" not in values


def _chunk_size(source: _Source) -> Generator[None, bytes, int]:
    line = yield from source.until(_LINE_END, _MAX_HEAD, "the size of a chunk")
    size = _CHUNK_SIZE.fullmatch(line)
    if size is None:
        raise HttpError(f"the answer has a malformed chunk: {line[:40]!r}")
    return int(size[1], 16)
