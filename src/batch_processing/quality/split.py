"""The bad rows and the rest: two DataFrames that are exact complements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from batch_processing.errors import UsageError
from batch_processing.quality.frames import all_of, any_of, quoted, truth
from batch_processing.quality.key_counts import key_column, repeated_keys, repeats
from batch_processing.quality.rules import KeyCount, Rule, Values
from batch_processing.results import Severity

REASONS = "_reasons"


def require_no_reasons(df: DataFrame) -> None:
    """Refuses data with a column of the name that bad rows get.

    Raises:
        UsageError: there is such a column, in any case of letters.
    """
    found = next((name for name in df.columns if name.lower() == REASONS), None)
    if found is not None:
        raise UsageError(
            f"the data has a column named {found!r}, which is the name of the column that bad rows get", fix="rename it"
        )


class Split:
    """Tells bad rows from good ones.

    Uniqueness is a left join with the keys that repeat, so that every row of a repeated key is bad; no window.

    Args:
        df: the rows.
        rules: rules that name rows and that could run.
        values: what the scan found; only groupings with repeated keys are joined.
    """

    def __init__(self, df: DataFrame, rules: Sequence[Rule], *, values: Values) -> None:
        self._df = df
        self._rules = [rule for rule in rules if rule.names_rows]
        self._values = values
        unique = [rule.unique for rule in self._rules if rule.unique and repeats(rule.unique, values)]
        used = {key.key: key for key in unique}
        self._prefix = _unused_prefix(df.columns)
        self._marks = {key: (index, count) for index, (key, count) in enumerate(used.items())}

    def count(self) -> int:
        """Rows that break a critical rule, each once."""
        return int(self._flagged.agg(F.count_if(self._is_bad)).collect()[0][0])

    def bad_rows(self) -> DataFrame:
        """All columns of the rows that break a critical rule, and `_reasons`: every rule they break."""
        flags = [(rule.rule_id, self._flag(rule)) for rule in self._rules]
        reasons = F.array_compact(
            F.array(*[F.when(flag, F.lit(rule_id)) for rule_id, flag in flags if flag is not None])
        )
        return self._flagged.where(self._is_bad).select(*self._original, reasons.alias(REASONS))

    def valid_rows(self) -> DataFrame:
        """The other rows, original columns."""
        return self._flagged.where(~self._is_bad).select(*self._original)

    @property
    def _original(self) -> list[Column]:
        return [F.col(quoted(name)) for name in self._df.columns]

    @cached_property
    def _flagged(self) -> DataFrame:
        return reduce(self._mark, self._marks.values(), self._df)

    def _mark(self, df: DataFrame, mark: tuple[int, KeyCount]) -> DataFrame:
        index, key = mark
        names = [f"{self._mark_name(index)}_{position}" for position in range(len(key.columns))]
        keys = repeated_keys(self._df, key, names, values=self._values).withColumn(self._mark_name(index), F.lit(True))
        pairs = zip(key.columns, names, strict=True)
        equal = [key_column(self._df, name).eqNullSafe(F.col(alias)) for name, alias in pairs]
        return df.join(keys, on=all_of(equal), how="left").drop(*names)

    @cached_property
    def _is_bad(self) -> Column:
        critical = [rule for rule in self._rules if rule.severity is Severity.CRITICAL]
        return any_of([flag for rule in critical if (flag := self._flag(rule)) is not None])

    def _flag(self, rule: Rule) -> Column | None:
        if rule.bad is not None:
            return truth(rule.bad)
        if rule.unique is None or rule.unique.key not in self._marks:
            return None
        index, key = self._marks[rule.unique.key]
        return truth(F.col(self._mark_name(index))) & truth(key.where)

    def _mark_name(self, index: int) -> str:
        return f"{self._prefix}_{index}"


def _unused_prefix(columns: Sequence[str]) -> str:
    """Beginning of names that no column has, in any case of letters."""
    prefix = "_repeated"
    while any(name.lower().startswith(prefix) for name in columns):
        prefix = f"_{prefix}"
    return prefix
