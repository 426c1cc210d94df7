"""spark-config.yml: reading it, and what the package sets whatever it says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import yaml

from batch_processing.errors import DeclarationError, Problem

DELTA_PACKAGE = "io.delta:delta-spark_4.1_2.13:4.4.0"
"""Delta Lake for Spark 4.1. The server fetches it from Maven Central unless the config names jars of its own."""

SESSION_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""On every session: instants are UTC, and Parquet holds them as 64-bit microseconds (INT96 has no statistics)."""

SERVER_CONF = {
    **SESSION_CONF,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.ui.showConsoleProgress": "false",
    "spark.connect.session.manager.defaultSessionTimeout": "30d",  # idle; the server ends with its run
}

_KEY = re.compile(r"^spark\.[A-Za-z0-9_.\-/]+$")
_FIXED = frozenset(
    ("spark.master", "spark.connect.grpc.binding.address", "spark.connect.grpc.binding.port", *SESSION_CONF)
)
_FAMILIES = frozenset(
    (
        "app", "archives", "barrier", "blacklist", "blockManager", "broadcast", "buffer", "checkpoint", "cleaner",
        "connect", "core", "cores", "databricks", "decommission", "default", "delta", "deploy", "driver",
        "dynamicAllocation", "eventLog", "excludeOnFailure", "executor", "executorEnv", "extraListeners", "files",
        "hadoop", "hadoopRDD", "history", "io", "jars", "jmx", "kerberos", "kryo", "kryoserializer", "kubernetes",
        "launcher", "local", "locality", "log", "logConf", "logLineage", "maxRemoteBlockSizeFetchToMem", "memory",
        "metrics", "modify", "network", "plugins", "port", "pyspark", "python", "r", "rdd", "redaction", "reducer",
        "repl", "resource", "resources", "rpc", "scheduler", "security", "serializer", "shuffle", "sparkr",
        "speculation", "sql", "ssl", "stage", "standalone", "storage", "streaming", "submit", "task", "taskMetrics",
        "ui", "unsafe", "worker", "yarn",
    )
)  # fmt: skip
"""Second part of the names of Spark 4.1's properties."""


def shipped_config() -> Path:
    """The package's own spark-config.yml."""
    return Path(str(files("batch_processing.spark") / "config" / "spark-config.yml"))


def read_spark_config(path: Path) -> dict[str, str]:
    """Spark properties of a YAML file: `spark.*` keys, with plain values.

    Raises:
        DeclarationError: every problem of the file at once.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _problems(path, [("", f"cannot be read: {error.strerror}")]) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise _problems(path, [("", "is not YAML in UTF-8: " + " ".join(str(error).split())[:300])]) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise _problems(path, [("", "must map Spark properties to values, as in `spark.executor.cores: 4`")])
    found = [(str(k), why) for k, v in loaded.items() if (why := _wrong(str(k), v))]
    if found:
        raise _problems(path, found)
    return {str(k): _text(v) for k, v in loaded.items()}


def _wrong(key: str, value: object) -> str | None:
    family = key.split(".")[1] if key.count(".") else ""
    if not _KEY.match(key) or family not in _FAMILIES:
        near = difflib.get_close_matches(family or key, _FAMILIES, n=1)
        return "is no Spark property" + (
            f"; did you mean spark.{near[0]}...?" if near else "; they start with `spark.`"
        )
    if key in _FIXED:
        return "is set by the engine and cannot be given here"
    if value is None or isinstance(value, dict | list):
        return "needs a plain value"
    if "\n" in str(value):
        return "has a line break in its value"
    return None


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problems(path: Path, found: list[tuple[str, str]]) -> DeclarationError:
    return DeclarationError(tuple(Problem(message, key=key, file=str(path)) for key, message in found))


def with_cores_max(conf: Mapping[str, str], master: str) -> dict[str, str]:
    """On a standalone cluster, caps the cores at instances x cores: there the instances alone have no effect."""
    instances, cores = conf.get("spark.executor.instances"), conf.get("spark.executor.cores")
    if not master.startswith("spark://") or "spark.cores.max" in conf or instances is None or cores is None:
        return dict(conf)
    try:
        return {**conf, "spark.cores.max": str(int(instances) * int(cores))}
    except ValueError as error:
        raise DeclarationError(
            (Problem("spark.executor.instances and spark.executor.cores must be whole numbers", key="spark.executor"),)
        ) from error
