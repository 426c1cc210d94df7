"""Which failures Airflow retries: the error tree knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from batch_processing.errors import BatchError


class ErrorTreeRetryPolicy(RetryPolicy):
    """A BatchError that no retry can help fails its task at once; anything else follows the task's `retries`."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Mapping[str, Any] | None = None
    ) -> RetryDecision:
        """Decides on one failure, in the task's own process."""
        del try_number, max_tries, context
        if isinstance(exception, BatchError) and not exception.retryable:
            return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry cannot help")
        return RetryDecision.default()
