"""Validates one dataset: suite and row checks in one scan, a verdict by the gate, and the rows split by it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from batch_processing.errors import CheckError, SuiteError, UsageError
from batch_processing.quality.checks import Checks
from batch_processing.quality.compilation import Compiled, ForGX, compile_check, compile_expectation, rules_of
from batch_processing.quality.derived import settle
from batch_processing.quality.engine_messages import describe, require_alive
from batch_processing.quality.frames import Frame
from batch_processing.quality.gate import decide, exact_threshold
from batch_processing.quality.gx import exception_of, run_in_gx
from batch_processing.quality.gx_results import expectation_error, expectation_result, suite_result
from batch_processing.quality.key_counts import repeats
from batch_processing.quality.limits import Limits, require_limits
from batch_processing.quality.rule_results import (
    check_result,
    gx_rule_result,
    rule_result,
    unable_check,
    unable_expectation,
)
from batch_processing.quality.rules import CannotCompile, Finding, Rule, Unable
from batch_processing.quality.scan import Scanned, scan
from batch_processing.quality.split import Split, require_no_reasons
from batch_processing.quality.suite import ExpectationConfig, Suite, load_suite, parse_suite
from batch_processing.results import QualityResult, RuleResult

if TYPE_CHECKING:
    from great_expectations.core.expectation_suite import ExpectationSuite

_LOG = logging.getLogger(__name__)


class Validated:
    """The verdict on a DataFrame, and its rows split by it. True where the outcome passed.

    Attributes:
        result: counts, score, outcome and every rule's result.
        gx_result: the suite's result as Great Expectations writes it (`ExpectationSuiteValidationResult` as JSON).
    """

    def __init__(self, df: DataFrame, *, result: QualityResult, gx_result: dict[str, Any], split: Split | None) -> None:
        self.result = result
        self.gx_result = gx_result
        self._df = df
        self._split = split

    def __bool__(self) -> bool:
        return self.result.outcome.passed

    def __repr__(self) -> str:
        found = self.result
        return f"<Validated {found.dataset}: {found.outcome}, {found.valid:,} of {found.rows:,} rows valid>"

    def bad_rows(self) -> DataFrame | None:
        """The rows that broke a critical row rule: all their columns and `_reasons` (array<string>: every rule id they
        broke, warnings included). None where there is none.
        """
        return self._split.bad_rows() if self._split else None

    def valid_rows(self) -> DataFrame:
        """The rest, original columns; the DataFrame itself where no row is bad."""
        return self._split.valid_rows() if self._split else self._df


def validate(
    df: DataFrame,
    *,
    dataset: str = "data",
    suite: Suite | None = None,
    checks: Checks | None = None,
    threshold: float = 1.0,
    limits: Limits | None = None,
    history: Sequence[QualityResult] = (),
    allow_empty: bool = False,
    meta: Mapping[str, Any] | None = None,
) -> Validated:
    """Judges a DataFrame by a suite and by the row checks among `checks`.

    Table checks are left to `run_table_checks`. Rows are read once for everything but uniqueness, which takes one
    grouped count per key (and a join where keys repeat), and what falls back to GX.

    Args:
        df: the rows, of any Spark Connect session.
        dataset: source name, or `output`.
        suite: the suite.
        checks: Python checks; the row-level ones are used.
        threshold: least share of valid rows, 0..1.
        limits: limits by rule id, and of `score`; a broken one fails the data whatever the score.
        history: verdicts on the same dataset in earlier slices, the latest first, for limits with `worse_by`.
        allow_empty: no rows is a pass.
        meta: run facts for `gx_result["meta"]`, JSON-able.

    Raises:
        UsageError: a threshold outside 0..1, a check whose id is also a rule id of the suite, or a limit of a rule
            that is not there or counts no rows; or data with a column `_reasons`.
        CheckError: the DataFrame cannot be evaluated at all.
        EngineError: the engine does not answer.
    """
    exact_threshold(threshold)
    used = checks or Checks()
    _require_distinct_ids(suite, used)
    require_limits(limits or {}, suite=suite, checks=used, dataset=dataset)
    require_no_reasons(df)
    started = time.monotonic()
    frame = Frame(df)
    configs = suite.expectations if suite else ()
    compiled: list[Compiled] = [compile_expectation(config, frame) for config in configs]
    compiled += [compile_check(check, df, frame) for check in used.row]
    compiled = settle(df, compiled)
    rules = rules_of(compiled)
    scanned = scan(df, rules)
    from_gx = _run_fallback(df, configs, compiled)
    split = _split(df, rules, scanned)
    bad = _count(split, dataset) if split and _needs_join(rules, scanned) else scanned.bad_by_predicate
    judged = _judge_all(configs, used, compiled, scanned, from_gx, allow_empty=allow_empty)
    decision = decide(
        [rule for rule, _ in judged],
        rows=scanned.rows,
        bad=bad,
        threshold=threshold,
        limits=limits,
        history=history,
        allow_empty=allow_empty,
        rules_expected=suite is not None or not used.table,
        suite_empty=suite is not None and not suite.expectations,
    )
    result = QualityResult(
        dataset=dataset,
        suite=suite.name if suite else "",
        fingerprint=suite.fingerprint if suite else _checks_fingerprint(used),
        outcome=decision.outcome,
        score=decision.score,
        threshold=threshold,
        rows=scanned.rows,
        valid=scanned.rows - bad,
        quarantined=bad,
        rules=tuple(rule for rule, _ in judged),
        message=decision.message,
        limits=decision.limits,
    )
    _LOG.info(
        "validated %s: %s, %d rules, %d of %d rows valid, %.2f s",
        dataset, result.outcome, len(judged), result.valid, result.rows, time.monotonic() - started,
    )  # fmt: skip
    for limit in result.limits:
        if limit.state == "not_judged":
            _LOG.info("a limit of %s is not judged: %s", dataset, limit.message)
    facts = {**(meta or {}), "batch_processing": _facts(result)}
    gx_result = suite_result(result.suite, [found for _, found in judged if found is not None], meta=facts)
    return Validated(df, result=result, gx_result=gx_result, split=split if bad else None)


def validate_data(
    df: DataFrame,
    suite: Suite | Mapping[str, Any] | str | Path | ExpectationSuite,
    *,
    suites_dir: Path | str | None = None,
    checks: Checks | None = None,
    threshold: float = 1.0,
    limits: Limits | None = None,
    history: Sequence[QualityResult] = (),
    allow_empty: bool = False,
) -> Validated:
    """Judges a DataFrame by a suite: `if validate_data(df, "batch_suite"): ...`

    Args:
        df: the rows, of any Spark Connect session.
        suite: a Suite, Great Expectations' own, the JSON object of one, or the name or path of a suite file.
        suites_dir: where named suites are; default `gx/expectations` in the current folder.
        checks: Python checks; the row-level ones are used.
        threshold: least share of valid rows, 0..1.
        limits: limits by rule id, as `{"amount_is_positive": Limit(share=0.01)}`, and of `score`.
        history: `.result` of earlier verdicts, the latest first, for limits with `worse_by`.
        allow_empty: no rows is a pass.

    Returns:
        The verdict; true where it passed. `.result` has the counts, `.bad_rows()` and `.valid_rows()` the rows.

    Raises:
        SuiteError: no such suite, or not a valid one.
        UsageError, CheckError, EngineError: as `validate`.
    """
    folder = Path(suites_dir) if suites_dir is not None else Path.cwd() / "gx" / "expectations"
    found = _suite(suite, folder)
    return validate(
        df, suite=found, checks=checks, threshold=threshold, limits=limits, history=history, allow_empty=allow_empty
    )


def _suite(given: object, folder: Path) -> Suite:
    if isinstance(given, Suite):
        return given
    if isinstance(given, str | Path):
        return load_suite(str(given), suites_dir=folder)
    if isinstance(given, Mapping):
        return parse_suite(given)
    if type(given).__module__.startswith("great_expectations.") and hasattr(given, "to_json_dict"):
        return parse_suite(given.to_json_dict())
    raise SuiteError(
        "this is no suite",
        found=type(given).__name__,
        fix="give a suite's name, its path, its JSON object, or an ExpectationSuite",
    )


def _require_distinct_ids(suite: Suite | None, checks: Checks) -> None:
    both = sorted(set(suite.rule_ids if suite else ()) & checks.ids)
    if both:
        raise UsageError(f"{both[0]!r} is a rule of the suite and the id of a check", fix="give the check another id")


def _run_fallback(
    df: DataFrame, configs: tuple[ExpectationConfig, ...], compiled: list[Compiled]
) -> dict[str, dict[str, Any]]:
    asked = {rule.rule_id for rule in compiled if isinstance(rule, ForGX)}
    wanted = [config for config in configs if config.rule_id in asked]
    return dict(zip([config.rule_id for config in wanted], run_in_gx(df, wanted), strict=True))


def _needs_join(rules: list[Rule], scanned: Scanned) -> bool:
    """True where a critical rule found keys that repeat: its rows are known only by a join with them."""
    critical = [rule for rule in rules if rule.severity == "critical" and rule.rule_id not in scanned.broken]
    return any(repeats(rule.unique, scanned.values) for rule in critical if rule.unique)


def _split(df: DataFrame, rules: list[Rule], scanned: Scanned) -> Split | None:
    able = [rule for rule in rules if rule.rule_id not in scanned.broken]
    if not scanned.bad_by_predicate and not _needs_join(able, scanned):
        return None
    return Split(df, able, values=scanned.values)


def _count(split: Split, dataset: str) -> int:
    try:
        return split.count()
    except PySparkException as error:
        require_alive(error, where=dataset)
        raise CheckError(
            "the rows that break a rule cannot be counted",
            where=dataset,
            found=describe(error),
            fix="its cause is chained",
        ) from error


def _judge_all(
    configs: tuple[ExpectationConfig, ...],
    checks: Checks,
    compiled: list[Compiled],
    scanned: Scanned,
    from_gx: Mapping[str, dict[str, Any]],
    *,
    allow_empty: bool,
) -> list[tuple[RuleResult, dict[str, Any] | None]]:
    found: list[tuple[RuleResult, dict[str, Any] | None]] = []
    for config, rule in zip(configs, compiled[: len(configs)], strict=True):
        if isinstance(rule, ForGX):
            raw = from_gx[rule.rule_id]
            found.append(
                (gx_rule_result(config, raw, exception_of(raw), empty=scanned.rows == 0, allow_empty=allow_empty), raw)
            )
            continue
        outcome = _finding(rule, scanned)
        if isinstance(outcome, str):
            found.append((unable_expectation(config, outcome), expectation_error(config, outcome)))
        else:
            result = rule_result(config, outcome, rows=scanned.rows)
            found.append((result, expectation_result(config, outcome)))
    for check, rule in zip(checks.row, compiled[len(configs) :], strict=True):
        outcome = _finding(rule, scanned)
        found.append((unable_check(check, outcome) if isinstance(outcome, str) else check_result(check, outcome), None))
    return found


def _finding(rule: Compiled, scanned: Scanned) -> Finding | str:
    """A rule's finding, or why it has none."""
    if isinstance(rule, Unable):
        return rule.message
    if not isinstance(rule, Rule):
        return "nothing evaluated it"
    if why := scanned.broken.get(rule.rule_id):
        return why
    try:
        return rule.judge(scanned.values)
    except CannotCompile as reason:
        return str(reason)
    except KeyError:
        return "the scan gave no result for it"
    except (TypeError, ValueError) as error:
        return f"the observed value cannot be compared with its bounds ({type(error).__name__})"


def _facts(result: QualityResult) -> dict[str, Any]:
    custom = [
        {
            "id": rule.rule_id,
            "outcome": rule.outcome.value,
            "unexpected_count": rule.unexpected_count,
            "message": rule.message,
        }
        for rule in result.rules
        if rule.engine == "python"
    ]
    scores = [
        {"id": rule.rule_id, "score": rule.score, "failing": rule.unexpected_count, "judged": rule.judged_count}
        for rule in result.rules
    ]
    return {
        "dataset": result.dataset, "outcome": result.outcome.value, "score": result.score,
        "threshold": result.threshold,
        "rows": result.rows, "quarantined": result.quarantined, "fingerprint": result.fingerprint, "checks": custom,
        "message": result.message, "rules": scores, "limits": [asdict(limit) for limit in result.limits],
    }  # fmt: skip


def _checks_fingerprint(checks: Checks) -> str:
    named = json.dumps([[check.id, check.severity.value] for check in checks.row])
    return hashlib.sha256(named.encode()).hexdigest()[:16]
