"""The number of statements of a text run, counted in this process, as SQLAlchemy begins them."""

import tempfile
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from infra.database.migrations import migrate
from tests.conftest import SEARCH_ATTRIBUTE_ARGUMENTS, settings_for, temporal_program
from tests.holdfast import RunningHoldfast, running_holdfast
from tests.postgres.server import running_postgres
from tests.provider.replies import Says
from tests.provider.scripted_provider import running_provider
from tests.statements import counted_statements

MODEL = "counted"
RUNS = 5


async def statements_of_a_run(on_postgres: bool) -> dict[str, int]:
    """Statements by request: thread, message, and the run from its request to the end of its workflow."""
    if not on_postgres:
        return await _count("")
    with running_postgres() as postgres:
        url = postgres.new_database()
        migrate(url)
        return await _count(url)


async def _count(database_url: str) -> dict[str, int]:
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        dev_server_extra_args=SEARCH_ATTRIBUTE_ARGUMENTS,
        data_converter=pydantic_data_converter,
    )
    with tempfile.TemporaryDirectory() as folder, running_provider() as provider:
        async with environment:
            port = int(environment.client.service_client.config.target_host.rpartition(":")[2])
            settings = settings_for(Path(folder), port, provider, database_url)
            async with running_holdfast(settings) as holdfast:
                provider.script(MODEL, *[Says("Here I am.")] * RUNS)
                assistant_id = await holdfast.assistant(MODEL)
                # The least, as the sweep may be under way.
                return min([await _run(holdfast, assistant_id) for _ in range(RUNS)], key=lambda each: each["run"])


async def _run(holdfast: RunningHoldfast, assistant_id: str) -> dict[str, int]:
    threads = holdfast.client.beta.threads
    counts: dict[str, int] = {}
    with counted_statements() as statements:
        thread = await threads.create()
        counts["thread"] = len(statements)
        await threads.messages.create(thread.id, role="user", content="Hello")
        counts["message"] = len(statements) - counts["thread"]
        run = await threads.runs.create(thread.id, assistant_id=assistant_id)
        # Without polls: each would add its own.
        await holdfast.resources.temporal.get_workflow_handle(run.id).result()
        counts["run"] = len(statements) - counts["thread"] - counts["message"]
    return counts
