"""The sandbox of the tests refuses what would make every run slow."""

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.sandbox import SANDBOXED
from tests.workflows.table_importing_workflow import TableImportingWorkflow


async def test_a_workflow_that_imports_a_table_module_is_a_start_up_error(temporal: WorkflowEnvironment) -> None:
    with pytest.raises(RuntimeError, match="Failed validating workflow TableImportingWorkflow"):
        Worker(
            temporal.client,
            task_queue="refused",
            workflows=[TableImportingWorkflow],
            workflow_runner=SANDBOXED,
        )
