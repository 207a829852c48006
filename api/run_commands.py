"""Start, submit, cancel, retry: the commands that change a run. Each commits first, then commands the workflow."""

from datetime import timedelta

from sqlalchemy import Connection

from api import thread_messages
from api.idempotency import Idempotency
from api.ingest_commands import IngestCommands
from api.tool_resources import RequestedResources, check_named, check_searchable
from infra.database import assistants, run_finalization, run_retries, runs, thread_queue, threads
from infra.database.engine import Database
from infra.database.run_retries import RetryRequest
from infra.database.runs import Answered
from infra.event_stream.publishing import publish
from infra.language_model.catalogue import ModelCatalogue
from infra.ports import NO_EVENTS, EventBatch, EventStream
from infra.run_workflows import RunWorkflows, leave_to_sweep
from models import run_events
from models.errors import ModelNotFound
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, CreateThreadAndRunRequest, Run, RunOverrides, SubmitToolOutputsRequest
from models.thread_errors import ThreadLocked
from models.threads import CreateThreadRequest
from models.tools import ToolResources
from models.wire import WireObject


class Submitted(WireObject):
    """A run whose calls have their outputs, and the number of the first event after the submission."""

    run: Run
    first_event: int


class RunCommands:
    """The only part of the API that commands Temporal.

    Commit before command: a row without its workflow can be repaired, a workflow without its row cannot. A command that
    Temporal does not accept in time is left to the sweep, and the client gets the response for the commit.
    """

    def __init__(
        self,
        database: Database,
        workflows: RunWorkflows,
        event_stream: EventStream,
        catalogue: ModelCatalogue,
        default_expiry: timedelta,
        ingest: IngestCommands,
    ) -> None:
        self._database = database
        self._workflows = workflows
        self._event_stream = event_stream
        self._catalogue = catalogue
        self._default_expiry_seconds = int(default_expiry.total_seconds())
        self._ingest = ingest

    async def create(
        self, idempotency: Idempotency, project_id: str, thread_id: str, body: CreateRunRequest, *, is_v1: bool
    ) -> Run:
        """Start a run, or enqueue it behind the active run of the thread if `on_active_run` says so.

        Raises `NotFound`, `ModelNotFound`, `ThreadLocked` where a run is active, `ThreadQueueFull`, `ThreadFull`.
        """
        started: list[Run] = []
        events = NO_EVENTS
        resources = RequestedResources(self._ingest, project_id, is_v1)

        def insert(connection: Connection) -> Run:
            nonlocal events
            thread = threads.lock(connection, project_id, thread_id)
            spec = self._spec(connection, project_id, body)
            check_searchable(connection, project_id, spec, ToolResources.model_validate(thread.tool_resources))
            new_messages = body.additional_messages or ()
            queued_behind = thread_queue.admit_or_enqueue(
                connection,
                thread,
                body.on_active_run,
                ThreadLocked.for_run,
                new_runs=1,
                new_messages=len(new_messages),
            )
            thread_messages.add(connection, resources, thread, new_messages, queued_behind)
            run = runs.create(connection, project_id, thread_id, spec, waiting=queued_behind is not None)
            events = EventBatch(0, run_events.created(run, None))
            if queued_behind is None:
                started.append(run)
            return run

        run = await idempotency.run(Run, insert)
        await resources.start()
        await publish(self._event_stream, run.id, events)
        # Empty if the run is enqueued, or the request repeats one that sent the command.
        for new in started:
            await self._workflows.start_or_leave(new)
        return run

    async def create_with_thread(
        self, idempotency: Idempotency, project_id: str, body: CreateThreadAndRunRequest, *, is_v1: bool
    ) -> Run:
        """Create a thread and a run on it, both or neither. Raises `NotFound`, `ModelNotFound`, `ThreadFull`."""

        events = NO_EVENTS
        resources = RequestedResources(self._ingest, project_id, is_v1)

        def insert(connection: Connection) -> Run:
            nonlocal events
            spec = self._spec(connection, project_id, body)
            thread = thread_messages.create_thread(connection, resources, body.thread or CreateThreadRequest())
            check_searchable(connection, project_id, spec, thread.tool_resources)
            run = runs.create(connection, project_id, thread.id, spec, with_thread=True)
            events = EventBatch(0, run_events.created(run, thread))
            return run

        run = await idempotency.run(Run, insert)
        await resources.start()
        await publish(self._event_stream, run.id, events)
        # A repeat sends the command again: the start of a started run has no effect.
        await self._workflows.start_or_leave(run)
        return run

    async def submit(
        self, idempotency: Idempotency, project_id: str, thread_id: str, run_id: str, body: SubmitToolOutputsRequest
    ) -> Submitted:
        """Raises the errors of `runs.accept_outputs`."""
        accepted: list[Answered] = []

        def accept(connection: Connection) -> Submitted:
            answered = runs.accept_outputs(connection, project_id, thread_id, run_id, body.tool_outputs)
            accepted.append(answered)
            return Submitted(run=answered.run, first_event=answered.events.first)

        submitted = await idempotency.run(Submitted, accept)
        # Empty if the request is a repeat: then the first one sent the command.
        for answered in accepted:
            # Publish before the command: the worker's events follow these.
            await publish(self._event_stream, run_id, answered.events)
            await leave_to_sweep("submit", run_id, self._workflows.submit(run_id, answered.turn))
        return submitted

    async def cancel(self, idempotency: Idempotency, project_id: str, thread_id: str, run_id: str) -> Run:
        """Raises the errors of `runs.begin_cancelling`."""

        ended = NO_EVENTS

        def begin(connection: Connection) -> Run:
            nonlocal ended
            run = runs.begin_cancelling(connection, project_id, thread_id, run_id)
            run, ended = run_finalization.cancel_waiting(connection, run)
            return run

        run = await idempotency.run(Run, begin)
        await publish(self._event_stream, run_id, ended)
        # Held polls show it, and the turn's heartbeats, whose answers bring the cancel to it, become frequent.
        await self._event_stream.announce(run_id)
        await leave_to_sweep("cancel", run_id, self._workflows.cancel(run_id))
        return run

    async def retry(self, idempotency: Idempotency, project_id: str, run_id: str, by: str) -> Run:
        """Continue a failed run with its failed turn. Raises the errors of `run_retries.request`."""
        accepted: list[RetryRequest] = []

        def request(connection: Connection) -> Run:
            retry = run_retries.request(connection, project_id, run_id, by)
            accepted.append(retry)
            return retry.run

        run = await idempotency.run(Run, request)
        # Empty if the request is a repeat: then the first one sent the command.
        for retry in accepted:
            await publish(self._event_stream, run_id, retry.events)
            await leave_to_sweep("retry", run_id, self._workflows.retry(retry.command))
        return run

    async def delete_thread(self, project_id: str, thread_id: str) -> None:
        """Delete a thread with its messages and runs; an active run is stopped. Raises `NotFound`."""
        active = await self._database.write(threads.remove, project_id, thread_id)
        if active is not None:
            await self._event_stream.announce(active)
            await leave_to_sweep("cancel", active, self._workflows.cancel(active))

    def _spec(self, connection: Connection, project_id: str, body: RunOverrides) -> RunSpec:
        assistant = assistants.load(connection, project_id, body.assistant_id)
        if body.tool_resources:
            check_named(connection, project_id, body.tool_resources)
        spec = RunSpec.of(assistant, body, self._default_expiry_seconds)
        if not self._catalogue.offers(spec.model):
            raise ModelNotFound(spec.model)
        return spec
