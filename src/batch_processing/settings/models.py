"""The declaration: what a pipeline file may say.

Every model refuses unknown keys. Texts of type `Template` may hold `{{ ... }}`; they are rendered when a step
runs (see `settings.values`), never when a file is parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from batch_processing.settings.closed_model import Clash, Model, or_short, repeated
from batch_processing.settings.fields import (
    SIMPLE_TYPES,
    Character,
    ColumnName,
    ColumnType,
    ConnectionId,
    Duration,
    Email,
    Name,
    OptionalTemplate,
    PositiveDuration,
    Reference,
    RuleId,
    Schedule,
    Share,
    Suite,
    TableName,
    Template,
    Threshold,
    WarehouseTable,
)
from batch_processing.settings.limits import LimitSpec
from batch_processing.settings.templates import near

__all__ = [
    "SIMPLE_TYPES",
    "AlertsSpec",
    "ApiSpec",
    "DatabaseSpec",
    "EngineSpec",
    "FilesSpec",
    "LimitSpec",
    "Model",
    "OutputValidationSpec",
    "PaginationSpec",
    "PipelineSpec",
    "SourceSpec",
    "TargetSpec",
    "TransformSpec",
    "ValidationSpec",
    "WarehouseSpec",
    "parse_engine",
]


class FilesSpec(Model):
    """Files on a path.

    `path` (template) may hold globs (`*`, `?`, `**`). `ready` says when a file counts as complete:
    `stable` (size and mtime equal over two looks `poke` apart), `marker` (a file `<name><marker_suffix>`
    beside it, or `_SUCCESS` in its folder), or `exists`.
    """

    path: Template
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    ready: Literal["stable", "marker", "exists"] = "stable"
    marker_suffix: str = ".done"
    poke: PositiveDuration = timedelta(seconds=1)
    timeout: Duration = timedelta(hours=1)
    delimiter: Character = ","
    quote: Character = '"'
    escape: Character = '"'
    header: bool = True
    null_values: tuple[str, ...] = ("",)
    extra_columns: Literal["error", "ignore"] = "error"
    files_per_task: Annotated[int, Field(ge=1, le=10_000)] = 16

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """The delimiter is its own character."""
        delimiter = given.get("delimiter", ",")
        for key in ("quote", "escape"):
            if given.get(key, '"') == delimiter:
                yield (key if key in given else "delimiter",), f"{key} and delimiter are the same character"


class DatabaseSpec(Model):
    """A table or a query (template) of a database, through a connection.

    Connection types: `postgres`, `sqlite`, and whatever SQLAlchemy has a driver installed for.
    """

    connection: ConnectionId
    table: TableName | None = None
    query: Template | None = None
    fetch_rows: Annotated[int, Field(ge=1)] = 50_000

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """A table or a query."""
        if (given.get("table") is None) == (given.get("query") is None):
            yield (), "give exactly one of table and query"


class PaginationSpec(Model):
    """How an API pages.

    `none`: one answer. `page`: `param` counts 1, 2, 3 ... until an empty page or `total_pages_key`.
    `offset`: `param` counts rows, `size_param`/`size` the page size. `cursor`: `cursor_key` in the answer
    (dotted path) goes back as `param` until it is null or absent. `link`: the `Link: <...>; rel="next"` header.
    """

    kind: Literal["none", "page", "offset", "cursor", "link"] = "none"
    param: str = "page"
    size_param: str | None = None
    size: Annotated[int, Field(ge=1)] | None = None
    first_page: int = 1
    cursor_key: str | None = None
    total_pages_key: str | None = None
    max_pages: Annotated[int, Field(ge=1)] = 10_000

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """Each kind has what it needs."""
        if given.get("kind") == "cursor" and not given.get("cursor_key"):
            yield (), "pagination of kind cursor needs cursor_key"
        if given.get("kind") == "offset" and not (given.get("size_param") and given.get("size")):
            yield (), "pagination of kind offset needs size_param and size"


class ApiSpec(Model):
    """A JSON API over HTTP, through a connection of type `http`.

    `endpoint` and the values of `params` are templates. `records_key` is the dotted path of the list of
    records in an answer; empty where the answer is the list.
    """

    connection: ConnectionId
    endpoint: Template
    params: dict[str, OptionalTemplate] = Field(default_factory=dict)
    records_key: str = ""
    pagination: PaginationSpec = PaginationSpec()
    timeout: PositiveDuration = timedelta(seconds=30)
    retries: Annotated[int, Field(ge=0, le=20)] = 5


class SourceSpec(Model):
    """One source: exactly one of `files`, `database`, `api`.

    `columns` (key `schema`) is the declared schema, column -> type, in order. A database may leave it out
    and takes the types the database says.
    """

    files: FilesSpec | None = None
    database: DatabaseSpec | None = None
    api: ApiSpec | None = None
    columns: dict[ColumnName, ColumnType] = Field(default_factory=dict, alias="schema")
    allow_empty: bool = False
    max_rejected: Share = 1.0

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """One kind; a schema where the source does not bring its own; column names that stay apart."""
        kinds = [kind for kind in ("files", "database", "api") if given.get(kind) is not None]
        if len(kinds) != 1:
            yield (), f"a source is exactly one of files, database, api; found {', '.join(kinds) or 'none'}"
        columns = given.get("schema", given.get("columns"))
        if not columns and "database" not in kinds:
            yield (), "schema is missing: name each column with its type, as `schema: {id: bigint}`"
        seen: dict[str, str] = {}
        for column in columns if isinstance(columns, dict) else ():
            name = str(column)
            if name.startswith("_source_") or name == "_reasons":
                yield ("schema", name), "the name is reserved; `_source_file`, `_source_row` and `_reasons` are added"
            if name.lower() in seen:
                yield ("schema", name), f"differs from {seen[name.lower()]!r} only in upper and lower case"
            seen.setdefault(name.lower(), name)

    @property
    def kind(self) -> Literal["files", "database", "api"]:
        return "files" if self.files else "database" if self.database else "api"


class ValidationSpec(Model):
    """Checks on one landed source.

    `suite` names a file of the project's `gx/expectations`. `checks` are dotted names of functions marked
    `@row_check` or `@table_check`. `threshold` is a number or a template that renders to one, 0..1. `limits` are by
    rule id; `score` is the score of the whole dataset.
    """

    suite: Suite | None = None
    checks: tuple[Reference, ...] = ()
    threshold: Threshold = 1.0
    limits: dict[RuleId, LimitSpec] = Field(default_factory=dict)
    allow_empty: bool = False

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """Something to check with, and each check once."""
        if given.get("suite") is None and not given.get("checks"):
            yield (), "nothing to validate: give suite, checks or both"
        yield from repeated("checks", given)


class TransformSpec(Model):
    """The user's `transform(spark, inputs) -> DataFrame`, as `package.module:function`.

    `inputs` maps source name to a DataFrame of valid rows (declared columns, `_source_file`, `_source_row`).
    `params` (values are templates) are passed as keyword arguments.
    """

    function: Reference
    params: dict[str, OptionalTemplate] = Field(default_factory=dict)
    preserves_rows: bool = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"function": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return or_short(handler, schema, description="Dotted name, as package.module:function.")


class TargetSpec(Model):
    """The Delta table. `table` is a template that renders to a path."""

    table: Template
    mode: Literal["overwrite", "append", "replace_partitions", "merge"] = "replace_partitions"
    partition_by: tuple[ColumnName, ...] = ()
    keys: tuple[ColumnName, ...] = ()
    sequence_by: ColumnName | None = None
    schema_change: Literal["strict", "additive"] = "strict"

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """Each mode has the columns it needs, and none twice."""
        mode = given.get("mode", "replace_partitions")
        if mode == "merge" and not given.get("keys"):
            yield (), "mode merge needs keys: the columns that tell rows apart"
        if mode in ("overwrite", "append", "replace_partitions"):
            for key in ("keys", "sequence_by"):
                if given.get(key):
                    yield (key,), f"{key} belongs to mode merge, found mode {mode}"
        if mode == "replace_partitions" and not given.get("partition_by"):
            yield (), "mode replace_partitions needs partition_by"
        yield from repeated("partition_by", given)
        yield from repeated("keys", given)


class OutputValidationSpec(ValidationSpec):
    """The suite and checks on the staged output; every row must pass unless `threshold` says otherwise."""


class WarehouseSpec(Model):
    """Where the slice is served. `connection` is of type `duckdb` or `postgres`; `table` may be `schema.table`."""

    connection: ConnectionId
    table: WarehouseTable


class AlertsSpec(Model):
    """Who is told. `retry` in `on` also mails before each retry; the default does not."""

    email: tuple[Email, ...] = ()
    on: tuple[Literal["failure", "retry", "success"], ...] = ("failure",)
    connection: ConnectionId = "smtp_default"


class EngineSpec(Model):
    """Where Spark jobs run.

    `embedded`: in the step's process. `spark` with `remote` (template, `sc://host:port`) or with
    `connection` (an Airflow connection of type spark_connect): a standing Connect server. `spark` with `master`
    (template): a Connect server started for the run, sized by `config` (path of a spark-config.yml; default: the
    one beside the pipeline's project, else the package's).
    """

    name: Literal["embedded", "spark"] = "embedded"
    remote: Template | None = None
    connection: ConnectionId | None = None
    master: Template | None = None
    config: str | None = None
    memory: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return parse_engine(value) if isinstance(value, str) else value

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """One way to the cluster, and none for the embedded engine."""
        ways = [way for way in ("remote", "connection", "master") if given.get(way) is not None]
        name = given.get("name", "embedded")
        if name == "embedded":
            yield from (((way,), f"engine embedded has no {way}; give `name: spark`") for way in ways)
        if name == "spark" and len(ways) != 1:
            yield (), f"engine spark needs exactly one of remote, connection, master; found {', '.join(ways) or 'none'}"

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return or_short(handler, schema, description="`embedded`, sc://host:port, or a Spark master.")


def parse_engine(text: str) -> dict[str, str]:
    """Reads the short form: `embedded`, `sc://host:port`, or a Spark master as `spark://host:port`, `local[2]`.

    Raises:
        ValueError: the text is none of these.
    """
    if text == "embedded":
        return {"name": "embedded"}
    if text.startswith("sc://"):
        return {"name": "spark", "remote": text}
    if text.startswith(("spark://", "local", "yarn", "k8s://")):
        return {"name": "spark", "master": text}
    raise ValueError(
        f"unknown engine{near(text, ('embedded', 'yarn', 'local'))}; "
        "valid: embedded, sc://host:port (a Spark Connect server), or a Spark master as spark://host:port, yarn, "
        "k8s://..., local[2]"
    )


class PipelineSpec(Model):
    """One pipeline: one declaration, one DAG.

    `quarantine` (template) is the folder of the quarantine tables, `<quarantine>/<pipeline>/<source>`; default:
    `quarantine` in the project's work folder.
    """

    pipeline: Name
    description: str = ""
    schedule: Schedule | None = None
    start_date: datetime = datetime(2024, 2, 21, tzinfo=UTC)
    catchup: bool = False
    owner: str = "data_engineer"
    tags: tuple[str, ...] = ()
    retries: Annotated[int, Field(ge=0, le=100)] = 3
    retry_delay: Duration = timedelta(minutes=5)
    sources: Annotated[dict[Name, SourceSpec], Field(min_length=1)]
    # "validate" is a method of pydantic's BaseModel, hence the alias.
    validations: dict[Name, ValidationSpec] = Field(default_factory=dict, alias="validate")
    transform: TransformSpec
    target: TargetSpec
    validate_output: OutputValidationSpec | None = None
    quarantine: Template | None = None
    warehouse: WarehouseSpec | None = None
    alerts: AlertsSpec = AlertsSpec()
    engine: EngineSpec = EngineSpec()

    @classmethod
    def clashes(cls, given: Mapping[str, Any]) -> Iterator[Clash]:
        """`validate` names sources that are there."""
        sources, named = given.get("sources"), given.get("validate", given.get("validations"))
        if not isinstance(sources, dict) or not isinstance(named, dict):
            return
        known = [str(source) for source in sources]
        for name in named:
            if name not in sources:
                yield ("validate", name), f"unknown source{near(str(name), known)}; sources: {', '.join(known)}"

    @model_validator(mode="after")
    def _in_utc(self) -> Self:
        if self.start_date.tzinfo is None:
            object.__setattr__(self, "start_date", self.start_date.replace(tzinfo=UTC))
        return self
