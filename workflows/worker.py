"""The worker: runs workflows and their activities in one process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    PollerBehaviorSimpleMaximum,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from activities.command_reconciler import CommandReconciler
from activities.crawl_reconciler import CrawlReconciler
from activities.gone_workers import GoneWorkers
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
from activities.tools.web_retrieval import WebRetrieval
from activities.web_crawl import CrawlLimits, WebCrawl, WebCrawlEnds
from activities.workflow_reconciler import WorkflowReconciler
from infra.background import beside
from infra.ingest_workflows import IngestWorkflows
from infra.life_signs import LivingWorker, giving_life_signs
from infra.ports import ServerTool
from infra.resources import Resources, open_web
from infra.run_starts.answers import starting_for_apis
from infra.run_workflows import RunWorkflows
from infra.settings import Settings
from infra.tools.observation import ToolObserver
from infra.vector_store_search import VectorStoreSearch
from infra.web.access import WebAccess
from infra.web.collection import WebCollectionSearch
from infra.web.crawl_workflows import CrawlWorkflows
from models.tool_calls import ToolKind
from workflows.activity_options import control_task_queue, ingestion_task_queue
from workflows.ingest_workflow import IngestBatchWorkflow, IngestWorkflow
from workflows.run_workflow import RunWorkflow
from workflows.scheduled_sweep_workflow import ScheduledSweepWorkflow
from workflows.sweep import keep_sweep_running, start_sweep, sweep_id
from workflows.sweep_workflow import SweepWorkflow
from workflows.web_crawl_workflow import WebCrawlWorkflow

MB = 1_000_000
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

# Not as many as there is work for: the SDK lets them fall to one between two bursts, and Temporal writes each task that
# finds no poller to its database. A poller that waits costs a request a minute. Four fifths are for this worker's runs;
# only the others can take new ones, which they would keep for a while if the worker stood still.
WORKFLOW_POLLERS = PollerBehaviorSimpleMaximum(20)

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
    living = LivingWorker.new()
    gone_workers = GoneWorkers(resources.database, resources.temporal, living.id, [sweep_id(settings.task_queue)])
    async with (
        open_web(settings) as web,
        # Until the last activity has ended, so outside of the workers.
        giving_life_signs(settings.database, living),
        create_control_worker(resources, living.id),
        create_ingestion_worker(resources, living.id),
        create_worker(resources, web, living.id, workflow_runner) as worker,
        beside(keep_sweep_running(*sweep)),
        beside(gone_workers.watch()),
        # Ended first: a worker that stops takes no more starts.
        _starting_for_apis(resources),
    ):
        yield worker


def create_worker(resources: Resources, web: WebAccess, identity: str, workflow_runner: WorkflowRunner) -> Worker:
    """Workflows, model turns, server tools and crawls."""
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
    tools = _server_tools(resources, web)
    tool_calls = ToolCalls(resources.database, resources.event_stream, tools, _observer(resources))
    return Worker(
        resources.temporal,
        task_queue=settings.task_queue,
        identity=identity,
        workflows=[
            RunWorkflow,
            IngestWorkflow,
            IngestBatchWorkflow,
            WebCrawlWorkflow,
            SweepWorkflow,
            ScheduledSweepWorkflow,
        ],
        activities=[model_turn.generate, tool_calls.execute, _web_crawl(resources, web).crawl],
        interceptors=[LogContext(), Outages()],
        workflow_runner=workflow_runner,
        max_cached_workflows=MAX_CACHED_WORKFLOWS,
        max_concurrent_activities=settings.max_concurrent_activities,
        workflow_task_poller_behavior=WORKFLOW_POLLERS,
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=MAX_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(settings),
    )


def create_control_worker(resources: Resources, identity: str) -> Worker:
    """The worker of activities that only write rows or send commands; see `activity_options.control_task_queue`."""
    finalization = RunFinalization(resources.database, _run_workflows(resources), resources.event_stream)
    command_reconciler = CommandReconciler(resources.database, _run_workflows(resources), resources.event_stream)
    workflow_reconciler = WorkflowReconciler(resources.database, _run_workflows(resources), resources.event_stream)
    object_reconciler = ObjectReconciler(resources.database, resources.object_store, sandbox=resources.code_sandbox)
    ingest_reconciler = IngestReconciler(
        resources.database,
        IngestWorkflows(resources.temporal, resources.settings),
        resources.vector_index,
        CrawlReconciler(resources.database, CrawlWorkflows(resources.temporal, resources.settings)),
    )
    ingestion_ends = IngestionEnds(resources.database)
    return Worker(
        resources.temporal,
        task_queue=control_task_queue(resources.settings.task_queue),
        identity=identity,
        activities=[
            finalization.finalize,
            finalization.reopen,
            command_reconciler.repeat,
            workflow_reconciler.close_runs,
            object_reconciler.reconcile,
            ingestion_ends.end,
            ingestion_ends.pending,
            ingest_reconciler.reconcile,
            WebCrawlEnds(resources.database).end,
        ],
        interceptors=[LogContext(), Outages()],
        max_concurrent_activities=MAX_CONTROL_ACTIVITIES,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(resources.settings),
    )


def create_ingestion_worker(resources: Resources, identity: str) -> Worker:
    """What parses and embeds files; see `activity_options.ingestion_task_queue`."""
    ingestion = Ingestion(resources.database, resources.object_store, resources.embedders, resources.vector_index)
    return Worker(
        resources.temporal,
        task_queue=ingestion_task_queue(resources.settings.task_queue),
        identity=identity,
        activities=[ingestion.ingest],
        interceptors=[LogContext(), Outages()],
        max_concurrent_activities=resources.settings.ingested_files_at_a_time,
        max_heartbeat_throttle_interval=MAX_HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
        deployment_config=_version(resources.settings),
    )


def _starting_for_apis(resources: Resources) -> AbstractAsyncContextManager[None]:
    workers = resources.starting_workers
    return starting_for_apis(workers, _run_workflows(resources).start) if workers else nullcontext()


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


def _server_tools(resources: Resources, web: WebAccess) -> Mapping[ToolKind, ServerTool]:
    search = VectorStoreSearch(
        resources.database, resources.embedders, resources.vector_index, resources.searchable_files
    )
    return {
        ToolKind.FILE_SEARCH: FileSearch(resources.database, search, resources.language_model),
        ToolKind.WEB_RETRIEVAL: WebRetrieval(web, _web_collection(resources), resources.language_model),
        ToolKind.CODE_INTERPRETER: _code_interpreter(resources),
        ToolKind.UNKNOWN_FUNCTION: UnknownFunction(),
    }


def _web_collection(resources: Resources) -> WebCollectionSearch:
    return WebCollectionSearch(resources.database, resources.embedders, resources.vector_index)


def _web_crawl(resources: Resources, web: WebAccess) -> WebCrawl:
    settings = resources.settings
    time = timedelta(seconds=settings.web_crawl_seconds)
    limits = CrawlLimits(settings.web_crawl_pages, settings.web_crawl_mb * MB, time)
    return WebCrawl(resources.database, _web_collection(resources), web, limits)


def _code_interpreter(resources: Resources) -> ServerTool:
    sandbox = resources.code_sandbox
    return CodeInterpreter(resources.database, resources.object_store, sandbox) if sandbox else WithoutSandbox()


def _observer(resources: Resources) -> ToolObserver:
    return ToolObserver(resources.metrics, resources.tracing.tracer if resources.tracing else None)


def _run_workflows(resources: Resources) -> RunWorkflows:
    return RunWorkflows(resources.temporal, resources.settings)
