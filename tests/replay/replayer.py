"""A worker's workflows as they would take a history up, without a server."""

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from workflows.run_workflow import RunWorkflow
from workflows.worker import SANDBOX


def replayer(*interceptors: Interceptor) -> Replayer:
    return Replayer(
        workflows=[RunWorkflow],
        workflow_runner=SandboxedWorkflowRunner(restrictions=SANDBOX),
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
    )
