"""Our results against Great Expectations' own, on the same random data; a failure names its seed and its case.

    CONFORMANCE_ROUNDS=50 CONFORMANCE_SEED=1 pytest tests/integration/quality/test_conformance.py

What GX cannot say is left out here and has known answers instead: LIKE patterns (no implementation for Spark), the
median and quantiles on the embedded engine (GX needs approxQuantile), quartiles with NaN, which that engine puts
anywhere among the values, and zero with a sign, which it counts as a second zero in some operators.
"""

from __future__ import annotations

import math
import os
import random
from decimal import Decimal
from typing import Any

import pytest

from batch_processing.quality import Suite, validate
from batch_processing.quality.catalog import CATALOG
from batch_processing.quality.derived import NOT_FINITE
from batch_processing.quality.gx import exception_of, run_in_gx
from tests.integration.quality.conformance_cases import CASES, SCHEMA, random_suite, rows

SEED = int(os.environ.get("CONFORMANCE_SEED", "20261101"))
ROUNDS = os.environ.get("CONFORMANCE_ROUNDS")
PER_ROUND = 210
ROUNDS_EMBEDDED, ROUNDS_SPARK = (int(ROUNDS), int(ROUNDS)) if ROUNDS else (10, 2)
NOT_IN_GX = {
    "expect_column_values_to_match_like_pattern",
    "expect_column_values_to_not_match_like_pattern",
    "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_not_match_like_pattern_list",
}
"""GX has no implementation for Spark."""
NOT_ON_EMBEDDED = frozenset({"expect_column_median_to_be_between", "expect_column_quantile_values_to_be_between"})
"""GX needs approxQuantile."""


def same(ours: Any, theirs: Any) -> bool:
    numbers = (float, int, Decimal)
    if isinstance(ours, numbers) and isinstance(theirs, numbers) and not isinstance(ours, bool):
        close = math.isclose(float(ours), float(theirs), rel_tol=1e-9, abs_tol=1e-9)
        return close or (ours != ours and theirs != theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return sorted(map(str, ours)) == sorted(map(str, theirs))
    return bool(ours == theirs)


def differences(suite: Suite, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[str]:
    found = []
    for index, (config, mine, gx) in enumerate(zip(suite.expectations, ours, theirs, strict=True)):
        label = f"case {index}: {config.type} {dict(config.kwargs)}"
        if NOT_FINITE in exception_of(mine):
            continue  # GX passes every row, having judged none; a known answer tests ours
        if "quantile" in config.type and exception_of(gx) and not exception_of(mine):
            continue  # GX raises where a partition or the column has no value; known answers test ours
        raised = (bool(exception_of(mine)), bool(exception_of(gx)))
        if raised[0] != raised[1]:
            found.append(f"{label}: raised ours {exception_of(mine)!r}, GX {exception_of(gx)!r}")
            continue
        if mine["success"] != gx["success"]:
            found.append(
                f"{label}: success ours {mine['success']}, GX {gx['success']}: {mine['result']} / {gx['result']}"
            )
        for key, value in gx["result"].items():
            if key.startswith("partial_") or key == "details":
                continue
            if key == "unexpected_count" and value is None and not gx["result"]["element_count"]:
                continue  # GX has no count where it has no row; ours is 0
            if not same(mine["result"].get(key), value):
                found.append(f"{label}: {key} ours {mine['result'].get(key)!r}, GX {value!r}")
    return found


def compare(spark: Any, turn: int, without: frozenset[str] = frozenset()) -> None:
    seed = SEED + turn
    print(f"seed {seed}")
    chance = random.Random(seed)
    df = spark.createDataFrame(rows(chance), SCHEMA)
    suite = random_suite(chance, cases=PER_ROUND, without=without)
    ours = validate(df, suite=suite).gx_result["results"]
    theirs = run_in_gx(df, suite.expectations)
    found = differences(suite, ours, theirs)
    assert not found, f"seed {seed}: {len(found)} of {len(suite.expectations)} differ:\n" + "\n".join(found)


def test_every_compiled_expectation_is_compared() -> None:
    assert set(CASES) | NOT_IN_GX == {kind for kind, entry in CATALOG.items() if entry.how == "compiled"}
    assert not set(CASES) & NOT_IN_GX


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(ROUNDS_EMBEDDED))
def test_on_the_embedded_engine_results_equal_those_of_great_expectations(spark_embedded: Any, turn: int) -> None:
    compare(spark_embedded, turn, NOT_ON_EMBEDDED)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("turn", range(ROUNDS_SPARK))
def test_on_apache_spark_results_equal_those_of_great_expectations(spark_cluster_session: Any, turn: int) -> None:
    compare(spark_cluster_session, turn)
