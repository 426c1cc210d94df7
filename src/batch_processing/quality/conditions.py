"""Row conditions, read into Spark SQL.

Great Expectations knows three kinds: Spark SQL (`condition_parser` is `spark`), one comparison in its own words
(`col("amount") > 1`, `condition_parser` is `great_expectations`), and objects (`{"type": "comparison", ...}`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

Names = Callable[[str], tuple[str, bool]]
"""A column as Spark SQL quotes it, and whether it holds floats; raises where there is no such column."""
_IN_GX_WORDS = re.compile(
    r"""\s* col\("(?P<column>[^"\n]+)"\) \s*
        (?: (?P<present>\.notnull\(\))
          | (?P<operator>>=|<=|==|!=|>|<) \s*
            (?: (?P<number>[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?)
              | (?P<day>date\(\s*)? (?P<quote>["'])(?P<text>.*?)(?P=quote) (?(day)\s*\)) ) )
        (?P<rest>.*)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_MEMBERSHIPS = ("IN", "NOT_IN")
_MOST_PARTS = 100
_PARSERS = ("spark", "great_expectations", "great_expectations__experimental__", "pandas")


def condition_problems(kwargs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an expectation's `row_condition` and `condition_parser`, one sentence each."""
    condition, parser = kwargs.get("row_condition"), kwargs.get("condition_parser")
    if parser is not None and parser not in _PARSERS:
        yield f"condition_parser is {parser!r}; valid: {', '.join(_PARSERS[:2])}"
    elif parser == "pandas":
        yield "condition_parser pandas does not work on Spark; write the condition in Spark SQL with parser spark"
    elif isinstance(condition, str) and parser is None:
        yield "row_condition needs condition_parser: 'spark' for Spark SQL, 'great_expectations' for col(...)"
    elif isinstance(condition, str) and parser != "spark":
        yield from _gx_text_problems(condition)
    elif isinstance(condition, Mapping):
        yield from (f"row_condition: {problem}" for problem in _object_problems(condition))
    elif condition is not None and not isinstance(condition, str):
        yield "row_condition is not text and not an object"


def condition_sql(kwargs: Mapping[str, Any], names: Names) -> str:
    """An expectation's row condition as Spark SQL; "" where it has none.

    Args:
        kwargs: of the expectation, without problems.
        names: how a column is written.

    Raises:
        ValueError: a condition with problems; and whatever `names` raises.
    """
    condition, parser = kwargs.get("row_condition"), kwargs.get("condition_parser")
    if not condition:
        return ""
    if isinstance(condition, Mapping):
        return _object_sql(condition, names)
    return str(condition) if parser == "spark" else _gx_text_sql(str(condition), names)


def _gx_text_problems(text: str) -> Iterator[str]:
    found = _IN_GX_WORDS.fullmatch(text)
    if found is None:
        yield (
            f"row_condition {text!r} is not a comparison as great_expectations reads it, "
            'as col("x") > 1, col("x") == "a" or col("x").notNull()'
        )
    elif rest := found["rest"].strip():
        yield (
            f"row_condition goes on with {rest!r}, which great_expectations would leave out: it reads one comparison; "
            "write the condition in Spark SQL with condition_parser 'spark'"
        )


def _gx_text_sql(text: str, names: Names) -> str:
    found = _IN_GX_WORDS.fullmatch(text)
    if found is None:
        raise ValueError("its row_condition cannot be read")
    column, floats = names(found["column"])
    if found["present"]:
        return f"{column} IS NOT NULL"
    value = _number(found["number"]) if found["number"] else found["text"]
    return f"{column} {found['operator']} {_literal(value, floats)}"


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _object_problems(node: Mapping[str, Any]) -> Iterator[str]:
    kind = node.get("type")
    if kind == "pass_through":
        if not isinstance(node.get("pass_through_filter"), str) or not node["pass_through_filter"].strip():
            yield "a pass_through without a pass_through_filter"
    elif kind in ("and", "or"):
        yield from _group_problems(str(kind), node.get("conditions"))
    elif kind in ("comparison", "nullity"):
        column = node.get("column")
        if not isinstance(column, Mapping) or not isinstance(column.get("name"), str) or not column["name"]:
            yield f"a {kind} without a column's name"
        yield from _comparison_problems(node) if kind == "comparison" else _nullity_problems(node)
    else:
        yield f"unknown type {kind!r}; valid: comparison, nullity, and, or, pass_through"


def _group_problems(kind: str, parts: Any) -> Iterator[str]:
    if not isinstance(parts, list | tuple) or not parts or not all(isinstance(part, Mapping) for part in parts):
        yield f"'{kind}' without a list of conditions, which would judge every row or none"
        return
    if _count(parts) > _MOST_PARTS:
        yield f"more than {_MOST_PARTS} conditions, which GX refuses"
    if any(_holds_or(part) for part in parts):
        yield f"an 'or' inside an '{kind}', which GX refuses; write the condition in Spark SQL"
    for part in parts:
        yield from _object_problems(part)


def _count(parts: Any) -> int:
    return sum(_count(part["conditions"]) if isinstance(part.get("conditions"), list) else 1 for part in parts)


def _holds_or(part: Mapping[str, Any]) -> bool:
    inner = part.get("conditions")
    return part.get("type") == "or" or (
        isinstance(inner, list | tuple) and any(isinstance(one, Mapping) and _holds_or(one) for one in inner)
    )


def _nullity_problems(node: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(node.get("is_null"), bool):
        yield "a nullity without is_null true or false"


def _comparison_problems(node: Mapping[str, Any]) -> Iterator[str]:
    operator, parameter = node.get("operator"), node.get("parameter")
    if operator in _MEMBERSHIPS:
        if not isinstance(parameter, list | tuple | set) or not parameter:
            yield f"{operator} without a list of values"
        elif len({isinstance(value, str) for value in parameter}) > 1 or not all(map(_is_plain, parameter)):
            yield f"{operator} with values that are not all numbers or all texts"
    elif operator not in _COMPARISONS:
        yield f"unknown operator {operator!r}; valid: {', '.join((*_COMPARISONS, *_MEMBERSHIPS))}"
    elif parameter is None:
        yield f"{operator} with null, which nothing equals; use a nullity"
    elif not _is_plain(parameter) and not isinstance(parameter, bool | date):
        yield f"{operator} with a parameter that is not a number, a text or a date"


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int | str) and not isinstance(value, bool)


def _object_sql(node: Mapping[str, Any], names: Names) -> str:
    kind = node["type"]
    if kind == "pass_through":
        return str(node["pass_through_filter"])
    if kind in ("and", "or"):
        # Each on a line of its own: one may end with a comment.
        return f"\n{kind.upper()} ".join(f"(\n{_object_sql(part, names)}\n)" for part in node["conditions"])
    column, floats = names(node["column"]["name"])
    if kind == "nullity":
        return f"{column} IS {'NULL' if node['is_null'] else 'NOT NULL'}"
    operator, parameter = node["operator"], node["parameter"]
    if operator in _MEMBERSHIPS:
        values = ", ".join(_literal(value, floats) for value in parameter)
        return f"{column} {'IN' if operator == 'IN' else 'NOT IN'} ({values})"
    return f"{column} {operator} {_literal(parameter, floats)}"


def _literal(value: Any, floats: bool) -> str:
    """A value in Spark SQL.

    Args:
        value: a number, text, date or timestamp.
        floats: it is compared with floats, so a fraction is the nearest double; else it is the decimal that is written.
            The embedded engine would make decimals of the floats, which NaN and infinity are not.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and floats:
        return f"CAST('{value!r}' AS DOUBLE)"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date):
        return f"{'TIMESTAMP' if isinstance(value, datetime) else 'DATE'} '{value.isoformat()}'"
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
