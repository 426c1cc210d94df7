"""Any file at all ends in values with lines, or in clear problems: never in a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_processing.settings.document import MOST_BYTES, MOST_DEPTH, read_document, read_text
from tests.unit.settings.declarations import problems_in

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"", 1, "is empty"),
        (b"# nothing\n\n", 1, "is empty"),
        (b"- a\n- b\n", 1, "found a list"),
        (b"text", 1, "found a single value"),
        (b"null", 1, "found nothing"),
        (b"\x00\x01\x02binary", 1, "control characters"),
        (b"\x7fELF\x02\x01\xff\xfe", 1, "not text in UTF-8"),
        ("pipeline: é".encode("utf-16"), 1, "not text in UTF-8"),
        (b"pipeline: a\nowner: \xe9\n", 2, "not text in UTF-8"),
        (b"pipeline: a\nsources:\n\torders: 1\n", 3, "spaces, not tabs"),
        (b"pipeline: a\nowner: @me\n", 2, "in quotes"),
        (b"schedule: */5 * * * *\n", 1, "in quotes"),
        (b"target:\n  table: {{ var.value.x }}/batch\n", 2, "in quotes"),
        (b"target:\n  table: {{ var.value.x }}\n", 2, "put a value that begins with { or [ in quotes"),
        (b"pipeline: a\n owner: b\n", 2, "check the indentation"),
        (b"pipeline: a\n---\npipeline: b\n", 2, "one pipeline"),
        (b"pipeline: [a\n", 2, "is not YAML"),
        (b"a: *missing\n", 1, "undefined alias"),
        (b"a: &x {b: *x}\n", 1, "levels deep"),
        (b"pipeline: !!python/object/apply:os.system [id]\n", 1, "is not allowed"),
        (b"pipeline: !secret x\n", 1, "has the tag !secret"),
        (b"start_date: 2026-13-45\n", 1, "is not a value YAML can read"),
        (b"retries: " + b"9" * 5000, 1, "is not a value YAML can read"),
        (b"a: " + b"[" * 50_000, 1, "levels deep"),
        (b"a: " + b"{a: " * 20_000, 1, "levels deep"),
        (b"x: 'a'\n" * (MOST_BYTES // 7 + 1), None, "longer than"),
        (BOMB.encode(), 1, "aliases expanded"),
        (b"pipeline: a\npipeline: b\n", 2, "given twice, first in line 1"),
        (b'a: "\\UFFFFFFFF"\n', 1, "cannot be read as YAML"),
        (b"<<: 3\n", 1, "takes a mapping"),
    ],
)
def test_an_absurd_file_is_told_in_one_line(tmp_path: Path, text: bytes, line: int | None, message: str) -> None:
    started = time.monotonic()
    problems = problems_in(tmp_path, text)
    assert time.monotonic() - started < 5
    matching = [problem for problem in problems if message in problem.message]
    assert matching, [str(problem)[:300] for problem in problems]
    assert matching[0].line == line
    assert all(len(str(problem)) < 2_000 and "\n" not in str(problem) for problem in problems)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet="ab:-{}[]&*!|>'\"%@`#?,\n\t <0x\\U1~", max_size=60).map(str.encode),
    )
)
def test_no_bytes_escape_as_another_error(tmp_path: Path, content: bytes) -> None:
    assert problems_in(tmp_path, content)


def test_keys_stay_text_where_yaml_would_bend_them() -> None:
    document = read_text("on: 1\nno: 2\n3: 4\nnull: 5\n", file="f")
    assert document.data == {"on": 1, "no": 2, "3": 4, "null": 5}


def test_each_value_knows_its_line_and_a_missing_one_its_holders() -> None:
    document = read_text("a:\n  b:\n    - x\n    - y\n", file="f")
    assert document.line_of(("a", "b", 1)) == 4
    assert document.line_of(("a", "b", "missing")) == 2
    assert document.line_of(("missing",)) == 1


def test_anchors_and_merges_work_as_in_yaml() -> None:
    document = read_text("base: &base {x: 1, y: 2}\nown: {<<: *base, y: 3}\nboth: {<<: [{x: 7}, *base]}\n", file="f")
    assert document.problems == ()
    assert document.data == {"base": {"x": 1, "y": 2}, "own": {"x": 1, "y": 3}, "both": {"x": 7, "y": 2}}


def test_depth_just_within_the_limit_is_read() -> None:
    assert read_text("[" * MOST_DEPTH + "]" * MOST_DEPTH, file="f").problems == ()


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    assert read_document(file).data == {"a": 1, "b": "x"}


def test_all_duplicates_and_bad_values_are_reported_together() -> None:
    document = read_text("a: 1\na: 2\nb: 2026-13-45\nc: {d: 1, d: 2}\n", file="f")
    assert [(problem.line, problem.key) for problem in document.problems] == [(2, "a"), (3, "b"), (4, "c.d")]
