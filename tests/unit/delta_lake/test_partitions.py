"""Partition values have one text each, whoever wrote the folder name or read the log."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from batch_processing.delta_lake.partitions import (
    canonical,
    check_partition_types,
    lasting_folder,
    values_from_folders,
)
from batch_processing.errors import DataError, TableError


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("p=a b", "a b"),
        ("p=a%2Fb", "a/b"),
        ("p=a%252Fb", "a%2Fb"),
        ("p=a:b", "a:b"),
        ("p=a%3Ab", "a:b"),
        ("p=50%25", "50%"),
        ("p=%C3%BC€", "ü€"),
        ("p=a=b", "a=b"),
        ("p=a%3Db", "a=b"),
        ("p= a ", " a "),
        ("p=a+b", "a+b"),
        ("p=__HIVE_DEFAULT_PARTITION__", None),
    ],
)
def test_folder_names_of_both_engines_are_decoded(folder: str, value: str | None) -> None:
    assert values_from_folders([folder], ["p"], {"p": "string"}) == {"p": value}


def test_several_levels_keep_their_order() -> None:
    found = values_from_folders(["d=2026-01-02", "n=07"], ["d", "n"], {"d": "date", "n": "integer"})
    assert found == {"d": "2026-01-02", "n": "7"}


@pytest.mark.parametrize(
    ("folder", "kind", "name"),
    [
        ("d=20454", "date", "d=2026-01-01"),
        ("d=0", "date", "d=1970-01-01"),
        ("d=-332", "date", "d=1969-02-03"),
        ("d=-719162", "date", "d=0001-01-01"),
        ("d=2932896", "date", "d=9999-12-31"),
        ("d=-4611686018427387904", "date", "d=__HIVE_DEFAULT_PARTITION__"),
        ("a%3Ab=0", "date", "a%3Ab=1970-01-01"),
        ("n=20454", "integer", "n=20454"),
        ("p=a%2Fb", "string", "p=a%2Fb"),
    ],
)
def test_a_folder_of_a_day_gets_its_date_and_others_keep_their_names(folder: str, kind: str, name: str) -> None:
    assert lasting_folder(folder, kind, column="d") == name


@pytest.mark.parametrize("day", [-719163, 2932897, 20260101, -(2**31), 2**31 - 1])
def test_a_day_outside_the_calendar_is_refused(day: int) -> None:
    with pytest.raises(DataError, match="not a date between the years 1 and 9999") as caught:
        lasting_folder(f"d={day}", "date", column="d")
    assert "column d" in str(caught.value)


@pytest.mark.parametrize("folder", ["d=", "d=2026-01-01", "d"])
def test_a_folder_that_is_not_one_of_a_day_is_refused(folder: str) -> None:
    with pytest.raises(TableError, match="other partition folders"):
        lasting_folder(folder, "date", column="d")


@pytest.mark.parametrize("folders", [[], ["q=1"], ["p=1", "q=2"]])
def test_other_folders_than_asked_for_are_refused(folders: list[str]) -> None:
    with pytest.raises(TableError, match="other partition folders"):
        values_from_folders(folders, ["p"], {"p": "string"})


@pytest.mark.parametrize("folder", ["p=", "p=__NOT_A_PARTITION_VALUE__"])
def test_the_empty_string_is_refused_because_delta_reads_it_as_null(folder: str) -> None:
    with pytest.raises(DataError, match="empty string") as caught:
        values_from_folders([folder], ["p"], {"p": "string"})
    assert "column p" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (date(2026, 1, 2), "date", "2026-01-02"),
        ("2026-01-02", "date", "2026-01-02"),
        ("0007", "long", "7"),
        (-3, "short", "-3"),
        (True, "boolean", "true"),
        ("FALSE", "boolean", "false"),
        (Decimal("0E-8"), "decimal(38,8)", "0.00000000"),
        ("1.50", "decimal(9,2)", "1.50"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "timestamp", "2026-01-02T03:04:05.000006Z"),
        ("2026-01-02 03:04:05", "timestamp", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T05:04:05+02:00", "timestamp", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02 03:04:05.5", "timestamp_ntz", "2026-01-02 03:04:05.500000"),
        (datetime(45, 1, 2, tzinfo=UTC).replace(tzinfo=None), "timestamp_ntz", "0045-01-02 00:00:00.000000"),
        ("", "string", None),
        (None, "date", None),
    ],
)
def test_a_value_has_one_text(value: object, kind: str, text: str | None) -> None:
    assert canonical(value, kind, column="c") == text


@pytest.mark.parametrize(("value", "kind"), [("+10000-01-01", "date"), ("x", "long"), ("x", "decimal(9,2)")])
def test_a_value_of_another_type_is_refused_without_showing_it(value: str, kind: str) -> None:
    with pytest.raises(DataError) as caught:
        canonical(value, kind, column="c")
    assert value not in str(caught.value) or value == "x"


@pytest.mark.parametrize("kind", ["float", "double", "binary", {"type": "struct", "fields": []}])
def test_types_without_one_text_cannot_partition(kind: object) -> None:
    with pytest.raises(TableError, match="cannot partition"):
        check_partition_types({"c": kind}, ["c"], where="t")


def test_usual_types_can_partition() -> None:
    kinds = ["string", "long", "date", "boolean", "decimal(9,2)", "timestamp", "timestamp_ntz"]
    check_partition_types(dict.fromkeys(kinds) | {k: k for k in kinds}, kinds, where="t")
