"""Random tables and suites for the conformance test: every compiled expectation, every type, every awkward value."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from batch_processing.quality import Suite, parse_suite

Kwargs = dict[str, Any]
Maker = Callable[[random.Random], Kwargs]
SCHEMA = (
    "id bigint, n int, k int, tiny tinyint, small smallint, x double, y double, f float, s string, u string, "
    "m decimal(12,2), d date, t timestamp, tn timestamp_ntz, b boolean, raw binary, st struct<a: int, b: string>, "
    "arr array<int>"
)
NAMES = [
    "id", "n", "k", "tiny", "small", "x", "y", "f", "s", "u", "m", "d", "t", "tn", "b", "raw", "st", "st.a", "st.b",
    "arr",
]  # fmt: skip
START = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
FINITE = [0.0, 1.0, 1.5, -3.0, 1e9, 2.0, 2.0]
NUMBERS = [*FINITE, float("nan"), float("inf"), float("-inf")]
TEXTS = ["", "a", "A", "ab", "abc", "ä", "日本", " a", "a b", "10", "2026-01-01", "%", "x_y", "🙂", "e\u0301", "a\nb"]
ANY = [name for name in NAMES if name not in ("st", "arr")]
NUMERIC = ["id", "n", "k", "tiny", "small", "x", "y", "f", "m", "st.a"]
AVERAGED = [name for name in NUMERIC if name not in ("tiny", "small", "st.a")]
"""GX refuses the mean of a tinyint, a smallint and a field of a struct; the field it refuses elsewhere too."""
DAYS = ["d", "t", "tn"]
REGEX = ["^a", "a", "^[A-Za-z ]*$", r"\d+", "(?i)^A$", ".", "^$", "ä|日", "^.{2}$"]
CONDITIONS: list[Kwargs] = [
    {"row_condition": text, "condition_parser": "spark"}
    for text in ("n > 0", "s IS NOT NULL", "id < 6", "b", "x > 0 OR y IS NULL", "st.a = 1", "id > 1000")
] + [
    {"row_condition": text, "condition_parser": "great_expectations"}
    for text in (
        'col("n") > 0', 'col("s").notNull()', 'col("m")<=1.5', 'col("s") == "a b"', "col(\"s\") != 'A'",
        'col("id") >= "6"', 'col("d") > date("2026-01-02")', 'col("m") == -0.5', 'col("t") < date("2026-01-02")',
    )
]  # fmt: skip
_MORE = {"type": "comparison", "column": {"name": "id"}, "operator": ">=", "parameter": 3}
CONDITIONS += [
    {"row_condition": condition}
    for condition in (
        _MORE,
        {"type": "nullity", "column": {"name": "s"}, "is_null": False},
        {"type": "comparison", "column": {"name": "u"}, "operator": "IN", "parameter": ["a", "ab"]},
        {"type": "comparison", "column": {"name": "n"}, "operator": "NOT_IN", "parameter": [1, 2]},
        {"type": "comparison", "column": {"name": "m"}, "operator": "!=", "parameter": 1.5},
        {"type": "or", "conditions": [_MORE, {"type": "nullity", "column": {"name": "x"}, "is_null": True}]},
        {"type": "and", "conditions": [_MORE, {"type": "comparison", "column": {"name": "s"}, "operator": "<",
                                               "parameter": "b"}]},
    )
]  # fmt: skip
TYPES = [
    "LongType", "IntegerType", "DoubleType", "FloatType", "StringType", "DateType", "TimestampType", "DecimalType",
    "TimestampNTZType", "BooleanType", "ByteType", "ShortType", "BinaryType", "ArrayType", "StructType", "NoSuchType",
]  # fmt: skip


def rows(chance: random.Random) -> list[tuple[Any, ...]]:
    """0 to 20 rows; each column has its own share of nulls, and some are all null."""
    shares = [chance.choice([0.0, 0.0, 0.2, 0.5, 1.0 if chance.random() < 0.3 else 0.1]) for _ in range(18)]
    floats = chance.choice([FINITE, FINITE, NUMBERS])
    values: list[Callable[[], Any]] = [
        lambda: chance.randint(0, 12),
        lambda: chance.randint(-3, 3),
        lambda: chance.randint(-3, 3),
        lambda: chance.choice([-128, 0, 1, 2, 127]),
        lambda: chance.choice([-32768, 0, 1, 2, 300]),
        lambda: chance.choice(floats),
        lambda: chance.choice(NUMBERS[:8]),
        lambda: chance.choice(NUMBERS[:5]),
        lambda: chance.choice(TEXTS),
        lambda: chance.choice(TEXTS[:4]),
        lambda: Decimal(chance.randint(-300, 300)) / 100,
        lambda: date(2026, 1, 1) + timedelta(days=chance.randint(0, 5)),
        lambda: START + timedelta(hours=chance.randint(0, 60)),
        lambda: START + timedelta(hours=chance.randint(0, 5) * 12),
        lambda: chance.random() < 0.5,
        lambda: bytearray(chance.choice([b"", b"a", b"\x00\xff", b"abc"])),
        lambda: (chance.choice([None, 0, 1, 2]), chance.choice([None, "a", "b"])),
        lambda: [chance.choice([None, 1, 2]) for _ in range(chance.randint(0, 2))],
    ]
    count = chance.choice([0, 1, 2, 3, 5, 7, 10, 15, 20])
    return [
        tuple(None if chance.random() < share else make() for share, make in zip(shares, values, strict=True))
        for _ in range(count)
    ]


def _bounds(chance: random.Random, low: Callable[[], Any], high: Callable[[], Any]) -> Kwargs:
    found: Kwargs = {"min_value": low(), "max_value": high()}
    if chance.random() < 0.4:
        found.pop(chance.choice(["min_value", "max_value"]))
    for name in ("strict_min", "strict_max"):
        if chance.random() < 0.3:
            found[name] = True
    return found


def _numbers(chance: random.Random) -> Kwargs:
    return _bounds(chance, lambda: chance.choice([-2, 0, 0.0, 1, -1.5]), lambda: chance.choice([1, 2, 2.5, 10]))


def _counts(chance: random.Random) -> Kwargs:
    return _bounds(chance, lambda: chance.randint(0, 4), lambda: chance.randint(4, 20))


def _days(chance: random.Random) -> Kwargs:
    return _bounds(chance, lambda: f"2026-01-0{chance.randint(1, 3)}", lambda: f"2026-01-0{chance.randint(3, 6)}")


def _shares(chance: random.Random) -> Kwargs:
    return _bounds(chance, lambda: chance.choice([0, 0.25, 0.5]), lambda: chance.choice([0.5, 0.75, 1]))


def _column(*names: str) -> Maker:
    return lambda chance: {"column": chance.choice(names)}


def _on(names: list[str], more: Maker) -> Maker:
    return lambda chance: {"column": chance.choice(names), **more(chance)}


def _between(chance: random.Random) -> Kwargs:
    kind = chance.random()
    if kind < 0.6:
        return {"column": chance.choice(NUMERIC), **_numbers(chance)}
    if kind < 0.9:
        return {"column": chance.choice(DAYS), **_days(chance)}
    return {"column": chance.choice(["s", "b", "nope"]), "min_value": 1}


def _extremes(chance: random.Random) -> Kwargs:
    if chance.random() < 0.2:
        return {"column": "d", **_days(chance)}
    return {"column": chance.choice(NUMERIC), **_numbers(chance)}


SETS: Mapping[str, list[Any]] = {
    "s": ["a", "", "日本", "zz", "10", "🙂"],
    "u": ["a", "", "q"],
    "st.b": ["a", "c"],
    "x": [1.0, 2.0, 0, -3.0],
    "f": [1.0, 1.5, 0],
    "m": [1.5, 0.25, 1],
    "d": ["2026-01-01", "2026-01-03"],
    "b": [True],
    "id": [0, 1, 2, 3, -1, 99],
    "n": [0, 1, 2, 3, -1, 99],
    "tiny": [0, 1, 127],
    "small": [0, 2, 300],
    "st.a": [0, 1, 9],
}


def _set_of(*names: str) -> Maker:
    def make(chance: random.Random) -> Kwargs:
        name = chance.choice(names or tuple(SETS))
        pool = SETS[name]
        return {"column": name, "value_set": chance.sample(pool, chance.randint(1, len(pool)))}

    return make


def _ties(chance: random.Random) -> Kwargs:
    found = _set_of(*[name for name in SETS if name != "d"])(chance)
    return {**found, **chance.choice([{}, {"ties_okay": True}, {"ties_okay": False}])}


def _ignore(chance: random.Random, *how: str) -> Kwargs:
    return {"ignore_row_if": chance.choice(how)} if chance.random() < 0.7 else {}


def _pair(chance: random.Random) -> Kwargs:
    a, b = chance.choice([("n", "k"), ("x", "y"), ("s", "u"), ("n", "m"), ("id", "n"), ("tiny", "small"), ("t", "tn")])
    return {
        "column_A": a,
        "column_B": b,
        **_ignore(chance, "both_values_are_missing", "either_value_is_missing", "neither"),
    }


def _pair_greater(chance: random.Random) -> Kwargs:
    return {**_pair(chance), **chance.choice([{}, {"or_equal": True}, {"or_equal": False}])}


def _pair_set(chance: random.Random) -> Kwargs:
    pairs = [[chance.randint(-2, 2), chance.choice([0, 1, None])] for _ in range(4)]
    return {**_pair(chance), "column_A": "n", "column_B": "k", "value_pairs_set": pairs}


def _list(*choices: list[str]) -> Maker:
    def make(chance: random.Random) -> Kwargs:
        ignored = _ignore(chance, "all_values_are_missing", "any_value_is_missing", "never")
        return {"column_list": list(chance.choice(choices)), **ignored}

    return make


LISTS = (["n", "k"], ["n", "k", "id"], ["s", "u"], ["x", "y"], ["tiny", "small", "n"])


def _sum(chance: random.Random) -> Kwargs:
    columns = _list(["n", "k"], ["n", "m"], ["x", "y"], ["tiny", "small"], ["id", "n", "k"])(chance)
    return {**columns, "sum_total": chance.randint(-2, 4)}


def _regexes(chance: random.Random) -> Kwargs:
    return {"column": chance.choice(["s", "u", "st.b"]), "regex_list": chance.sample(REGEX, 2)}


def _regex(chance: random.Random) -> Kwargs:
    return {"column": chance.choice(["s", "u", "st.b"]), "regex": chance.choice(REGEX)}


def _quantiles(chance: random.Random) -> Kwargs:
    # Each once: asked twice, Spark's approxQuantile gives the second time another value.
    asked = sorted(chance.sample([0, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.9, 1], chance.randint(1, 3)))
    ranges = [chance.choice([[-3, 3], [None, 2], [0, None], [1.0001, 1e9], [-1.5, -0.5]]) for _ in asked]
    names = [name for name in NUMERIC if name != "st.a"]
    return {"column": chance.choice(names), "quantile_ranges": {"quantiles": asked, "value_ranges": ranges}}


def _scores(chance: random.Random) -> Kwargs:
    limit, double = chance.choice([0, 0.5, 1, 1.5, -1, 3]), chance.choice([True, False])
    return {"column": chance.choice(AVERAGED), "threshold": limit, "double_sided": double}


def _outliers(chance: random.Random) -> Kwargs:
    method = chance.choice([{}, {"method": "iqr"}, {"method": "std"}])
    return {
        "column": chance.choice([name for name in NUMERIC if name not in ("st.a", "x", "y")]),
        **method,
        **chance.choice([{}, {"multiplier": chance.choice([0, 0.5, 3])}]),
    }


def _columns_set(chance: random.Random) -> Kwargs:
    exact = chance.random() < 0.5
    names = chance.choice([NAMES, chance.sample([*NAMES, "zz"], 20), chance.sample(NAMES, 5)])
    return {"column_set": list(names), "exact_match": exact}


def _exists(chance: random.Random) -> Kwargs:
    index = chance.choice([{}, {"column_index": chance.choice([1, 3, 50])}])
    return {"column": chance.choice(["id", "n", "nope", "st.a"]), **index}


def _regex_any_or_all(chance: random.Random) -> Kwargs:
    return {**_regexes(chance), "match_on": chance.choice(["any", "all"])}


_TEXT_COLUMNS = ["s", "u", "raw"]
ROWWISE: Mapping[str, Maker] = {
    "expect_column_values_to_not_be_null": _column(*NAMES),
    "expect_column_values_to_be_null": _column(*NAMES),
    "expect_column_values_to_be_unique": _column(*ANY),
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_in_set": _set_of(),
    "expect_column_values_to_not_be_in_set": _set_of(),
    "expect_column_values_to_match_regex": _regex,
    "expect_column_values_to_not_match_regex": _regex,
    "expect_column_values_to_match_regex_list": _regex_any_or_all,
    "expect_column_values_to_not_match_regex_list": _regexes,
    "expect_column_value_lengths_to_be_between": _on(_TEXT_COLUMNS, _counts),
    "expect_column_value_lengths_to_equal": _on(_TEXT_COLUMNS, lambda chance: {"value": chance.randint(0, 3)}),
    "expect_column_value_z_scores_to_be_less_than": _scores,
    "expect_column_values_to_not_be_outliers": _outliers,
    "expect_column_pair_values_to_be_equal": _pair,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair_greater,
    "expect_column_pair_values_to_be_in_set": _pair_set,
    "expect_compound_columns_to_be_unique": _list(*LISTS, ["d", "b"]),
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_multicolumn_values_to_be_equal": _list(*LISTS),
    "expect_select_column_values_to_be_unique_within_record": _list(*LISTS),
}
AGGREGATES: Mapping[str, Maker] = {
    "expect_column_min_to_be_between": _extremes,
    "expect_column_max_to_be_between": _extremes,
    "expect_column_mean_to_be_between": _on(AVERAGED, _numbers),
    "expect_column_sum_to_be_between": _on([*AVERAGED, "tiny", "small"], _numbers),
    "expect_column_stdev_to_be_between": _on(NUMERIC, _numbers),
    "expect_column_median_to_be_between": _on([name for name in NUMERIC if name != "st.a"], _numbers),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_distinct_values_to_be_in_set": _set_of("s", "u", "n", "id", "b", "tiny", "st.b"),
    "expect_column_distinct_values_to_equal_set": _set_of("s", "u", "n", "id", "b", "small", "st.a"),
    "expect_column_distinct_values_to_contain_set": _set_of("s", "u", "n", "id", "b"),
    "expect_column_most_common_value_to_be_in_set": _ties,
    "expect_column_unique_value_count_to_be_between": _on(ANY, _counts),
    "expect_column_proportion_of_unique_values_to_be_between": _on(ANY, _shares),
    "expect_column_proportion_of_non_null_values_to_be_between": _on(NAMES, _shares),
    "expect_table_row_count_to_equal": lambda chance: {"value": chance.choice([0, 1, 7, 15])},
    "expect_table_row_count_to_be_between": _counts,
}
SCHEMATIC: Mapping[str, Maker] = {
    "expect_table_column_count_to_equal": lambda chance: {"value": chance.choice([18, 20])},
    "expect_table_column_count_to_be_between": lambda chance: {"min_value": chance.choice([1, 20, 21])},
    "expect_table_columns_to_match_set": _columns_set,
    "expect_table_columns_to_match_ordered_list": lambda chance: {
        "column_list": chance.choice([NAMES, NAMES[::-1], NAMES[:3]])
    },
    "expect_column_to_exist": _exists,
    "expect_column_type_to_be": _on(NAMES, lambda chance: {"type_": chance.choice(TYPES)}),
    "expect_column_values_to_be_of_type": _on(NAMES, lambda chance: {"type_": chance.choice(TYPES)}),
    "expect_column_values_to_be_in_type_list": _on(NAMES, lambda chance: {"type_list": chance.sample(TYPES, 3)}),
}
CASES: Mapping[str, Maker] = {**ROWWISE, **AGGREGATES, **SCHEMATIC}
"""Expectation type -> a maker of random keyword arguments."""


def random_suite(chance: random.Random, *, cases: int, without: frozenset[str] = frozenset()) -> Suite:
    """A suite in which every type of `CASES` has about the same number of cases.

    Args:
        chance: where randomness comes from.
        cases: how many expectations.
        without: types to leave out.
    """
    types = [kind for kind in CASES if kind not in without]
    weights = [1 if kind in SCHEMATIC else 3 for kind in types]
    picked = [*types, *chance.choices(types, weights, k=max(0, cases - len(types)))][:cases]
    # One condition a suite: GX measures each condition's rows in a query of its own.
    condition = chance.choice(CONDITIONS)
    return parse_suite({"name": "conformance", "expectations": [_case(chance, kind, condition) for kind in picked]})


def _case(chance: random.Random, kind: str, condition: Kwargs) -> Kwargs:
    kwargs = CASES[kind](chance)
    if kind in ROWWISE and chance.random() < 0.4:
        kwargs["mostly"] = chance.choice([0, 0.1, 0.5, 0.9, 1])
    # GX ignores the row condition of pairs in a set; that difference is tested by a known answer.
    if kind not in SCHEMATIC and not kind.endswith("pair_values_to_be_in_set") and chance.random() < 0.3:
        kwargs |= condition
    return {"type": kind, "kwargs": kwargs}
