"""The sandbox of the tests rejects imports that would make every run slow."""

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.sandbox import SANDBOXED
from tests.workflows.table_importing_workflow import TableImportingWorkflow


async def test_workflow_that_imports_table_module_fails_at_startup(temporal: WorkflowEnvironment) -> None:
    with pytest.raises(RuntimeError, match="Failed validating workflow TableImportingWorkflow"):
        Worker(
            temporal.client,
            task_queue="refused",
            workflows=[TableImportingWorkflow],
            workflow_runner=SANDBOXED,
        )
