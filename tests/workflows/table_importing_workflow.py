"""A faulty workflow, which imports a module that the sandbox does not pass through."""

from temporalio import workflow

from infra.database.run_tables import RUNS


@workflow.defn
class TableImportingWorkflow:
    @workflow.run
    async def run(self) -> str:
        return RUNS.name
