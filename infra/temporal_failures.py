"""Failures as Temporal stores them, and as its UI shows them."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError


class FailuresWithoutFrames(DefaultFailureConverter):
    """Leaves out the stack trace of an `ApplicationError`, whose message says all. Any other exception has one."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError):
            failure.stack_trace = ""
