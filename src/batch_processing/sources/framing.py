"""Cuts delimited text into whole records, numbers them, and sets malformed ones aside.

The rules are those of RFC 4180, read leniently where that loses nothing:

- a record ends at a line feed (or CR LF) outside quotes; the last one may lack it;
- a field that starts with the quote ends at the closing quote, which a delimiter or the record's end
  must follow; a quote inside an unquoted field is an ordinary character;
- empty lines are no records, except where a file has a single column;
- a record that breaks the rules costs its own line only: reading goes on at the next line.

Clean blocks are cut with vectorised scans; only a block that holds something odd is walked record by record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from batch_processing.errors import SourceUnreadable

BLOCK_BYTES = 16 << 20
MAX_RECORD_BYTES = 32 << 20
"""A longer record is an error: the file has another line end or format than a reader would guess."""

_LF, _CR = 0x0A, 0x0D
_NO_QUOTES = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Dialect:
    """Delimiter, quote and escape, one ASCII byte each; `blank_records`: an empty line is a record."""

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b'"'
    blank_records: bool = False


@dataclass(frozen=True)
class Broken:
    """A malformed record: its 1-based number, its line, and what is wrong."""

    number: int
    raw: bytes
    error: str


@dataclass(frozen=True)
class Frame:
    """A run of whole records.

    Attributes:
        data: the well-formed records, in RFC 4180 form.
        numbers: the 1-based number of each of them in the file.
        broken: the malformed ones between them.
        raws: the well-formed ones as they stand in the file; None where `data` itself is that.
    """

    data: bytes
    numbers: npt.NDArray[np.int64]
    broken: tuple[Broken, ...] = ()
    raws: tuple[bytes, ...] | None = None

    def raw_records(self, positions: Sequence[int], *, quote: bytes) -> list[bytes]:
        """The text of the well-formed records at some positions (0-based), without line ends."""
        if self.raws is not None:
            return [self.raws[i] for i in positions]
        array = np.frombuffer(self.data, dtype=np.uint8)
        ends = _record_ends(array, np.flatnonzero(array == quote[0]))
        bounds = np.concatenate(([0], ends + 1, [len(self.data)])).tolist()
        return [_without_line_end(self.data[bounds[i] : bounds[i + 1]]) for i in positions]


@dataclass
class _Walk:
    """What the record-by-record walk has found so far."""

    good: list[bytes] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


class Framer:
    """Reads a byte stream as frames.

    Args:
        read: gives at most that many bytes, empty at the end.
        dialect: the delimiter, quote and escape.
        path: for messages.
    """

    def __init__(self, read: Callable[[int], bytes], *, dialect: Dialect, path: str, block: int = BLOCK_BYTES) -> None:
        self._read, self._dialect, self._path, self._block = read, dialect, path, block
        self._data, self._ended = b"", False
        self._next = 1
        self._patterns = _Patterns(dialect)

    @property
    def records(self) -> int:
        """Records met so far, malformed ones included."""
        return self._next - 1

    def start(self, size: int = 4096) -> bytes:
        """The first bytes of what is not yet framed."""
        while len(self._data) < size and not self._ended:
            self._fill()
        return self._data[:size]

    def skip(self, size: int) -> None:
        """Drops bytes from the start of what is not yet framed."""
        self._data = self._data[size:]

    def header(self) -> bytes | None:
        """Takes the first record off as the header; None where the file has no record.

        Raises:
            SourceUnreadable: the first line cannot be a header: bare CR line ends, an open quote.
        """
        while True:
            if not self._data and self._ended:
                return None
            match = self._patterns.record.match(self._data)
            if match and (self._ended or match.group().endswith(b"\n")):
                self._data = self._data[match.end() :]
                text = _without_line_end(match.group())
                if text:
                    return text
                continue
            if self._ended or len(self._data) > MAX_RECORD_BYTES:
                raise self._no_header()
            self._fill()

    def frames(self) -> Iterator[Frame]:
        """The rest of the file, in order.

        Raises:
            SourceUnreadable: a line longer than MAX_RECORD_BYTES.
        """
        while True:
            self._fill()
            if not self._data and self._ended:
                return
            frame = self._clean() or self._walk()
            if len(frame.numbers) or frame.broken:
                yield frame

    def _fill(self) -> None:
        chunk = b"" if self._ended else self._read(self._block)
        self._ended = self._ended or not chunk
        self._data = self._data + chunk if self._data else chunk

    def _clean(self) -> Frame | None:
        """A frame of the block's records where nothing in it is odd; None where a walk is needed."""
        data, dialect = self._data, self._dialect
        if dialect.escape != dialect.quote and dialect.escape in data:
            return None
        array = np.frombuffer(data, dtype=np.uint8)
        quotes = _NO_QUOTES if dialect.quote not in data else np.flatnonzero(array == dialect.quote[0])
        ends = _record_ends(array, quotes)
        cut = len(data) if self._ended else int(ends[-1]) + 1 if len(ends) else 0
        inside = quotes[quotes < cut]
        odd = not cut or len(inside) % 2 or not _quotes_in_place(array[:cut], inside, dialect.delimiter[0])
        if odd or (b"\r" in data and not _returns_in_place(array[:cut], inside)):
            return None
        if not dialect.blank_records and _has_blank_line(array, ends):
            return None
        self._data = data[cut:]
        count = len(ends) + (not len(ends) or int(ends[-1]) != cut - 1)
        return Frame(data if cut == len(data) else data[:cut], self._number(count))

    def _number(self, count: int) -> npt.NDArray[np.int64]:
        numbers = np.arange(self._next, self._next + count, dtype=np.int64)
        self._next += count
        return numbers

    def _walk(self) -> Frame:
        """Takes the block record by record, up to one that goes on beyond it."""
        data, walk, position = self._data, _Walk(), 0
        while position < len(data):
            match = self._patterns.record.match(data, position)
            if match and (self._ended or data[match.end() - 1] == _LF):
                self._keep(match.group(), walk)
                position = match.end()
                continue
            end = self._broken_end(position)
            if end is None:
                break
            error = self._patterns.diagnose(data, position)
            walk.broken.append(Broken(self._next, _without_line_end(data[position:end]), error))
            self._next += 1
            position = end
        self._data = data[position:]
        return Frame(b"".join(walk.good), np.array(walk.numbers, dtype=np.int64), tuple(walk.broken), tuple(walk.raws))

    def _keep(self, text: bytes, walk: _Walk) -> None:
        raw = _without_line_end(text)
        if not raw and not self._dialect.blank_records:
            return
        walk.good.append(self._patterns.normal(raw) + b"\n")
        walk.raws.append(raw)
        walk.numbers.append(self._next)
        self._next += 1

    def _broken_end(self, position: int) -> int | None:
        """Where the malformed record at a position ends; None where more bytes may complete it."""
        data = self._data
        waiting = not self._ended and len(data) - position <= MAX_RECORD_BYTES
        end = data.find(b"\n", position) + 1
        if waiting and (not end or self._patterns.unfinished.match(data, position)):
            return None
        if end or self._ended:
            return end or len(data)
        raise SourceUnreadable(
            f"a line is longer than {MAX_RECORD_BYTES >> 20} MiB",
            where=f"{self._path}, record {self._next}",
            fix="check the file's format and line ends",
        )

    def _no_header(self) -> SourceUnreadable:
        bare = b"\r" in self._data and b"\n" not in self._data
        return SourceUnreadable(
            "the first line cannot be read as a header",
            where=self._path,
            found="line ends that are bare carriage returns"
            if bare
            else "a quote that is not closed, or text after a closing quote",
            fix="deliver the file with LF or CRLF line ends"
            if bare
            else "check the file's header and its quote character",
        )


class _Patterns:
    """Regular expressions for one dialect; possessive, so that no text makes them slow."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        d, q, e = (re.escape(c) for c in (dialect.delimiter, dialect.quote, dialect.escape))
        if dialect.escape == dialect.quote:
            body = b"[^%b]*+(?:%b%b[^%b]*+)*+" % (q, q, q, q)
        else:
            body = b"[^%b%b]*+(?:%b.[^%b%b]*+)*+" % (q, e, e, q, e)
        quoted = b"%b%b%b" % (q, body, q)
        plain = b"[^%b%b\\r\\n][^%b\\r\\n]*+" % (q, d, d)
        one = b"(?:%b|%b|)" % (quoted, plain)
        self.record = re.compile(b"%b(?:%b%b)*+(?:\\r?\\n|\\Z)" % (one, d, one), re.DOTALL)
        self.unfinished = re.compile(b"(?:%b%b)*+%b%b\\Z" % (one, d, q, body), re.DOTALL)
        self._bare_return = re.compile(b"%b(?:%b%b)*+\\r" % (one, d, one), re.DOTALL)
        self._quoted = re.compile(b"((?:^|%b))(%b)" % (d, quoted), re.DOTALL)
        self._escaped = re.compile(b"%b(.)" % e, re.DOTALL)

    def diagnose(self, data: bytes, position: int) -> str:
        """Why the record at a position is malformed."""
        if self.unfinished.match(data, position):
            return "a quoted field is not closed"
        if self._bare_return.match(data, position):
            return "a carriage return stands outside quotes without a line feed"
        return "text follows the closing quote of a field"

    def normal(self, raw: bytes) -> bytes:
        """The record with quotes doubled, where the dialect escapes them otherwise."""
        if self._dialect.escape == self._dialect.quote or self._dialect.escape not in raw:
            return raw
        return self._quoted.sub(lambda match: match[1] + self._unescape(match[2]), raw)

    def _unescape(self, quoted: bytes) -> bytes:
        q = self._dialect.quote
        return q + self._escaped.sub(lambda m: q + q if m[1] == q else m[1], quoted[1:-1]) + q


def _record_ends(array: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions of the line feeds outside quotes."""
    feeds = np.flatnonzero(array == _LF)
    return feeds[np.searchsorted(quotes, feeds) % 2 == 0] if len(quotes) else feeds


def _quotes_in_place(array: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64], delimiter: int) -> bool:
    """Whether each quote opens a field, closes one, or is half of a doubled one."""
    if not len(quotes):
        return True
    opening, closing = quotes[0::2], quotes[1::2]
    doubled_before = np.zeros(len(opening), dtype=bool)
    doubled_before[1:] = closing[:-1] + 1 == opening[1:]
    doubled_after = np.append(doubled_before[1:], False)
    padded = np.concatenate(([_LF], array, [_LF]))
    before, after = padded[opening], padded[closing + 2]
    starts = (before == delimiter) | (before == _LF)
    stops = (after == delimiter) | (after == _LF) | (after == _CR)
    return bool(np.all(starts | doubled_before) and np.all(stops | doubled_after))


def _returns_in_place(array: npt.NDArray[np.uint8], quotes: npt.NDArray[np.int64]) -> bool:
    """Whether each carriage return outside quotes stands before a line feed."""
    returns = np.flatnonzero(array == _CR)
    outside = returns[np.searchsorted(quotes, returns) % 2 == 0]
    return bool(len(outside) == 0 or (outside[-1] + 1 < len(array) and np.all(array[outside + 1] == _LF)))


def _has_blank_line(array: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64]) -> bool:
    """Whether a record ends right after the one before it, or with only a carriage return between."""
    lengths = np.diff(ends, prepend=-1) - 1
    short = ends[lengths <= 1]
    return bool(np.any(lengths == 0) or np.any(array[short - 1] == _CR))


def _without_line_end(record: bytes) -> bytes:
    return record.removesuffix(b"\n").removesuffix(b"\r") if record.endswith(b"\n") else record
