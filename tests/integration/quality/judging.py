"""Six orders with known faults, and how the tests of this folder judge them."""

from __future__ import annotations

from typing import Any

from batch_processing.quality import Validated, parse_suite, validate
from batch_processing.results import RuleResult

ORDERS = [
    (1, 10.0, "a@x", "DE"),
    (2, -5.0, None, "DE"),
    (2, None, "b@x", "FR"),
    (None, 1.0, "", "FR"),
    (5, -1.0, "q", None),
    (6, 7.0, "c@x", "DE"),
]
SCHEMA = "id bigint, amount double, mail string, country string"


def e(kind: str, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    meta = {"rule_id": kwargs.pop("rule_id")} if "rule_id" in kwargs else {}
    return {"type": f"expect_{kind}", "kwargs": kwargs, "severity": severity, "meta": meta}


def judge(df: Any, *expectations: dict[str, Any], **more: Any) -> Validated:
    return validate(df, suite=parse_suite({"name": "s", "expectations": list(expectations)}), **more)


def rule(validated: Validated, rule_id: str) -> RuleResult:
    return next(found for found in validated.result.rules if found.rule_id == rule_id)


def ids(df: Any) -> list[Any]:
    return sorted((row["id"] for row in df.collect()), key=lambda value: (value is None, value))


UNIQUE = e("column_values_to_be_unique", column="id", rule_id="unique")
PRESENT = e("column_values_to_not_be_null", column="id", rule_id="present")
POSITIVE = e("column_values_to_be_between", column="amount", min_value=0, rule_id="positive")
