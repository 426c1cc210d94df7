"""The declaration: what a pipeline file may say.

Every model refuses unknown keys. Strings marked *template* may hold `{{ ... }}`; they are rendered
when a step runs (see `settings.values`), never when a file is parsed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = r"^[A-Za-z][A-Za-z0-9_]*$"
_DECIMAL = re.compile(r"^decimal\((\d{1,2}),\s*(\d{1,2})\)$")

SIMPLE_TYPES = (
    "boolean", "smallint", "int", "bigint", "float", "double", "string", "date", "timestamp", "timestamp_ntz",
)  # fmt: skip
"""Column types a source may declare, beside `decimal(p,s)`. `timestamp` is an instant in UTC."""


def _seconds(value: object) -> object:
    if isinstance(value, str) and (match := _DURATION.match(value)):
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=float(value))
    if isinstance(value, timedelta):
        return value
    raise ValueError("a duration is a number with ms, s, m, h or d, as in 5m")


def _column_type(value: str) -> str:
    text = " ".join(value.lower().split())
    if text in SIMPLE_TYPES:
        return text
    if match := _DECIMAL.match(text):
        precision, scale = int(match[1]), int(match[2])
        if 1 <= precision <= 38 and scale <= precision:
            return f"decimal({precision},{scale})"
    raise ValueError(f"unknown column type {value!r}; valid: {', '.join(SIMPLE_TYPES)}, decimal(p,s)")


Duration = Annotated[timedelta, BeforeValidator(_seconds)]
ColumnType = Annotated[str, AfterValidator(_column_type)]
Name = Annotated[str, Field(pattern=_NAME, max_length=200)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Model(BaseModel):
    """Frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class FilesSpec(Model):
    """Files on a path.

    `path` (template) may hold globs (`*`, `?`, `**`). `ready` says when a file counts as complete:
    `stable` (size and mtime equal over two looks `poke` apart), `marker` (a file `<name><marker_suffix>`
    beside it, or `_SUCCESS` in its folder), or `exists`.
    """

    path: str
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    ready: Literal["stable", "marker", "exists"] = "stable"
    marker_suffix: str = ".done"
    poke: Duration = timedelta(seconds=1)
    timeout: Duration = timedelta(hours=1)
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    escape: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    header: bool = True
    null_values: tuple[str, ...] = ("",)
    extra_columns: Literal["error", "ignore"] = "error"
    files_per_task: Annotated[int, Field(ge=1, le=10_000)] = 16


class DatabaseSpec(Model):
    """A table or a query (template) of a database, through a connection.

    Connection types: `postgres`, `sqlite`, and whatever SQLAlchemy has a driver installed for.
    """

    connection: str
    table: str | None = None
    query: str | None = None
    fetch_rows: Annotated[int, Field(ge=1)] = 50_000

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give exactly one of table and query")
        return self


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

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "cursor" and not self.cursor_key:
            raise ValueError("pagination of kind cursor needs cursor_key")
        if self.kind == "offset" and not (self.size_param and self.size):
            raise ValueError("pagination of kind offset needs size_param and size")
        return self


class ApiSpec(Model):
    """A JSON API over HTTP, through a connection of type `http`.

    `endpoint` and the values of `params` are templates. `records_key` is the dotted path of the list of
    records in an answer; empty where the answer is the list.
    """

    connection: str
    endpoint: str
    params: dict[str, str] = {}
    records_key: str = ""
    pagination: PaginationSpec = PaginationSpec()
    timeout: Duration = timedelta(seconds=30)
    retries: Annotated[int, Field(ge=0, le=20)] = 5


class SourceSpec(Model):
    """One source: exactly one of `files`, `database`, `api`.

    `columns` (key `schema`) is the declared schema, column -> type, in order. A database may leave it out
    and takes the types the database says.
    """

    files: FilesSpec | None = None
    database: DatabaseSpec | None = None
    api: ApiSpec | None = None
    columns: dict[str, ColumnType] = Field(default_factory=dict, alias="schema")
    allow_empty: bool = False
    max_rejected: Share = 1.0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [k for k in ("files", "database", "api") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a source is exactly one of files, database, api; found {', '.join(kinds) or 'none'}")
        if not self.columns and self.database is None:
            raise ValueError("schema is missing: name each column with its type")
        if reserved := [c for c in self.columns if c.startswith("_source_") or c == "_reasons"]:
            raise ValueError(f"column names {', '.join(reserved)} are reserved")
        if len({c.lower() for c in self.columns}) != len(self.columns):
            raise ValueError("two columns differ only in upper and lower case")
        return self

    @property
    def kind(self) -> Literal["files", "database", "api"]:
        return "files" if self.files else "database" if self.database else "api"


class ValidationSpec(Model):
    """Checks on one landed source.

    `checks` are dotted names of functions marked `@row_check` or `@table_check`. `threshold` is a number
    or a template that renders to one, 0..1.
    """

    suite: str | None = None
    checks: tuple[str, ...] = ()
    threshold: Share | str = 1.0
    allow_empty: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.suite is None and not self.checks:
            raise ValueError("nothing to validate: give suite, checks or both")
        return self


class TransformSpec(Model):
    """The user's `transform(spark, inputs) -> DataFrame`, as `package.module:function`.

    `inputs` maps source name to a DataFrame of valid rows (declared columns, `_source_file`, `_source_row`).
    `params` (values are templates) are passed as keyword arguments.
    """

    function: str
    params: dict[str, str] = {}
    preserves_rows: bool = False


class TargetSpec(Model):
    """The Delta table. `table` is a template that renders to a path."""

    table: str
    mode: Literal["overwrite", "append", "replace_partitions", "merge"] = "replace_partitions"
    partition_by: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    sequence_by: str | None = None
    schema_change: Literal["strict", "additive"] = "strict"

    @model_validator(mode="after")
    def _mode_fits(self) -> Self:
        if self.mode == "merge" and not self.keys:
            raise ValueError("mode merge needs keys")
        if self.mode != "merge" and (self.keys or self.sequence_by):
            raise ValueError("keys and sequence_by belong to mode merge")
        if self.mode == "replace_partitions" and not self.partition_by:
            raise ValueError("mode replace_partitions needs partition_by")
        return self


class OutputValidationSpec(Model):
    """The suite and checks on the staged output; every row must pass unless `threshold` says otherwise."""

    suite: str | None = None
    checks: tuple[str, ...] = ()
    threshold: Share | str = 1.0
    allow_empty: bool = False

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.suite is None and not self.checks:
            raise ValueError("nothing to validate: give suite, checks or both")
        return self


class WarehouseSpec(Model):
    """Where the slice is served. `connection` is of type `duckdb` or `postgres`; `table` may be `schema.table`."""

    connection: str
    table: str


class AlertsSpec(Model):
    """Who is told. `retry` in `on` also mails before each retry; the default does not."""

    email: tuple[str, ...] = ()
    on: tuple[Literal["failure", "retry", "success"], ...] = ("failure",)
    connection: str = "smtp_default"


class EngineSpec(Model):
    """Where Spark jobs run.

    `embedded`: in the step's process. `spark` with `remote` (template, `sc://host:port`) or with
    `connection` (an Airflow connection of type spark_connect): a standing Connect server. `spark` with `master`
    (template): a Connect server started for the run, sized by `config` (path of a spark-config.yml; default: the
    one beside the pipeline's project, else the package's).
    """

    name: Literal["embedded", "spark"] = "embedded"
    remote: str | None = None
    connection: str | None = None
    master: str | None = None
    config: str | None = None
    memory: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return parse_engine(value)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [w for w in ("remote", "connection", "master") if getattr(self, w) is not None]
        if self.name == "embedded" and ways:
            raise ValueError(f"engine embedded has no {', '.join(ways)}")
        if self.name == "spark" and len(ways) != 1:
            raise ValueError("engine spark needs exactly one of remote, connection, master")
        return self


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
        f"unknown engine {text!r}; valid: embedded, sc://host:port (a Spark Connect server), "
        "or a Spark master as spark://host:port, yarn, k8s://..., local[2]"
    )


class PipelineSpec(Model):
    """One pipeline: one declaration, one DAG."""

    pipeline: Name
    description: str = ""
    schedule: str | None = None
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
    warehouse: WarehouseSpec | None = None
    alerts: AlertsSpec = AlertsSpec()
    engine: EngineSpec = EngineSpec()

    @model_validator(mode="before")
    @classmethod
    def _short_transform(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("transform"), str):
            return {**value, "transform": {"function": value["transform"]}}
        return value

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if unknown := [n for n in self.validations if n not in self.sources]:
            raise ValueError(f"validate names unknown sources {', '.join(unknown)}; sources: {', '.join(self.sources)}")
        if self.start_date.tzinfo is None:
            object.__setattr__(self, "start_date", self.start_date.replace(tzinfo=UTC))
        return self
