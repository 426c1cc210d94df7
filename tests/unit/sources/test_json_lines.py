"""JSON lines: the same account as for CSV."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from batch_processing.errors import SourceUnreadable

from .landed import land, rejected, rejects, values

COLUMNS = {"id": "bigint", "x": "double", "s": "string", "d": "date", "m": "decimal(6,2)", "b": "boolean"}


def test_objects_land_and_absent_keys_are_null(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"s":"\\u00e9","id":1,"x":2,"d":"2026-11-01","m":1.10,"b":true}\r\n\n{"id":2}\n{"id":3,"m":"4.5"}'
    )
    first, second, third = values(land(tmp_path, content, COLUMNS, name="in.jsonl", format="jsonl"))
    assert first[:4] == (1, 1, 2.0, "é")
    assert first[5:] == (Decimal("1.10"), True)
    assert second == (2, 2, None, None, None, None, None)
    assert third[5] == Decimal("4.50")


@pytest.mark.parametrize(
    ("line", "column", "error"),
    [
        (b"{", None, "not JSON"),
        (b"[1]", None, "expected a JSON object, found an array"),
        (b"null", None, "found null"),
        (b"12", None, "found a number"),
        (b'{"id":NaN}', None, "NaN and Infinity are no JSON"),
        (b'{"id":1,"id":2}', None, "a key stands twice"),
        (b'{"s":"\xff"}', None, "not UTF-8"),
        (b'{"id":' + b"9" * 5000 + b"}", None, "too long"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"id":1,"zip":2}', "zip", "not declared"),
        (b'{"id":"1"}', "id", "not a valid bigint"),
        (b'{"id":true}', "id", "not a valid bigint"),
        (b'{"id":1.5}', "id", "not a valid bigint"),
        (b'{"id":9223372036854775808}', "id", "not a valid bigint"),
        (b'{"x":"1"}', "x", "not a valid double"),
        (b'{"x":9007199254740993}', "x", "not a valid double"),
        (b'{"x":1e999}', "x", "not a valid double"),
        (b'{"s":1}', "s", "not a valid string"),
        (b'{"s":"\\ud800"}', "s", "not a valid string"),
        (b'{"s":"a\\u0000b"}', "s", "not a valid string"),
        (b'{"s":{}}', "s", "not a valid string"),
        (b'{"d":"2026-02-30"}', "d", "not a valid date"),
        (b'{"d":20261101}', "d", "not a valid date"),
        (b'{"m":1.234}', "m", "not a valid decimal"),
        (b'{"b":1}', "b", "not a valid boolean"),
    ],
)
def test_a_line_that_does_not_fit_is_a_reject(tmp_path: Path, line: bytes, column: str | None, error: str) -> None:
    landed = land(tmp_path, b'{"id":1}\n' + line + b'\n{"id":3}\n', COLUMNS, name="in.jsonl", format="jsonl")
    assert [v[:2] for v in values(landed)] == [(1, 1), (3, 3)]
    assert [r[:2] for r in rejected(landed)] == [(2, column)]
    assert error in rejects(landed)[0]["error"]
    assert rejected(landed)[0][2] == line.decode("utf-8", errors="backslashreplace")
    assert (landed.read, landed.landed, landed.rejected) == (3, 2, 1)


def test_unknown_keys_can_be_ignored(tmp_path: Path) -> None:
    landed = land(
        tmp_path, b'{"id":1,"q":2}\n', {"id": "bigint"}, name="i.jsonl", format="jsonl", extra_columns="ignore"
    )
    assert values(landed) == [(1, 1)]


def test_compressed_and_empty_files(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"id":1}\n' * 3)
    assert land(tmp_path, packed, {"id": "bigint"}, name="i.jsonl.gz", format="jsonl").landed == 3
    assert land(tmp_path, b"", {"id": "bigint"}, name="e.jsonl", format="jsonl").read == 0
    with pytest.raises(SourceUnreadable):
        land(tmp_path, packed[:-9], {"id": "bigint"}, name="c.jsonl.gz", format="jsonl")
