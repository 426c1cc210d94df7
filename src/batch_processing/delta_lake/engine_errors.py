"""The engine's failures as errors of this package: whose fault they are, without a data value in the text."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from batch_processing.errors import DataError, EngineError, StorageError, TransformError

_SHOWN = 500
_DISK_FULL = "No space left on device"
"""The system's words, which both engines pass on."""
_NAME_TOO_LONG = "File name too long"
"""These only the embedded engine passes on; Apache Spark names the folder that it could not make."""
_NO_FOLDER = re.compile(r"Mkdirs failed to create (.*?) \(exists=", re.DOTALL)
_NAME_BYTES = 255
"""Longest name of a folder on the file systems of Linux."""


@contextlib.contextmanager
def engine_failures(what: str, *, where: str, planning: bool = False) -> Iterator[None]:
    """Turns what Spark Connect raises into TransformError (the plan, the rows), EngineError, StorageError (no space) or
    DataError (a partition value that cannot name a folder).

    Args:
        what: what was being done.
        where: the table or folder.
        planning: no row has been computed yet, so that messages name columns only and are shown. Those of running rows
            may hold data values and are not: the cause is chained.
    """
    from grpc import RpcError
    from pyspark.errors import AnalysisException, PySparkException
    from pyspark.errors.exceptions.connect import SparkConnectGrpcException

    try:
        yield
    except AnalysisException as error:
        found = " ".join(str(error).split())[:_SHOWN] if planning else _named(error)
        raise TransformError(
            f"{what}: the engine refused it",
            where=where,
            found=found,
            fix="see the chained error; correct the transform",
        ) from error
    except PySparkException as error:
        if _DISK_FULL in str(error):
            raise StorageError(
                f"{what}: the disk is full", where=where, found=_DISK_FULL, fix="make space, then run again"
            ) from error
        if _name_too_long(str(error)):
            raise DataError(
                f"{what}: a partition value is too long for the name of its folder",
                where=where,
                found=_NAME_TOO_LONG,
                fix=f"partition by a shorter text: {_NAME_BYTES} bytes with the column's name; other than plain "
                "letters and digits, each may count three",
            ) from error
        if type(error) is SparkConnectGrpcException:
            raise EngineError(
                f"{what}: the engine failed", where=where, found=_named(error), fix="see the engine's log"
            ) from error
        raise TransformError(
            f"{what}: the rows could not be computed",
            where=where,
            found=_named(error),
            fix="see the chained error; correct the transform",
        ) from error
    except RpcError as error:
        raise EngineError(f"{what}: the engine went away", where=where, found=_named(error), fix="run again") from error


def _name_too_long(text: str) -> bool:
    folder = _NO_FOLDER.search(text)
    names = folder.group(1).split("/") if folder else []
    return _NAME_TOO_LONG in text or any(len(name.encode()) > _NAME_BYTES for name in names)


def _named(error: Exception) -> str:
    condition = getattr(error, "getCondition", None)
    name = condition() if callable(condition) else None
    return f"{type(error).__name__} {name}" if name else type(error).__name__
