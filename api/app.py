"""The HTTP application: routes, errors and the headers of every answer."""

from contextlib import nullcontext
from datetime import timedelta
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from api.authentication import Keyring
from api.azure import AzurePaths
from api.errors import UnexpectedErrors, install_error_handlers
from api.headers import EXPOSED_HEADERS, ResponseHeaders
from api.hosts import AllowedHosts, allowed_hosts
from api.ingest_commands import IngestCommands
from api.large_bodies import one_at_a_time
from api.long_polls import LongPolls
from api.request_metrics import RequestMetrics
from api.request_spans import RequestSpans
from api.routes import (
    all_runs,
    assistant_files,
    assistants,
    chat_completions,
    console,
    embeddings,
    files,
    health,
    message_files,
    messages,
    metrics,
    models,
    ops_files,
    ops_runs,
    run_events,
    run_steps,
    runs,
    threads,
    uploads,
    vector_store_file_batches,
    vector_store_files,
    vector_stores,
    web_retrieval,
)
from api.run_commands import RunCommands
from api.run_timelines import RunTimelines
from api.sse import Streams
from api.web_crawl_commands import WebCrawlCommands
from infra.background import beside
from infra.event_stream.reading import RunEvents
from infra.ingest_workflows import IngestWorkflows
from infra.resources import Resources
from infra.run_histories import RunHistories
from infra.run_starts.requests import StartRequests
from infra.run_workflows import RunWorkflows
from infra.temporal import workflows_url
from infra.web.crawl_workflows import CrawlWorkflows
from models.errors import ErrorEnvelope

# The routes are tried in their order, so that those of a run, polls above all, come first.
# `/threads/runs` is registered before `/threads/{thread_id}`, which would match it.
ROUTERS = (
    runs.polls_router,
    *(noun.router for noun in (runs, threads, messages, run_steps, run_events, assistants, all_runs, models)),
    assistant_files.router,
    message_files.router,
    vector_stores.router,
    vector_store_files.router,
    vector_store_file_batches.router,
    files.router,
    uploads.router,
    uploads.parts_router,
    embeddings.router,
    chat_completions.router,
)


def create_app(resources: Resources) -> FastAPI:
    """The API over open `resources`, under `/v1` and, for clients whose `base_url` lacks it, under `/` too."""
    workers = resources.starting_workers
    start_requests = StartRequests(workers) if workers else None
    app = FastAPI(
        title="Holdfast",
        version="1",
        description="The OpenAI Assistants API, every run durable.",
        routes=_routes(),
        lifespan=lambda _: beside(start_requests.listen()) if start_requests else nullcontext(),
    )
    app.state.resources = resources
    app.state.keyring = Keyring.of(resources.settings)
    app.state.large_bodies = one_at_a_time()
    app.state.run_timelines = RunTimelines(
        resources.database,
        RunHistories(resources.temporal),
        workflows_url(resources.settings, resources.temporal.namespace),
    )
    ingest_commands = IngestCommands(
        resources.database,
        IngestWorkflows(resources.temporal, resources.settings),
        resources.vector_index,
        resources.embedders,
    )
    app.state.ingest_commands = ingest_commands
    app.state.web_crawl_commands = WebCrawlCommands(
        resources.database,
        CrawlWorkflows(resources.temporal, resources.settings),
        resources.vector_index,
        resources.embedders,
        resources.settings.web_crawl_pages,
    )
    app.state.run_commands = RunCommands(
        resources.database,
        RunWorkflows(resources.temporal, resources.settings, start_requests),
        resources.event_stream,
        resources.catalogue,
        resources.settings.run_expiry,
        ingest_commands,
    )
    app.state.long_polls = LongPolls(
        resources.event_stream, timedelta(milliseconds=resources.settings.rapid_polls_held_for_ms)
    )
    keepalive = resources.settings.keepalive
    followed = RunEvents(resources.database, resources.event_stream, keepalive)
    app.state.streams = Streams(followed, keepalive, resources.metrics)
    install_error_handlers(app)
    app.add_middleware(UnexpectedErrors)
    if (hosts := allowed_hosts(resources.settings)) is not None:
        app.add_middleware(AllowedHosts, hosts=hosts)
    app.add_middleware(AzurePaths)
    app.add_middleware(ResponseHeaders)
    app.add_middleware(RequestMetrics, metrics=resources.metrics)
    if origins := resources.settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    if resources.tracing:
        # The middleware that is added last is the outermost.
        app.add_middleware(RequestSpans, tracer=resources.tracing.tracer)
    return app


@cache
def _routes() -> list[BaseRoute]:
    # Shared by the apps of a process: FastAPI prepares each route at the first request, in half a second for all.
    api = APIRouter(responses={"4XX": {"model": ErrorEnvelope}, "5XX": {"model": ErrorEnvelope}})
    for router in ROUTERS:
        api.include_router(router, prefix="/v1")
        api.include_router(router, include_in_schema=False)
    for unversioned in (health, ops_runs, ops_files, web_retrieval):
        api.include_router(unversioned.router)
        api.include_router(unversioned.router, prefix="/v1", include_in_schema=False)
    api.include_router(metrics.router)
    # Last: programs do not ask for it.
    api.include_router(console.router)
    return api.routes
