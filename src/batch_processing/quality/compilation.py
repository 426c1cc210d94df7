"""From a suite and Python checks to rules: compiled, for GX, or unable to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import BooleanType, DataType

from batch_processing.quality.aggregates import compile_table_rule
from batch_processing.quality.catalog import CATALOG
from batch_processing.quality.checks import RowCheck
from batch_processing.quality.derived import PENDING_TYPES, compile_pending_rule
from batch_processing.quality.engine_messages import describe
from batch_processing.quality.frames import ROWS, Frame, missing_column, truth
from batch_processing.quality.predicates import ROW_TYPES, compile_row_rule
from batch_processing.quality.rules import CannotCompile, Finding, Measure, NotCompiled, Pending, Rule, Unable, Values
from batch_processing.quality.suite import ExpectationConfig

_LIMIT = 300


@dataclass(frozen=True)
class ForGX:
    """An expectation that GX has to evaluate."""

    rule_id: str


Compiled = Rule | Pending | ForGX | Unable


def compile_expectation(config: ExpectationConfig, frame: Frame) -> Compiled:
    """Compiles one expectation, or says who has to run it, or why nobody can."""
    if CATALOG[config.type].how != "compiled":
        absent = [name for name in config.columns if name not in frame.columns and name not in frame.all_names]
        return Unable(config.rule_id, missing_column(absent[0], frame.columns)) if absent else ForGX(config.rule_id)
    try:
        if config.type in PENDING_TYPES:
            return compile_pending_rule(config, frame)
        if config.type in ROW_TYPES:
            return compile_row_rule(config, frame)
        return compile_table_rule(config, frame)
    except NotCompiled:
        return ForGX(config.rule_id)
    except CannotCompile as reason:
        return Unable(config.rule_id, str(reason))
    except (PySparkException, TypeError, ValueError, OverflowError) as error:
        return Unable(config.rule_id, f"it cannot be compiled: {describe(error)}")


def compile_check(check: RowCheck, df: DataFrame, frame: Frame) -> Rule | Unable:
    """Builds the Column of a row check; what the function raises is its own error."""
    if absent := [name for name in check.columns if name not in frame.columns]:
        return Unable(check.id, missing_column(absent[0], frame.columns))
    try:
        good = check.function(df)
    except (Exception, SystemExit) as error:  # noqa: BLE001 -- the user's code may raise anything; the other rules go on
        return Unable(check.id, _raised(error))
    if not isinstance(good, Column):
        return Unable(
            check.id, f"the check returned {type(good).__name__}, expected a Spark Column (true for a good row)"
        )
    kind = _kind(df, good)
    if kind is not None and not isinstance(kind, BooleanType):
        return Unable(check.id, f"the check's column is {kind.simpleString()}, expected boolean (true for a good row)")
    bad = ~truth(good)
    count = Measure(f"bad|{check.id}", F.count_if(bad))
    rows = Measure(ROWS, F.count(F.lit(1)))
    return Rule(
        check.id,
        "check_row",
        check.severity,
        _judge(rows.key, count.key),
        (rows,),
        bad=bad,
        bad_rows=count,
        columns=check.columns,
    )


def _kind(df: DataFrame, column: Column) -> DataType | None:
    """The column's type; None where it has none on these rows: the scan says why."""
    try:
        return df.select(column).schema.fields[0].dataType
    except PySparkException:
        return None


def _raised(error: BaseException) -> str:
    if isinstance(error, PySparkException):
        return f"the check raised {describe(error)}"
    text = " ".join(str(error).split())
    shown = text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…"
    return f"the check raised {type(error).__name__}: {shown}"


def _judge(rows: str, bad: str) -> Callable[[Values], Finding]:
    def judge(values: Values) -> Finding:
        elements, broken = int(values[rows]), int(values[bad])
        message = f"{broken:,} of {elements:,} rows broke it" if broken else ""
        return Finding(not broken, element_count=elements, unexpected_count=broken, judged=elements, message=message)

    return judge


def rules_of(compiled: Sequence[Compiled]) -> list[Rule]:
    """The ones that run here."""
    return [rule for rule in compiled if isinstance(rule, Rule)]
