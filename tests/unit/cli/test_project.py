import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batch_processing.cli.main import run_cli
from batch_processing.cli.project import make_project
from batch_processing.cli.sample import write_sample
from batch_processing.errors import StorageError, UsageError
from batch_processing.settings.loading import load_pipeline


def read_orders(folder: Path) -> list[list[str]]:
    records: list[list[str]] = []
    for path in sorted((folder / "orders").iterdir()):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        header, *rows = list(csv.reader(io.StringIO(data.decode())))
        assert header == ["id", "customer_id", "amount", "currency", "ordered_at"]
        records += rows
    return records


def test_the_project_s_declaration_is_valid(tmp_path: Path) -> None:
    make_project(tmp_path / "p", seed=7)
    loaded = load_pipeline(tmp_path / "p" / "pipeline.yml", environ={})
    assert loaded.spec.pipeline == "shop_orders"
    assert loaded.project.root == tmp_path / "p"
    assert {source.kind for source in loaded.spec.sources.values()} == {"files", "database"}


def test_the_project_keeps_its_leavings_out_of_version_control(tmp_path: Path) -> None:
    files = make_project(tmp_path / "p", seed=7)
    assert ".gitignore" in files
    assert not [name for name in files if "__pycache__" in name or name == "gitignore"]
    assert ".batch/" in (tmp_path / "p" / ".gitignore").read_text()


def test_the_same_seed_gives_the_same_data_and_another_one_other_data(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, seed=seed)
    a, b, c = (read_orders(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("seed", [0, 7, 12345])
def test_the_planted_faults_are_in_the_files(tmp_path: Path, seed: int) -> None:
    planted = write_sample(tmp_path, seed=seed)
    records = read_orders(tmp_path)
    readable = [r for r in records if len(r) == 5 and r[2] != "plenty" and "02-31" not in r[4]]
    ids = [r[0] for r in readable if r[0]]
    bad = {
        number
        for number, r in enumerate(readable)
        if not r[0] or ids.count(r[0]) > 1 or not 0 <= float(r[2]) <= 1_000_000
    }
    assert len(records) == planted.orders
    assert len(records) - len(readable) == planted.unreadable
    assert len(bad) == planted.quarantined
    assert sum(not r[3] for r in readable) == planted.no_currency
    assert 1 - len(bad) / len(readable) > 0.95


def test_customers_and_rates_fit_the_orders(tmp_path: Path) -> None:
    write_sample(tmp_path, seed=7)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database:
        known = {str(row[0]) for row in database.execute("SELECT customer_id FROM customers")}
    rates = {json.loads(line)["currency"] for line in (tmp_path / "rates.jsonl").read_text().splitlines()}
    records = read_orders(tmp_path)
    assert {record[1] for record in records} <= known
    assert {record[3] for record in records} - {""} <= rates


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        make_project(tmp_path, seed=7)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("")
    with pytest.raises(UsageError, match="needs a folder"):
        make_project(tmp_path / "p", seed=7)


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the project"):
        make_project(tmp_path / "file" / "p", seed=7)


def test_init_says_what_to_type_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["init", str(tmp_path / "my shop")]) == 0
    assert capsys.readouterr().out.endswith(f"Next: cd '{tmp_path}/my shop' && batchctl run\n")
