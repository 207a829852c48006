"""The one place where implementations are chosen: opens the resources that the settings name, and closes them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from temporalio.client import Client

from infra.database.connections import Limits
from infra.database.engine import Database, open_database
from infra.database.migrations import check_migrated
from infra.database.run_transitions import RunTransition
from infra.errors import ConnectionFailed
from infra.event_stream.in_process import InProcessEventStream
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.metered import MeteredLanguageModel
from infra.language_model.selection import LanguageModelByName
from infra.language_model.traced import TracedLanguageModel
from infra.metrics import Metrics
from infra.ports import EventStream, LanguageModel
from infra.run_log import log_run_transitions
from infra.settings import Settings
from infra.telemetry import Tracing, open_tracing
from infra.temporal import connect_temporal


@dataclass(frozen=True)
class Resources:
    settings: Settings
    database: Database
    temporal: Client
    event_stream: EventStream
    language_model: LanguageModel
    catalogue: ModelCatalogue
    metrics: Metrics
    tracing: Tracing | None
    """None if no traces are sent."""


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open the database, Temporal, the event stream, the models that `settings` name, and tracing if it is on.

    Raises `ConnectionFailed` with one line if one of them does not answer or is not migrated, `InvalidCatalogue` if the
    models file cannot be used.
    """
    catalogue = ModelCatalogue.load(settings.models, settings.scripted_model)
    direct, by_litellm = ChatCompletionsLanguageModel(catalogue), LitellmLanguageModel(catalogue)
    language_model: LanguageModel = LanguageModelByName(catalogue, direct, by_litellm)
    limits = Limits(settings.database_pool_size, timedelta(seconds=settings.database_statement_timeout_seconds))
    metrics = Metrics(catalogue.names())
    language_model = MeteredLanguageModel(language_model, metrics)

    def on_run_transitions(transitions: Sequence[RunTransition]) -> None:
        metrics.count_run_transitions(transitions)
        log_run_transitions(transitions)

    async with open_tracing() as tracing, open_database(settings.database, limits, on_run_transitions) as database:
        temporal = await connect_temporal(settings, [tracing.interceptor] if tracing else [])
        await check_migrated(database)
        if tracing:
            language_model = TracedLanguageModel(language_model, catalogue, tracing.tracer)
        async with open_event_stream(settings) as event_stream, _closing(direct, by_litellm):
            yield Resources(settings, database, temporal, event_stream, language_model, catalogue, metrics, tracing)


@asynccontextmanager
async def _closing(direct: ChatCompletionsLanguageModel, by_litellm: LitellmLanguageModel) -> AsyncIterator[None]:
    try:
        yield
    finally:
        by_litellm.close()
        await direct.close()


@asynccontextmanager
async def open_event_stream(settings: Settings) -> AsyncIterator[EventStream]:
    """Raises `ConnectionFailed` if it does not answer, or the URL names no event stream."""
    url = settings.event_stream_url
    match scheme := urlsplit(url).scheme:
        case "" if not url:
            yield InProcessEventStream(settings.event_retention)
        case "redis" | "rediss" | "unix":
            from infra.event_stream.redis_streams import open_redis_event_stream

            async with open_redis_event_stream(url, settings.event_retention) as stream:
                yield stream
        case _:
            raise ConnectionFailed(
                # The URL may contain a password.
                f"HOLDFAST_EVENT_STREAM_URL names no event stream: it begins with '{scheme}', "
                "expected redis://, rediss:// or unix://."
            )
