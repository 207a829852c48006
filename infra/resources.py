"""The one place where implementations are chosen: opens the resources that the settings name, and closes them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from temporalio.client import Client

from infra.database.connections import Limits
from infra.database.engine import Database, open_database
from infra.database.run_transitions import RunTransition
from infra.database.schema_version import check_migrated
from infra.embeddings.embedders import Embedders
from infra.embeddings.errors import EmbeddingRefused
from infra.errors import ConnectionFailed, StartFailed
from infra.event_stream.in_process import InProcessEventStream
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.metered import MeteredLanguageModel
from infra.language_model.selection import LanguageModelByName
from infra.language_model.traced import TracedLanguageModel
from infra.metrics import Metrics
from infra.object_store.directory import DirectoryObjectStore
from infra.object_store.errors import ObjectStoreUnavailable
from infra.ports import CodeSandbox, Embedder, EventStream, LanguageModel, ObjectStore, VectorIndex, WebSearch
from infra.run_log import log_run_transitions
from infra.run_starts.layout import StartingWorkers, workers_of
from infra.searchable_files import SearchableFiles
from infra.settings import NO_SANDBOX, Settings
from infra.telemetry import Tracing, open_tracing
from infra.temporal import connect_temporal, namespace_id
from models.web_hosts import PrivateHosts

if TYPE_CHECKING:
    from infra.embeddings.litellm_endpoint import LitellmEndpoint
    from infra.web.access import WebAccess


@dataclass(frozen=True)
class Resources:
    settings: Settings
    database: Database
    temporal: Client
    event_stream: EventStream
    object_store: ObjectStore
    embedders: Embedders
    vector_index: VectorIndex
    language_model: LanguageModel
    starting_workers: StartingWorkers | None
    """None if every process starts workflows itself."""
    code_sandbox: CodeSandbox | None
    """None if the settings name none."""
    catalogue: ModelCatalogue
    metrics: Metrics
    tracing: Tracing | None
    """None if no traces are sent."""
    searchable_files: SearchableFiles = field(default_factory=SearchableFiles)


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
        async with (
            open_event_stream(settings) as event_stream,
            open_starting_workers(settings, temporal) as starting_workers,
            open_object_store(settings) as object_store,
            open_embedders(settings, catalogue) as embedders,
            open_vector_index(settings) as vector_index,
            open_code_sandbox(settings) as code_sandbox,
            _closing(direct, by_litellm),
        ):
            yield Resources(
                settings=settings,
                database=database,
                temporal=temporal,
                event_stream=event_stream,
                starting_workers=starting_workers,
                object_store=object_store,
                language_model=language_model,
                embedders=embedders,
                vector_index=vector_index,
                code_sandbox=code_sandbox,
                catalogue=catalogue,
                metrics=metrics,
                tracing=tracing,
            )


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


@asynccontextmanager
async def open_starting_workers(settings: Settings, temporal: Client) -> AsyncIterator[StartingWorkers | None]:
    """None if API and worker are one process, or runs are started for whichever version of workers is current."""
    if not settings.event_stream_url or settings.build_id:
        yield None
        return
    from infra.event_stream.redis_streams import redis_client

    async with redis_client(settings.event_stream_url) as client:
        key = workers_of(await namespace_id(temporal), settings.task_queue)
        yield StartingWorkers(client, key)


@asynccontextmanager
async def open_embedders(settings: Settings, catalogue: ModelCatalogue | None = None) -> AsyncIterator[Embedders]:
    """Raises `StartFailed`."""
    listed = catalogue or ModelCatalogue()
    async with AsyncExitStack() as others, open_embedder(settings, listed) as for_new_stores:

        async def open_another(model: str, dimensions: int) -> Embedder:
            try:
                return await others.enter_async_context(_open_model(settings, listed, model, dimensions))
            except StartFailed as error:
                raise EmbeddingRefused(str(error)) from error

        yield Embedders(for_new_stores, open_another)


@asynccontextmanager
async def open_embedder(settings: Settings, catalogue: ModelCatalogue | None = None) -> AsyncIterator[Embedder | None]:
    """That of new stores. The model is loaded, or its endpoint asked, by the first text. Raises `StartFailed`."""
    model, listed = settings.embedding_model, catalogue or ModelCatalogue()
    if model == "none":
        yield None
        return
    async with AsyncExitStack() as stack:
        try:
            opening = _open_model(settings, listed, model, settings.embedding_dimensions)
            embedder = await stack.enter_async_context(opening)
        except (StartFailed, EmbeddingRefused) as error:
            raise StartFailed(f"HOLDFAST_EMBEDDING_MODEL={model}: {error}") from error
        yield embedder


@asynccontextmanager
async def _open_model(
    settings: Settings, catalogue: ModelCatalogue, model: str, dimensions: int
) -> AsyncIterator[Embedder]:
    match model.partition("/"):
        case "openai", _, remembered:
            from infra.embeddings.openai_compatible import EmbeddingEndpoint, open_openai_embedder, own_name

            name = own_name(remembered)
            endpoint = EmbeddingEndpoint.from_environment(name, dimensions, settings.embedding_window_tokens)
            async with open_openai_embedder(name, endpoint) as openai_embedder:
                yield openai_embedder
        case "local", _, "minilm-int8":
            from infra.embeddings.minilm import MiniLmEmbedder

            with closing(MiniLmEmbedder(settings.embedding_threads or max((os.cpu_count() or 1) // 2, 1))) as local:
                yield local
        case _:
            from infra.embeddings.listed import has_entry, listed_endpoint
            from infra.embeddings.openai_compatible import open_openai_embedder

            if "/" in model and not has_entry(catalogue, model):
                yield await _open_by_litellm(_unlisted(model, dimensions, settings.embedding_window_tokens))
                return
            match listed_endpoint(catalogue, model, dimensions, settings.embedding_window_tokens):
                case name, endpoint:
                    async with open_openai_embedder(name, endpoint) as listed_embedder:
                        yield listed_embedder
                case by_litellm:
                    yield await _open_by_litellm(by_litellm)


def _unlisted(remembered: str, dimensions: int, window_tokens: int) -> "LitellmEndpoint":
    """With its key and address in the environment."""
    from infra.embeddings.litellm_endpoint import LitellmEndpoint, own_name

    name = own_name(remembered)
    return LitellmEndpoint.of(name, dimensions, window_tokens, {}, remembered_as=name)


async def _open_by_litellm(endpoint: "LitellmEndpoint") -> Embedder:
    # It imports litellm, which takes seconds.
    from infra.embeddings.litellm_embedder import open_litellm_embedder

    return await open_litellm_embedder(endpoint)


@asynccontextmanager
async def open_vector_index(settings: Settings) -> AsyncIterator[VectorIndex]:
    """Raises `ConnectionFailed` where it does not answer, or the URL names nothing that can be one."""
    url = settings.vector_index_url
    match scheme := urlsplit(url).scheme:
        case "" if not url:
            from infra.vector_index.sqlite_index import SqliteVectorIndex

            with closing(SqliteVectorIndex(settings.vector_index_dir, settings.search_cache_mb * 1_000_000)) as index:
                yield index
        case "weaviate":
            from infra.vector_index.weaviate_index import open_weaviate_index

            async with open_weaviate_index(url) as weaviate:
                yield weaviate
        case _:
            raise ConnectionFailed(
                # The URL may have a key in it.
                f"HOLDFAST_VECTOR_INDEX_URL names no vector index: it begins with '{scheme}', expected weaviate://."
            )


@asynccontextmanager
async def open_web(settings: Settings) -> AsyncIterator["WebAccess"]:
    """What workers fetch and search the web with. APIs do not: its library takes half a second to import."""
    from infra.web.access import WebAccess
    from infra.web.fetching import open_fetcher
    from infra.web.network import CheckedNetwork
    from infra.web.page_reading import PageReader

    network = CheckedNetwork(PrivateHosts.parse(settings.web_allowed_hosts))
    async with open_fetcher(network) as fetcher, open_web_search(settings) as search:
        yield WebAccess(fetcher, PageReader(max(2, os.cpu_count() or 1)), search)


@asynccontextmanager
async def open_web_search(settings: Settings) -> AsyncIterator[WebSearch | None]:
    from infra.web.search.engines import BRAVE_URL, TAVILY_URL, BraveSearch, SearxngSearch, TavilySearch
    from infra.web.search.json_engine import open_engine

    match settings.web_search.partition("+"):
        case "ddgs", _, _:
            from infra.web.search.ddgs import DdgsSearch

            yield DdgsSearch()
        case "searxng", _, url:
            async with open_engine(f"{url.rstrip('/')}/search") as engine:
                yield SearxngSearch(engine)
        case "brave", _, _:
            async with open_engine(BRAVE_URL, {"x-subscription-token": settings.web_search_key}) as engine:
                yield BraveSearch(engine)
        case "tavily", _, _:
            async with open_engine(TAVILY_URL, {"authorization": f"Bearer {settings.web_search_key}"}) as engine:
                yield TavilySearch(engine)
        case _:
            yield None


@asynccontextmanager
async def open_object_store(settings: Settings) -> AsyncIterator[ObjectStore]:
    """Raises `ConnectionFailed` where it does not answer, or the URL names nothing that can be one."""
    url = settings.object_store_url
    match scheme := urlsplit(url).scheme:
        case "" if not url:
            store = DirectoryObjectStore(settings.object_folder)
            try:
                await store.open()
            except ObjectStoreUnavailable as error:
                raise ConnectionFailed(
                    f"The folder {settings.object_folder} cannot be used: {error.reason}. Check HOLDFAST_DATA_DIR."
                ) from error
            yield store
        case "s3":
            from infra.object_store.s3 import open_s3_object_store

            async with open_s3_object_store(url) as bucket:
                yield bucket
        case _:
            raise ConnectionFailed(
                # The URL may have a secret in it.
                f"HOLDFAST_OBJECT_STORE_URL names no object store: it begins with '{scheme}', expected s3://."
            )


@asynccontextmanager
async def open_code_sandbox(settings: Settings) -> AsyncIterator[CodeSandbox | None]:
    """None where the settings name none. It is asked nothing yet. Raises `ConnectionFailed` where the URL is none."""
    url = settings.sandbox_url
    match scheme := urlsplit(url).scheme:
        case "" if url in {"", NO_SANDBOX}:
            yield None
        case "http" | "https" | "unix":
            from infra.sandbox.http_sandbox import HttpCodeSandbox

            sandbox = HttpCodeSandbox(url, settings.sandbox_token)
            try:
                yield sandbox
            finally:
                await sandbox.close_connections()
        case _:
            raise ConnectionFailed(
                f"HOLDFAST_SANDBOX_URL names no sandbox: it begins with '{scheme}', expected http:// or unix://."
            )
