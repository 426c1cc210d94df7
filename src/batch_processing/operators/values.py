"""Variables and connections as a running Airflow task gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection as AirflowConnection
from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowException, AirflowRuntimeError, ErrorType

from batch_processing.errors import ControlStoreError, SettingError

if TYPE_CHECKING:
    from batch_processing.settings.values import Connection


class AirflowValues:
    """The `Values` of a step that runs as an Airflow task: its secrets backends, environment and metadata.

    Airflow registers passwords for masking in the task's log when it hands a connection out.
    """

    def variable(self, name: str) -> str:
        """The text of an Airflow Variable.

        Raises:
            SettingError: it is not set.
            ControlStoreError: Airflow could not be asked.
        """
        try:
            value = Variable.get(name)
        except AirflowRuntimeError as error:
            if error.error.error is ErrorType.VARIABLE_NOT_FOUND:
                raise _variable_not_set(name) from error
            raise ControlStoreError(
                f"Airflow did not answer for Variable {name}",
                found=str(error)[:300],
                fix="look at the API server's log",
            ) from error
        return value if isinstance(value, str) else str(value)

    def connection(self, conn_id: str) -> Connection:
        """An Airflow connection as the project's own value.

        Raises:
            SettingError: it is not set.
        """
        try:
            found = AirflowConnection.get(conn_id)
        except (AirflowException, AirflowRuntimeError) as error:
            raise _connection_not_set(conn_id) from error
        return _converted(found)


def _converted(found: Any) -> Connection:
    from batch_processing.settings.values import Connection

    return Connection(
        conn_id=found.conn_id,
        conn_type=found.conn_type or "",
        host=found.host or None,
        port=found.port,
        login=found.login or None,
        password=found.password or None,
        schema=found.schema or None,
        extra=dict(found.extra_dejson),
    )


def _variable_not_set(name: str) -> SettingError:
    return SettingError(
        f"Airflow Variable {name!r} is not set",
        where="secrets backends, environment, Airflow's metadata",
        fix=f"set it under Admin > Variables, with `airflow variables set {name} ...` or as AIRFLOW_VAR_{name.upper()}",
    )


def _connection_not_set(conn_id: str) -> SettingError:
    return SettingError(
        f"Airflow connection {conn_id!r} is not set",
        where="secrets backends, environment, Airflow's metadata",
        fix=(
            f"set it under Admin > Connections, with `airflow connections add {conn_id} ...` "
            f"or as AIRFLOW_CONN_{conn_id.upper()}"
        ),
    )
