"""Bad input through `batchctl run`: one clear message, the right exit code, nothing published, nothing lost."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml
from deltalake import DeltaTable

from tests.services.project import GOOD_ROWS, SmallProject

SLICE = "2026-11-02"


@dataclass(frozen=True)
class Ended:
    """How the command ended."""

    code: int
    report: dict[str, Any]
    stderr: str

    @property
    def error(self) -> str:
        return str(self.report["error"])


def _batchctl(project: SmallProject, *, env: dict[str, str] | None = None) -> Ended:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "batch_processing.cli.main",
            "run",
            str(project.file),
            "--slice",
            SLICE,
            "--json",
        ],
        env={"PATH": "/usr/bin:/bin", **project.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    report = json.loads(done.stdout) if done.stdout.strip() else {}
    return Ended(done.returncode, report, done.stderr)


@pytest.fixture
def published(project: SmallProject) -> SmallProject:
    """A project that has one slice published, so that what must not change is there."""
    assert project.run(day="2026-11-01").exit_code == 0
    return project


def _write(project: SmallProject) -> None:
    project.file.write_text(yaml.safe_dump(project.declaration, sort_keys=False))


def _unchanged(project: SmallProject) -> None:
    table = DeltaTable(str(project.table))
    assert table.version() == 0
    assert table.to_pyarrow_table().num_rows == len(GOOD_ROWS)


def _fails(project: SmallProject, *words: str, code: int, env: dict[str, str] | None = None) -> Ended:
    _write(project)
    ended = _batchctl(project, env=env)
    assert ended.code == code, (ended.error if ended.report else "", ended.stderr)
    text = ended.error if ended.report else ended.stderr
    for word in words:
        assert word in text
    assert "Traceback" not in ended.stderr
    _unchanged(project)
    return ended


def test_a_missing_file_names_the_pattern(published: SmallProject) -> None:
    (published.root / "data" / "a.csv").unlink()
    _fails(published, f"{published.root}/data/*.csv", code=3)


def test_an_unreadable_file_is_named(published: SmallProject) -> None:
    whole = gzip.compress("\n".join(["id,customer_id,amount,day", *GOOD_ROWS]).encode())
    (published.root / "data" / "b.csv.gz").write_bytes(whole[: len(whole) // 2])
    published.declaration["sources"]["orders"]["files"]["path"] += "*"
    _fails(published, "b.csv.gz", code=3)


def test_a_wrong_header_says_which_columns(published: SmallProject) -> None:
    published.write_orders(GOOD_ROWS, header="id,customer,amount,day")
    _fails(published, "a.csv", "customer_id", code=1)


def test_types_that_do_not_parse_are_rejects_and_the_rest_goes_on(published: SmallProject) -> None:
    published.write_orders([*GOOD_ROWS, "x,1,1.0,2026-11-01", "201,1,1.0,yesterday"])
    _write(published)
    ended = _batchctl(published)
    assert ended.code == 0, ended.error
    assert ended.report["rows"]["rejected"] == 2
    assert ended.report["rows"]["read"] == ended.report["rows"]["landed"] + 2


def test_a_file_of_nothing_but_rejects_is_not_a_pass(published: SmallProject) -> None:
    published.write_orders(["x,1,1.0,2026-11-01"] * 5)
    _fails(published, "orders", code=3)


def test_a_rule_on_an_unknown_column_is_an_error_that_names_it(published: SmallProject) -> None:
    published.write_suite(
        {
            "name": "orders",
            "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "idd"}}],
        }
    )
    ended = _fails(published, "idd", code=3)
    assert ended.report["outcome"] == "ERROR"


def test_a_database_that_is_down_is_named_without_its_password(published: SmallProject) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secret = "tell-nobody"
    uri = f"postgres://reader:{secret}@127.0.0.1:{port}/crm"
    ended = _fails(published, "crm", code=3, env={"AIRFLOW_CONN_CRM": uri})
    assert secret not in ended.error + ended.stderr


@pytest.fixture
def broken_api() -> Iterator[str]:
    """An API that answers 500 for good."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(500)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_api_that_answers_500_for_good_says_so(published: SmallProject, broken_api: str) -> None:
    published.declaration["sources"]["rates"] = {
        "api": {"connection": "rates", "endpoint": "/rates", "retries": 1},
        "schema": {"currency": "string", "rate": "double"},
    }
    host, port = broken_api.removeprefix("http://").split(":")
    connection = json.dumps({"conn_type": "http", "host": host, "port": int(port), "schema": "http"})
    _fails(published, "500", "/rates", code=3, env={"AIRFLOW_CONN_RATES": connection})


def test_a_suite_that_does_not_exist_is_found_before_anything_runs(published: SmallProject) -> None:
    published.declaration["validate"]["orders"]["suite"] = "orderz"
    _fails(published, "orderz", "orders", code=2)


def test_a_transform_that_raises_is_named_with_its_line(published: SmallProject) -> None:
    published.write_transform("def transform(spark, inputs):\n    raise KeyError('no such currency')\n")
    _fails(published, "KeyError", "no such currency", f"{published.module}.py:2", code=3)


def test_a_transform_on_an_unknown_column_is_named(published: SmallProject) -> None:
    published.write_transform("def transform(spark, inputs):\n    return inputs['orders'].select('idd', 'day')\n")
    _fails(published, "idd", code=3)


def test_a_variable_that_is_not_set_lists_where_it_may_be(published: SmallProject) -> None:
    published.declaration["sources"]["orders"]["files"]["path"] = "{{ var.value.orders_path }}/*.csv"
    _fails(published, "orders_path", "BATCH_VAR_ORDERS_PATH", "--set", code=2)


def test_a_connection_that_is_not_set_says_how_to_set_it(published: SmallProject) -> None:
    published.declaration["warehouse"]["connection"] = "dwh"
    _write(published)
    ended = _batchctl(published)
    assert ended.code == 2
    assert "AIRFLOW_CONN_DWH" in (ended.error if ended.report else ended.stderr)


def test_a_declaration_with_three_faults_shows_all_three(published: SmallProject) -> None:
    published.declaration["sheduler"] = "0 2 * * *"
    published.declaration["target"]["mode"] = "overwirte"
    published.declaration["sources"]["orders"]["schema"]["id"] = "number"
    _fails(published, "sheduler", "schedule", "overwirte", "number", code=2)
