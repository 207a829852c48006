"""A workflow as none should be written: it imports a module that the sandbox does not let through."""

from temporalio import workflow

from infra.database.tables import RUNS


@workflow.defn
class TableImportingWorkflow:
    @workflow.run
    async def run(self) -> str:
        return RUNS.name
