"""`batchctl quarantine`: what is there, by slice and rule; rows and exports with their values masked."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_processing.cli.main import run_cli
from tests.services.project import GOOD_ROWS, SmallProject

Command = Callable[..., tuple[int, str, str]]
BAD = [",1,77.25,2026-11-01", "7,1,5.0,2026-11-01", "987201,,-3.5,2026-11-01", "987202,1,1234567,2026-11-01"]
NULL_ID = "expect_column_values_to_not_be_null(id)"
SECRETS = ("77.25", "-3.5", "1234567", "987201", "987202")


@pytest.fixture
def quarantine(project: SmallProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `batchctl quarantine` in the project; gives exit code, output and error output."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.root)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = run_cli(["quarantine", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def filled(project: SmallProject) -> SmallProject:
    project.write_orders([*GOOD_ROWS, *BAD])
    assert project.run().rows.quarantined == 5
    project.write_orders([*GOOD_ROWS, BAD[0]])
    assert project.run(day="2026-11-02").rows.quarantined == 1
    return project


def test_ls_tells_slices_rows_and_rules(filled: SmallProject, quarantine: Command) -> None:
    code, out, _ = quarantine("ls", "--json")
    assert code == 0
    (table,) = json.loads(out)["tables"]
    assert (table["pipeline"], table["source"]) == ("orders", "orders")
    assert [(part["slice"], part["rows"]) for part in table["slices"]] == [
        ("2026-11-01T02:00:00Z", 5),
        ("2026-11-02T02:00:00Z", 1),
    ]
    assert sorted(table["slices"][0]["rules"].values()) == [1, 2, 2]
    for arguments, slices, rows in (
        (("--slice", "2026-11-02"), 1, 1),
        (("--slice", "2026-11-01T03:00+01:00"), 1, 5),
        (("--rule", "expect_column_values_to_be_unique(id)"), 1, 2),
    ):
        (table,) = json.loads(quarantine("ls", "--json", *arguments)[1])["tables"]
        assert (len(table["slices"]), sum(part["rows"] for part in table["slices"])) == (slices, rows)
    out = quarantine("ls")[1]
    assert "orders / orders" in out
    assert "expect_column_values_to_be_unique(id) 2" in out
    assert "nothing is quarantined that fits" in quarantine("ls", "--rule", "other")[1]


def test_show_keeps_type_and_nullness_and_hides_the_values_unless_asked(
    filled: SmallProject, quarantine: Command
) -> None:
    code, out, _ = quarantine("show", "--slice", "2026-11-01")
    assert code == 0
    assert "5 of 5 rows" in out
    assert "amount (double): •••" in out
    assert "id (bigint): null" in out
    assert "customer_id (bigint): null" in out
    assert not any(secret in out for secret in SECRETS)
    code, raw, _ = quarantine("show", "--raw")
    assert code == 0
    assert all(secret in raw for secret in SECRETS)
    assert "1 of 6 rows" in quarantine("show", "--limit", "1")[1]
    shown = quarantine("show", "--rule", "'; drop table q")[1]
    assert "0 of 0 rows" in shown
    assert "batchctl quarantine ls" in shown


def test_an_export_is_masked_unless_raw_is_asked_for(filled: SmallProject, quarantine: Command, tmp_path: Path) -> None:
    for suffix in ("csv", "parquet", "jsonl"):
        check_export(quarantine, suffix, tmp_path)


def check_export(quarantine: Command, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"it's bad.{suffix}"
    code, out, _ = quarantine("export", str(file), "--slice", "2026-11-01")
    assert (code, "5 rows" in out, "values masked" in out) == (0, True, True)
    rows = read(file)
    assert rows.num_rows == 5
    assert set(rows["amount"].to_pylist()) == {"••• double"}
    assert sorted(rows["id"].to_pylist(), key=str) == [None] + ["••• bigint"] * 4
    assert rows["_source_row"].to_pylist() == [7, 101, 102, 103, 104]
    code, out, _ = quarantine("export", str(file), "--rule", "expect_column_values_to_not_be_null(id)", "--raw")
    assert (code, "2 rows" in out, "values masked" in out) == (0, True, False)
    assert read(file)["amount"].to_pylist() == [77.25, 77.25]
    assert [path.name for path in tmp_path.glob(f"*bad.{suffix}*")] == [file.name]


def read(file: Path) -> pa.Table:
    if file.suffix == ".parquet":
        return pq.read_table(file)
    with duckdb.connect() as database:
        database.execute("set variable f = $1", [str(file)])
        reader = "read_csv(getvariable('f'), header = true)" if file.suffix == ".csv" else "read_json(getvariable('f'))"
        return database.sql(f"select * from {reader}").to_arrow_table()


def test_what_names_nothing_is_told_with_what_there_is(filled: SmallProject, quarantine: Command) -> None:
    for arguments, code, words in (
        (("export", "x.xlsx"), 2, ".csv, .parquet, .jsonl"),
        (("export", "no/such/folder/x.csv"), 3, "cannot write the export"),
        (("ls", "--slice", "tomorrow"), 2, "cannot read a slice"),
        (("show", "--source", "ordres"), 2, "orders / orders"),
        (("show", "--pipeline", "nothing"), 2, "no quarantine table of nothing"),
        (
            ("export", "x.csv", "--rule", "expect_column_values_to_be_uniqe(id)"),
            2,
            "expect_column_values_to_be_unique(id)",
        ),
        (("shwo",), 2, "show"),
    ):
        found, _, err = quarantine(*arguments)
        assert found == code
        assert words in err
        assert "Traceback" not in err


def test_a_rule_that_no_row_broke_exports_no_row(filled: SmallProject, quarantine: Command, tmp_path: Path) -> None:
    unbroken = ("--slice", "2026-11-02", "--rule", "expect_column_values_to_be_unique(id)")
    code, out, _ = quarantine("export", str(tmp_path / "x.jsonl"), *unbroken)
    assert (code, out.startswith("0 rows")) == (0, True)


def test_rows_come_in_the_order_of_their_numbers(project: SmallProject, quarantine: Command, tmp_path: Path) -> None:
    project.write_orders([f",1,{number}.0,2026-11-01" if number in (9, 10, 100) else row
                          for number, row in enumerate(GOOD_ROWS * 2, 1)][:120])  # fmt: skip
    project.run()
    shown = [line.split(": ")[1] for line in quarantine("show", "--raw", "--rule", NULL_ID)[1].splitlines()
             if "_source_row" in line]  # fmt: skip
    assert shown == ["9", "10", "100"]
    file = tmp_path / "x.jsonl"
    quarantine("export", str(file), "--rule", NULL_ID)
    assert [json.loads(line)["amount"] is not None for line in file.read_text().splitlines()] == [True] * 3


def test_where_nothing_is_quarantined_that_is_said(project: SmallProject, quarantine: Command) -> None:
    for _ in range(2):
        code, out, _ = quarantine("ls")
        assert (code, out.strip()) == (0, "nothing is quarantined")
        code, _, err = quarantine("show")
        assert code == 2
        assert "nothing is quarantined" in err
        assert project.run().exit_code == 0


def test_of_several_tables_an_export_takes_one(filled: SmallProject, quarantine: Command) -> None:
    other = filled.root / "home" / "quarantine" / "older" / "orders"
    source = filled.root / "home" / "quarantine" / "orders" / "orders"
    other.parent.mkdir()
    other.symlink_to(source)
    code, _, err = quarantine("export", "x.csv")
    assert code == 2
    assert "older / orders, orders / orders" in err
    assert quarantine("export", "x.csv", "--pipeline", "older")[0] == 0
