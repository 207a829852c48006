"""The worker: runs workflows and their activities in one process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from activities.command_reconciler import CommandReconciler
from activities.images import Images
from activities.ingest_reconciler import IngestReconciler
from activities.ingestion import Ingestion, IngestionEnds
from activities.log_context import LogContext
from activities.model_turn import ModelTurn
from activities.object_reconciler import ObjectReconciler
from activities.outages import Outages
from activities.run_finalization import RunFinalization
from activities.tool_calls import ToolCalls
from activities.tools.code_interpreter import CodeInterpreter, WithoutSandbox
from activities.tools.file_search import FileSearch
from activities.tools.unknown_function import UnknownFunction
from activities.workflow_reconciler import WorkflowReconciler
from infra.background import beside
from infra.ingest_workflows import IngestWorkflows
from infra.ports import ServerTool
from infra.resources import Resources
from infra.run_workflows import RunWorkflows
from infra.settings import Settings
from infra.tools.observation import ToolObserver
from infra.vector_store_search import VectorStoreSearch
from models.tool_calls import ToolKind
from workflows.activity_options import control_task_queue, ingestion_task_queue
from workflows.ingest_workflow import IngestBatchWorkflow, IngestWorkflow
from workflows.run_workflow import RunWorkflow
from workflows.scheduled_sweep_workflow import ScheduledSweepWorkflow
from workflows.sweep import keep_sweep_running, start_sweep
from workflows.sweep_workflow import SweepWorkflow

# Some 200 kB each. Other runs are replayed when their outputs arrive, for a few milliseconds of CPU.
MAX_CACHED_WORKFLOWS = 500
MAX_CONTROL_ACTIVITIES = 50
# Below the interval of `activities.heartbeat`, so that each heartbeat is sent. With the default of 60 s a cancelled
# model call would continue for as long.
MAX_HEARTBEAT_THROTTLE = timedelta(seconds=0.5)
# Turns that end within it are committed; another worker repeats the others. A stop takes ten seconds at most.
GRACEFUL_SHUTDOWN = timedelta(seconds=5)
# The time that the next step of a run waits for a killed worker before any other may take it. Not shorter: a busy
# worker would lose its cached runs when it has least time to replay them.
STICKY_TIMEOUT = timedelta(seconds=3)

# Workflow code is kept deterministic by lint rules and by the sandbox of every test and replay (decision 0013).
UNSANDBOXED = UnsandboxedWorkflowRunner()


@asynccontextmanager
async def open_worker(resources: Resources, workflow_runner: WorkflowRunner = UNSANDBOXED) -> AsyncIterator[Worker]:
    """Run a worker while the block runs. On exit, activities may finish within `GRACEFUL_SHUTDOWN`.

    Tests pass a `workflow_runner` with the sandbox.
    """
    settings = resources.settings
    await resources.language_model.prepare()
    sweep = (resources.temporal, settings.task_queue, settings.sweep_interval_seconds)
    await start_sweep(*sweep)
    async with (
        create_control_worker(resources),
        create_ingestion_worker(resources),
        create_worker(resources, workflow_runner) as worker,
        beside(keep_sweep_running(*sweep)),
    ):
        yield worker


def create_worker(resources: Resources, workflow_runner: WorkflowRunner) -> Worker:
    """Workflows, model turns and server tools."""
    settings = resources.settings
    model_turn = ModelTurn(
        resources.database,
        Images(resources.database, resources.object_store),
        resources.object_store,
        resources.language_model,
        _run_workflows(resources),
        resources.event_stream,
        settings.max_turns,
    )
    tool_calls = ToolCalls(resources.database, resources.event_stream, _server_tools(resources), _observer(resources))
    return Worker(
        resources.temporal,
        task_queue=settings.task_queue,
        workflows=[RunWorkflow, IngestWorkflow, IngestBatchWorkflow, SweepWorkflow, ScheduledSweepWorkflow],
        activities=[model_turn.generate, tool_calls.execute],
        interceptors=[LogContext(), Outages()],
        workflow_runner=workflow_runner,
        max_cached_workflows=MAX_CACHED_WORKFLOWS,
        max_concurrent_activities=settings.max_concurrent_activities,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=MAX_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(settings),
    )


def create_control_worker(resources: Resources) -> Worker:
    """The worker of activities that only write rows or send commands; see `activity_options.control_task_queue`."""
    finalization = RunFinalization(resources.database, _run_workflows(resources), resources.event_stream)
    command_reconciler = CommandReconciler(resources.database, _run_workflows(resources), resources.event_stream)
    workflow_reconciler = WorkflowReconciler(resources.database, _run_workflows(resources), resources.event_stream)
    object_reconciler = ObjectReconciler(resources.database, resources.object_store, sandbox=resources.code_sandbox)
    ingest_reconciler = IngestReconciler(
        resources.database, IngestWorkflows(resources.temporal, resources.settings), resources.vector_index
    )
    ingestion_ends = IngestionEnds(resources.database)
    return Worker(
        resources.temporal,
        task_queue=control_task_queue(resources.settings.task_queue),
        activities=[
            finalization.finalize,
            finalization.reopen,
            command_reconciler.repeat,
            workflow_reconciler.close_runs,
            object_reconciler.reconcile,
            ingestion_ends.end,
            ingestion_ends.pending,
            ingest_reconciler.reconcile,
        ],
        interceptors=[LogContext(), Outages()],
        max_concurrent_activities=MAX_CONTROL_ACTIVITIES,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(resources.settings),
    )


def create_ingestion_worker(resources: Resources) -> Worker:
    """What parses and embeds files; see `activity_options.ingestion_task_queue`."""
    ingestion = Ingestion(resources.database, resources.object_store, resources.embedders, resources.vector_index)
    return Worker(
        resources.temporal,
        task_queue=ingestion_task_queue(resources.settings.task_queue),
        activities=[ingestion.ingest],
        interceptors=[LogContext(), Outages()],
        max_concurrent_activities=resources.settings.ingested_files_at_a_time,
        max_heartbeat_throttle_interval=MAX_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(resources.settings),
    )


def _version(settings: Settings) -> WorkerDeploymentConfig | None:
    """The worker's deployment, which is named like its task queue, and its version."""
    if not settings.build_id:
        return None
    return WorkerDeploymentConfig(
        WorkerDeploymentVersion(settings.task_queue, settings.build_id),
        use_worker_versioning=True,
        # Not pinned: a run can wait for weeks, and its first worker would have to wait with it.
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def _server_tools(resources: Resources) -> Mapping[ToolKind, ServerTool]:
    search = VectorStoreSearch(resources.database, resources.embedders, resources.vector_index)
    return {
        ToolKind.FILE_SEARCH: FileSearch(resources.database, search, resources.language_model),
        ToolKind.CODE_INTERPRETER: _code_interpreter(resources),
        ToolKind.UNKNOWN_FUNCTION: UnknownFunction(),
    }


def _code_interpreter(resources: Resources) -> ServerTool:
    sandbox = resources.code_sandbox
    return CodeInterpreter(resources.database, resources.object_store, sandbox) if sandbox else WithoutSandbox()


def _observer(resources: Resources) -> ToolObserver:
    return ToolObserver(resources.metrics, resources.tracing.tracer if resources.tracing else None)


def _run_workflows(resources: Resources) -> RunWorkflows:
    return RunWorkflows(resources.temporal, resources.settings)
