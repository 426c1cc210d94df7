"""The steps that judge: validate the sources, run the custom checks, judge the staged output, keep the metrics."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from batch_processing.errors import CheckError, LedgerError, ValidationFailed
from batch_processing.pipeline.context import RunContext
from batch_processing.pipeline.frames import check_inputs, check_split, landed_frame, valid_frame
from batch_processing.pipeline.landing_steps import check_extracted, extracted
from batch_processing.pipeline.ledger import check_hop, check_validated
from batch_processing.pipeline.limits import history_for, limits_of
from batch_processing.pipeline.manifests import (
    CustomManifest,
    OutputManifest,
    SourceVerdict,
    TransformManifest,
    ValidateManifest,
    fingerprint,
    new_token,
)
from batch_processing.pipeline.metrics import write_metrics
from batch_processing.pipeline.plan import PlanStep
from batch_processing.results import (
    OUTPUT_DATASET,
    Outcome,
    Published,
    QualityResult,
    RuleResult,
    table_checks_dataset,
)
from batch_processing.settings.models import OutputValidationSpec, ValidationSpec
from batch_processing.storage import write_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from batch_processing.quality.validation import Validated

_LOG = logging.getLogger(__name__)


_FAILED = "Data validation failed"


def validate(ctx: RunContext, step: PlanStep) -> dict[str, Any]:
    """Judges every source, quarantines its bad rows, then lets the gate decide.

    All sources are judged and all evidence is stored before a closed gate raises.
    """
    print_ = _validate_fingerprint(ctx)
    done = ctx.manifests.read(step.id, ValidateManifest)
    if done is None or done.fingerprint != print_:
        verdicts = {name: _judge_source(ctx, name) for name in ctx.spec.sources}
        _require([v.quality for v in verdicts.values() if v.quality], ctx)
        done = ValidateManifest(new_token(), print_, verdicts)
        ctx.manifests.write(step.id, done)
    else:
        for verdict in done.sources.values():
            if verdict.quality is not None:
                ctx.control.record_quality(ctx.key, verdict.quality)
    totals = {
        name: sum(getattr(verdict, name) for verdict in done.sources.values())
        for name in ("landed", "valid", "quarantined")
    }
    qualities = [verdict.quality for verdict in done.sources.values() if verdict.quality]
    outcome = Outcome.PASS_WITH_QUARANTINE if totals["quarantined"] else Outcome.PASS
    return {"outcome": outcome.value, **totals, "scores": {q.dataset: q.score for q in qualities}}


def custom_validation(ctx: RunContext, step: PlanStep) -> dict[str, Any]:
    """Runs the table-level Python checks on the valid rows of each source."""
    from batch_processing.quality.checks import load_checks
    from batch_processing.quality.table_checks import run_table_checks

    upstream = ctx.manifests.need("validate", ValidateManifest)
    names = {source: spec.checks for source, spec in ctx.spec.validations.items() if spec.checks}
    digests = [ctx.code_digest(name, what="check") for checks in names.values() for name in checks]
    print_ = fingerprint(upstream.token, names, digests)
    done = ctx.manifests.read(step.id, CustomManifest)
    if done is None or done.fingerprint != print_:
        rules: dict[str, tuple[RuleResult, ...]] = {}
        results = []
        for source, wanted in names.items():
            checks = load_checks(wanted, root=ctx.project.root)
            if not checks.table:
                continue
            evidence = ctx.folder / "evidence" / source
            rules[source] = run_table_checks(valid_frame(ctx, source), checks, dataset=source, evidence=evidence)
            check_inputs(ctx, source)
            verdict = upstream.sources[source]
            result = _custom_result(source, verdict.valid, rules[source])
            ctx.control.record_quality(ctx.key, result)
            results.append(result)
        _require(results, ctx)
        done = CustomManifest(new_token(), print_, rules)
        ctx.manifests.write(step.id, done)
    else:
        for source, found in done.rules.items():
            ctx.control.record_quality(ctx.key, _custom_result(source, upstream.sources[source].valid, found))
    judged = [rule for rules in done.rules.values() for rule in rules]
    return {"checks": len(judged), "passed": sum(rule.outcome.passed for rule in judged)}


def validate_output(ctx: RunContext, step: PlanStep) -> dict[str, Any]:
    """Judges exactly the staged files. Where they fail they are discarded; the table stays as it was."""
    from batch_processing.delta_lake.staging import check_staged, discard, read_staged

    spec = ctx.spec.validate_output
    if spec is None:
        return {}
    upstream = ctx.manifests.need("transform", TransformManifest)
    frame = read_staged(ctx.spark, upstream.staged)
    validated = _run_suite(ctx, frame, dataset=OUTPUT_DATASET, spec=spec, allow_empty=spec.allow_empty)
    quality = validated.result
    _store_evidence(ctx, "output", validated)
    check_hop(
        "validate_output",
        into=upstream.staged.rows,
        out=quality.rows,
        where=upstream.staged.table,
        equation=f"staged {upstream.staged.rows:,} != judged {quality.rows:,}",
    )
    results = [quality, *_output_table_checks(ctx, frame, spec, rows=quality.rows)]
    check_staged(upstream.staged, hop="validate_output")
    try:
        _require(results, ctx)
    except ValidationFailed:
        discard(upstream.staged)
        raise
    ctx.manifests.write(step.id, OutputManifest(new_token(), upstream.token, quality))
    return {
        "score": quality.score,
        "rows": quality.rows,
        "rules": sum(len(result.rules) for result in results),
    }


def _output_table_checks(
    ctx: RunContext, frame: DataFrame, spec: OutputValidationSpec, *, rows: int
) -> list[QualityResult]:
    from batch_processing.quality.checks import load_checks
    from batch_processing.quality.table_checks import run_table_checks

    checks = load_checks(spec.checks, root=ctx.project.root)
    if not checks.table:
        return []
    rules = run_table_checks(frame, checks, dataset=OUTPUT_DATASET, evidence=ctx.folder / "evidence" / "_output")
    result = _custom_result(OUTPUT_DATASET, rows, rules)
    ctx.control.record_quality(ctx.key, result)
    return [result]


def quality_metrics(ctx: RunContext) -> dict[str, Any]:
    """Keeps the run's scores and counts, and hands them to the metrics back end."""
    verdicts = ctx.manifests.need("validate", ValidateManifest).sources
    landed = sum(verdict.landed for verdict in verdicts.values())
    valid = sum(verdict.valid for verdict in verdicts.values())
    record = ctx.control.run(ctx.run_id, pipeline=ctx.spec.pipeline)
    path = write_metrics(ctx.project.home / "metrics", record)
    return {"score": valid / landed if landed else 1.0, "landed": landed, "valid": valid, "metrics_file": str(path)}


def run_score(ctx: RunContext) -> float:
    """Valid rows / landed rows over the sources that are validated, 0..1."""
    verdicts = [v for v in ctx.manifests.need("validate", ValidateManifest).sources.values() if v.quality is not None]
    landed = sum(verdict.landed for verdict in verdicts)
    return sum(verdict.valid for verdict in verdicts) / landed if landed else 1.0


def _judge_source(ctx: RunContext, name: str) -> SourceVerdict:
    landed = sum(manifest.landed.landed for manifest in extracted(ctx, name))
    spec = ctx.spec.validations.get(name)
    allow_empty = ctx.spec.sources[name].allow_empty or (spec is not None and spec.allow_empty)
    if spec is None:
        if landed == 0 and not allow_empty:
            raise CheckError(
                f"source {name} has no rows, so there is nothing to judge",
                where=f"sources.{name}",
                found="0 rows landed",
                fix="look at its rejects in the report, or set allow_empty: true where no rows are normal",
            )
        return SourceVerdict(landed=landed, valid=landed, quarantined=0)
    validated = _run_suite(ctx, landed_frame(ctx, name), dataset=name, spec=spec, allow_empty=allow_empty)
    quality = validated.result
    _store_evidence(ctx, name, validated)
    if quality.outcome is Outcome.ERROR:
        return SourceVerdict(landed=landed, valid=0, quarantined=0, quality=quality)
    check_validated(name, landed=landed, valid=quality.valid, quarantined=quality.quarantined)
    quarantine = _quarantine(ctx, name, validated)
    check_extracted(name, extracted(ctx, name))
    return SourceVerdict(landed, quality.valid, quality.quarantined, quality, quarantine)


def _run_suite(
    ctx: RunContext, frame: Any, *, dataset: str, spec: ValidationSpec | OutputValidationSpec, allow_empty: bool
) -> Validated:
    from batch_processing.quality.checks import load_checks
    from batch_processing.quality.suite import load_suite
    from batch_processing.quality.validation import validate as judge

    suite = load_suite(spec.suite, suites_dir=ctx.project.suites_dir) if spec.suite else None
    checks = load_checks(spec.checks, root=ctx.project.root) if spec.checks else None
    limits = limits_of(spec)
    return judge(
        frame,
        dataset=dataset,
        suite=suite,
        checks=checks,
        threshold=ctx.threshold(spec.threshold),
        limits=limits,
        history=history_for(ctx, dataset, limits),
        allow_empty=allow_empty,
    )


def _store_evidence(ctx: RunContext, dataset: str, validated: Validated) -> None:
    write_json(ctx.folder / "quality" / f"{dataset}.json", validated.gx_result)
    ctx.control.record_quality(ctx.key, validated.result)


def _quarantine(ctx: RunContext, name: str, validated: Validated) -> Published | None:
    """Publishes the bad rows into the source's quarantine table, in place of what the slice had there before."""
    from pyspark.sql import functions as sf

    from batch_processing.delta_lake.publish import publish
    from batch_processing.delta_lake.staging import discard, stage
    from batch_processing.storage import local_path

    table = ctx.quarantine_table(name)
    bad = validated.bad_rows()
    if bad is None and not local_path(table).exists():
        return None
    # A folder that is no table yet is of a run that staged bad rows and has not committed them. It may only be frozen:
    # the commit of no rows below is what stops its late one.
    if bad is None:
        bad = landed_frame(ctx, name).withColumn("_reasons", sf.array(sf.lit(""))).where(sf.lit(False))
    token = new_token()
    facts = {
        "_slice": ctx.slice.iso,
        "_generation": ctx.generation,
        "_run_id": ctx.run_id,
        "_suite": validated.result.fingerprint,
    }
    frame = bad.withColumns({column: sf.lit(value) for column, value in facts.items()})
    staged = stage(frame, table=table, partition_by=("_slice",), folder=f"{ctx.attempt_folder}/{token}")
    try:
        check_hop(
            f"quarantine {name}",
            into=validated.result.quarantined,
            out=staged.rows,
            where=table,
            equation=f"bad rows counted {validated.result.quarantined:,} != rows written {staged.rows:,}",
        )
        check_split(ctx, name, valid=validated.valid_rows, quarantined=staged)
    except LedgerError:
        discard(staged)
        raise
    try:
        published = publish(
            staged,
            mode="replace_partitions",
            app_id=f"batch_processing:quarantine:{ctx.spec.pipeline}:{ctx.slice.iso}:{ctx.run_id}:{token}",
            generation=1,
            metadata={"pipeline": ctx.spec.pipeline, "slice": ctx.slice.iso, "run_id": ctx.run_id, "source": name},
            replace=[{"_slice": ctx.slice.iso}],
            schema_change="additive",
            fence=lambda: _refuse_where_published(ctx),
        )
    except _SlicePublished as late:
        # The quarantine is the published run's. This one's bad rows stay staged, so that it goes on without them.
        _LOG.warning("%s of run %s is not quarantined: %s", name, ctx.run_id, late)
        files = tuple(str(local_path(table) / file.path) for file in staged.files)
        digests = tuple(file.sha256 for file in staged.files)
        published = Published(table, version=-1, rows=staged.rows, files=files, run_id=ctx.run_id, digests=digests)
    ctx.control.record_quarantine(ctx.key, name, table)
    return published if staged.rows else None


class _SlicePublished(Exception):
    """The slice's generation is published, so its quarantine is settled."""


def _refuse_where_published(ctx: RunContext) -> None:
    from batch_processing.delta_lake.publish import find_published

    found = find_published(ctx.target_table(), app_id=ctx.app_id, generation=ctx.generation)
    if found is not None:
        raise _SlicePublished(f"slice {ctx.slice} is published as version {found.version} by run {found.run_id}")


def _require(results: list[QualityResult], ctx: RunContext) -> None:
    """Raises where a gate closed; an ERROR wins over a FAIL, for nobody knows what it would have said."""
    where = f"pipeline {ctx.spec.pipeline}, slice {ctx.slice}"
    fix = f"see the report {ctx.report_path}"
    if errors := [result for result in results if result.outcome is Outcome.ERROR]:
        text = "; ".join(f"{result.dataset}: {result.message}" for result in errors)
        raise CheckError("a check could not run, so there is no verdict", where=where, found=text, fix=fix)
    if failed := [result for result in results if result.outcome is Outcome.FAIL]:
        text = "; ".join(f"{result.dataset}: {result.message.removeprefix(_FAILED + ': ')}" for result in failed)
        raise ValidationFailed(_FAILED, where=where, found=text, fix=fix)


def _custom_result(source: str, rows: int, rules: tuple[RuleResult, ...]) -> QualityResult:
    from batch_processing.quality.gate import decide_table_checks

    decision = decide_table_checks(rules)
    return QualityResult(
        dataset=table_checks_dataset(source),
        suite="",
        fingerprint="",
        outcome=decision.outcome,
        score=decision.score,
        threshold=1.0,
        rows=rows,
        valid=rows,
        quarantined=0,
        rules=rules,
        message=decision.message,
    )


def _validate_fingerprint(ctx: RunContext) -> str:
    from batch_processing.quality.suite import load_suite

    tokens = [manifest.token for name in ctx.spec.sources for manifest in extracted(ctx, name)]
    specs = {name: spec.model_dump(mode="json") for name, spec in ctx.spec.validations.items()}
    suites = [
        load_suite(spec.suite, suites_dir=ctx.project.suites_dir).fingerprint
        for spec in ctx.spec.validations.values()
        if spec.suite
    ]
    thresholds = [ctx.threshold(spec.threshold) for spec in ctx.spec.validations.values()]
    code = [ctx.code_digest(name, what="check") for spec in ctx.spec.validations.values() for name in spec.checks]
    return fingerprint(tokens, specs, suites, thresholds, code)
