"""`batchctl check` and `batchctl profile`: data judged without a pipeline, and suites drafted from data."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from batch_processing.quality.suite import load_suite
from batch_processing.results import Severity
from tests.integration.cli.conftest import NOT_NULL, POSITIVE, Command

CHECKS = """
from pyspark.sql import functions as sf
from batch_processing.quality import row_check, table_check

@row_check
def has_an_id(df):
    return sf.col("id").isNotNull()

@table_check
def is_large(df):
    return df.count() > 1000

@table_check
def breaks(df):
    raise KeyError("gone")
"""


def orders(rows: int = 100, *, bad: int = 0) -> pa.Table:
    """`bad` of the rows have a negative amount."""
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "amount": [-77.25 if n < bad else n * 1.5 for n in range(rows)],
            "day": [date(2026, 11, n % 9 + 1) for n in range(rows)],
        }
    )


def write(table: pa.Table, name: str) -> str:
    path = Path(name)
    path.parent.mkdir(exist_ok=True, parents=True)
    if name.endswith(".parquet"):
        pq.write_table(table, path)
    elif name.endswith((".jsonl", ".jsonl.gz")):
        text = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    elif name.endswith((".csv", ".csv.gz")):
        pacsv.write_csv(table, path)
        path.write_bytes(gzip.compress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes())
    else:
        write_deltalake(name, table, partition_by=["day"])
    return name


@pytest.mark.parametrize("name", ["a [1]*.parquet", "a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "table", "in/a.csv"])
def test_every_format_has_the_same_verdict(command: Command, name: str) -> None:
    write(orders(bad=3), name)
    asked = "in" if name.startswith("in/") else name
    code, out, _ = command("check", asked, "--suite", "orders", "--threshold", "0.95", "--json")
    found = json.loads(out)
    assert (code, found["outcome"], found["rows"]) == (
        0,
        "PASS_WITH_QUARANTINE",
        {"looked_at": 100, "valid": 97, "bad": 3},
    )
    assert {rule["id"]: rule["failing_share"] for rule in found["rules"]} == {
        "expect_column_values_to_not_be_null(id)": 0.0,
        "expect_column_values_to_be_between(amount)": 0.03,
    }
    assert found["gx_result"]["statistics"]["evaluated_expectations"] == 2
    assert found["gx_result"]["results"][1]["result"]["unexpected_count"] == 3


def test_a_person_sees_the_verdict_and_each_rule_and_no_value(command: Command) -> None:
    write(orders(bad=6), "a.parquet")
    code, out, _ = command("check", "a.parquet", "--suite", "gx/expectations/orders.json", "--threshold", "0.95")
    assert code == 1
    assert "FAIL" in out
    assert "94 of 100 rows valid" in out
    assert "expect_column_values_to_be_between(amount)" in out
    assert "6 %" in out
    assert "77.25" not in out
    assert command("check", "a.parquet", "--suite", "orders", "--threshold", "0.94")[0] == 0
    assert command("check", "a.parquet", "--suite", "orders")[0] == 1


def test_the_page_stands_alone_and_holds_no_value(command: Command) -> None:
    write(orders(bad=6), "a<b>.parquet")
    code, out, _ = command("check", "a<b>.parquet", "--suite", "orders", "--html", "r.html")
    assert code == 1
    assert "Written: r.html" in out
    page = Path("r.html").read_text()
    assert "expect_column_values_to_be_between(amount)" in page
    assert "a&lt;b&gt;.parquet" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "77.25" not in page


def test_python_checks_join_and_the_worst_verdict_counts(command: Command, tmp_path: Path) -> None:
    write(orders(), "a.parquet")
    module = f"checks_{abs(hash(str(tmp_path)))}"
    Path(f"{module}.py").write_text(CHECKS)
    asked = ("check", "a.parquet", "--suite", "orders", "--json", "--checks", f"{module}.has_an_id")
    assert command(*asked)[0] == 0
    code, out, _ = command(*asked, "--checks", f"{module}.is_large")
    assert (code, json.loads(out)["outcome"]) == (1, "FAIL")
    code, out, _ = command(*asked, "--checks", f"{module}.is_large", "--checks", f"{module}.breaks")
    found = json.loads(out)
    assert (code, found["outcome"]) == (3, "ERROR")
    assert [rule["outcome"] for rule in found["rules"]] == ["PASS", "PASS", "PASS", "FAIL", "ERROR"]
    code, _, err = command(*asked, "--checks", f"{module}.has_an_ide")
    assert code == 2
    assert "has_an_id" in err


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("gone.csv", None, 2, "no such data"),
        ("a.xlsx", b"x", 2, ".parquet"),
        ("none/", None, 2, "no data files"),
        ("empty.csv", b"", 3, "empty"),
        ("empty.parquet", b"", 3, "empty"),
        ("bad.parquet", b"nonsense of some length", 3, "cannot be read as Parquet"),
        ("header.csv", b"id,amount\n", 3, "no rows"),
        ("ragged.csv", b"id,amount\n1,2\n1,2,secret\n", 3, "record"),
        ("bad.jsonl", b'{"id": 1}\nsecret\n', 3, "JSON lines"),
        ("table/_delta_log/00000000000000000000.json", b"garbage", 3, "Delta table"),
    ],
)
def test_data_that_cannot_be_judged_is_told(
    command: Command, name: str, content: bytes | None, code: int, words: str
) -> None:
    path = Path(name)
    if name.endswith("/"):
        path.mkdir()
    elif content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found, out, err = command("check", "table" if "_delta_log" in name else name, "--suite", "orders")
    assert found == code
    assert words in out + err
    assert "secret" not in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--suite", "ordres"), "did you mean 'orders'"),
        (("--suite", "other.json"), "there is no suite"),
        (("--suite", "orders", "--threshold", "1.5"), "from 0 to 1"),
        (("--suite", "orders", "--threshold", "nan"), "from 0 to 1"),
        ((), "--suite"),
    ],
)
def test_wrong_use_is_exit_2(command: Command, arguments: tuple[str, ...], words: str) -> None:
    write(orders(), "a.parquet")
    code, _, err = command("check", "a.parquet", *arguments)
    assert code == 2
    assert words in err


def test_the_object_is_strict_json_also_where_a_value_is_infinite(command: Command) -> None:
    write(pa.table({"id": [1, 2], "amount": [1.0, float("inf")]}), "a.parquet")
    rule = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}
    Path("max.json").write_text(json.dumps({"name": "max", "expectations": [rule]}))
    code, out, _ = command("check", "a.parquet", "--suite", "max.json", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    assert found["gx_result"]["results"][0]["result"]["observed_value"] == "Infinity"


def test_a_folder_holds_files_of_one_format(command: Command) -> None:
    write(orders(), "in/a.parquet")
    write(orders(), "in/b.parquet")
    Path("in/_SUCCESS").touch()
    assert json.loads(command("check", "in", "--suite", "orders", "--json")[1])["rows"]["looked_at"] == 200
    write(orders(), "in/c.csv")
    code, _, err = command("check", "in", "--suite", "orders")
    assert code == 2
    assert "one format" in err


def various() -> pa.Table:
    rows = 200
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "nearly": [0, *range(rows - 1)],
            "a.b `c`": ["new" if n % 3 else "päid" for n in range(rows)],
            "price": [None if n % 10 == 0 else Decimal(n) / 7 for n in range(rows)],
            "ratio": [float("nan") if n == 5 else float("inf") if n == 6 else n / 7 for n in range(rows)],
            "at": pa.array([datetime(2026, 11, 1, n % 24, tzinfo=UTC) for n in range(rows)], pa.timestamp("us", "UTC")),
            "local": pa.array([datetime(2026, 11, 1, n % 24) for n in range(rows)], pa.timestamp("us")),  # noqa: DTZ001 -- that is the point
            "flag": [n % 2 == 0 for n in range(rows)],
            "empty": pa.nulls(rows, pa.string()),
            "nested": [{"x": n} for n in range(rows)],
            "list": [[n] for n in range(rows)],
        }
    )


def rules_in(file: str) -> dict[str, dict[str, Any]]:
    found = json.loads(Path(file).read_text())["expectations"]
    return {f"{rule['type']}({rule['kwargs'].get('column', '')})": rule for rule in found}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl"])
def test_a_drafted_suite_loads_and_its_data_passes_it(command: Command, name: str) -> None:
    flat = various().drop(["nested", "list", "a.b `c`"])
    write({"a.parquet": various(), "a.csv": flat, "a.jsonl": orders(200)}[name], name)
    code, out, err = command("profile", name, "-o", "drafts/s.json", "--name", "mine")
    assert (code, err) == (0, "")
    assert "from 200 rows" in out
    suite = load_suite(str(Path("drafts/s.json").absolute()), suites_dir=Path("gx/expectations"))
    assert suite.name == "mine"
    assert all("failing_share" in rule.meta for rule in suite.expectations)
    types = [rule for rule in suite.expectations if rule.type.endswith("be_of_type")]
    assert {rule.severity for rule in types} == {Severity.CRITICAL if name == "a.parquet" else Severity.WARNING}
    code, out, _ = command("check", name, "--suite", "drafts/s.json", "--json")
    found = json.loads(out)
    assert (code, found["outcome"]) == (0, "PASS")
    assert {rule["outcome"] for rule in found["rules"]} == {"PASS"}


def test_a_draft_tells_what_share_would_fail_today(command: Command) -> None:
    write(various(), "a.parquet")
    assert command("profile", "a.parquet", "-o", "s.json")[0] == 0
    found = rules_in("s.json")
    assert found["expect_column_values_to_be_unique(id)"]["meta"] == {"failing_share": 0.0}
    assert found["expect_column_values_to_be_unique(id)"]["severity"] == "critical"
    nearly = found["expect_column_values_to_be_unique(nearly)"]
    assert (nearly["meta"]["failing_share"], nearly["severity"]) == (0.01, "warning")
    assert found["expect_column_values_to_not_be_null(price)"]["meta"]["failing_share"] == 0.1
    assert found["expect_column_values_to_be_in_set(a.b `c`)"]["kwargs"]["value_set"] == ["new", "päid"]
    ratio = found["expect_column_values_to_be_between(ratio)"]
    assert ratio["kwargs"]["max_value"] == pytest.approx(199 / 7)
    assert ratio["meta"]["failing_share"] == 0.01
    assert found["expect_column_values_to_be_between(at)"]["kwargs"]["min_value"].startswith("2026-11-01 00:00:00")


def test_profile_refuses_what_it_cannot_use(command: Command) -> None:
    write(orders(0), "none.parquet")
    write(orders(), "a.parquet")
    Path("edited.json").write_text("{}")
    for arguments, words in (
        (("none.parquet", "-o", "s.json"), "no rows"),
        (("a.parquet", "-o", "edited.json"), "there already"),
        (("a.parquet", "-o", "s.yml"), ".json"),
        (("gone.csv", "-o", "s.json"), "no such data"),
    ):
        code, _, err = command("profile", *arguments)
        assert code == 2
        assert words in err
    assert Path("edited.json").read_text() == "{}"
    assert not Path("s.json").exists()


def test_data_docs_show_the_stored_result_and_replace_an_earlier_site(command: Command) -> None:
    Path("it.json").write_text(json.dumps({"name": "all / of it", "expectations": [NOT_NULL, POSITIVE]}))
    for name, page_name in (("a [1]*.parquet", "a__1__.parquet.html"), ("b.parquet", "b.parquet.html")):
        write(orders(bad=6), name)
        code, out, _ = command("check", name, "--suite", "it.json", "--data-docs", "docs")
        assert code == 1
        assert "docs/index.html" in out
        (page,) = Path("docs/validations").rglob("*.html")
        assert page.name == page_name
        assert "77.25" not in page.read_text()
        assert str(page.relative_to("docs")) in Path("docs/index.html").read_text()


def test_data_docs_never_empty_a_folder_of_other_files(command: Command) -> None:
    name = write(orders(), "a.parquet")
    for folder in (".", name):
        code, _, err = command("check", name, "--suite", "orders", "--data-docs", folder)
        assert code == 2
        assert "Data Docs" in err
    assert Path(name).is_file()
