"""Where the suite runs: everything in one `holdfast up`, or each part a process of its own, most of them twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from temporalio.client import Client

from cli.ports import Address
from cli.temporal_command import HOST, temporal_command
from infra.database.migrations import migrate
from tests.chaos.held_writes import WritesHeld, postgres_writes_held, sqlite_writes_held
from tests.chaos.parts import Child, EmbeddedSandbox, Freezable, Part, Postgres
from tests.chaos.patience import PATIENCE_SECONDS
from tests.cli.program import HOLDFAST, Place, free_ports
from tests.code_runs import coding_sandbox, small_packages
from tests.infra.embeddings.scripted_endpoint import ScriptedEndpoint, running_endpoint
from tests.postgres.proxy import LosingProxy, losing_proxy
from tests.postgres.server import running_postgres
from tests.program import Answers, Program
from tests.provider.scripted_provider import ScriptedProvider
from tests.valkey import ValkeyServer
from tests.web_site import WebSite, running_web_site

SETTINGS = {"HOLDFAST_RUN_EXPIRY_SECONDS": "3600", "HOLDFAST_SWEEP_INTERVAL_SECONDS": "2"}


class Role(StrEnum):
    API = "api"
    WORKER = "worker"
    TEMPORAL = "temporal"
    DATABASE = "database"
    EVENTS = "events"
    SANDBOX = "sandbox"


@dataclass(frozen=True)
class Setup:
    """`stages` are groups of parts, started one after the other. `writes_held` blocks every commit of a run.

    `worker` is one worker, which may be no part by itself because another part starts it again. `embeddings` has the
    vectors of every search, `site` the pages of every crawl, `sandboxes` the folders of all sandboxes that are started.
    `proxy` is between the first API, the first worker and Postgres; None without Postgres.
    """

    name: str
    urls: Sequence[str]
    database_url: str
    stages: Sequence[Sequence[tuple[Role, Part]]]
    freezable: Mapping[Role, Freezable]
    writes_held: WritesHeld
    worker: Part
    embeddings: ScriptedEndpoint
    site: WebSite
    sandboxes: Path
    proxy: LosingProxy | None = None

    @property
    def parts(self) -> list[Part]:
        return list(dict.fromkeys(part for stage in self.stages for _, part in stage))

    def of(self, *roles: Role) -> list[Part]:
        """The parts that play these roles; `holdfast up` plays two."""
        return list(dict.fromkeys(part for stage in self.stages for role, part in stage if role in roles))

    async def restore(self) -> None:
        """Start the parts that are not alive, and wait until all serve."""
        for part in self.freezable.values():
            part.thaw()
        for stage in self.stages:
            dead = dict.fromkeys(part for _, part in stage if not part.is_alive)
            await asyncio.gather(*(part.start() for part in dead))

    def end(self) -> None:
        for part in reversed(self.parts):
            part.kill()


@asynccontextmanager
async def embedded(folder: Path, provider: ScriptedProvider) -> AsyncIterator[Setup]:
    """`holdfast up` on SQLite, with the events in a Valkey of its own."""
    place = Place.new(folder)
    with (
        small_packages() as packages,
        _folder_of_sandboxes() as sandboxes,
        running_endpoint() as embeddings,
        running_web_site() as site,
    ):
        more = {
            "HOLDFAST_SANDBOX_URL": "",
            "HOLDFAST_SANDBOX_DIR": str(sandboxes),
            "HOLDFAST_SANDBOX_PACKAGES_DIR": str(packages),
            **_embedding_with(embeddings),
            **_fetching_from(site),
        }
        environment = place.environment(HOLDFAST_MODELS=str(provider.models_file(folder)), **more, **SETTINGS)
        async with _running(_embedded(place, folder, environment, embeddings, site, sandboxes)) as setup:
            yield setup


@contextmanager
def _folder_of_sandboxes() -> Iterator[Path]:
    with TemporaryDirectory(prefix="holdfast-sandboxes-", ignore_cleanup_errors=True) as name:
        # Also for the user that runs the code of a sandbox of root.
        Path(name).chmod(0o755)
        yield Path(name)


def _embedded(
    place: Place,
    folder: Path,
    environment: Mapping[str, str],
    embeddings: ScriptedEndpoint,
    site: WebSite,
    sandboxes: Path,
) -> Setup:
    up = Program(
        "up", [*HOLDFAST, "up"], folder / "up.log", environment, healthy(place.url), patience_seconds=PATIENCE_SECONDS
    )
    temporal = Child("temporal", up, str(place.data_dir / "temporal.db"), healthy(place.url))
    worker = Child("worker", up, "worker", healthy(place.url))
    sandbox = EmbeddedSandbox(up, has_sandbox(place.url))
    database = place.data_dir / "holdfast.db"
    stages: list[list[tuple[Role, Part]]] = [
        [(Role.API, up), (Role.WORKER, up)],
        [(Role.TEMPORAL, temporal), (Role.SANDBOX, sandbox)],
    ]
    url = f"sqlite:///{database}"
    freezable = {Role.TEMPORAL: temporal}
    held = sqlite_writes_held(database)
    return Setup("sqlite", [place.url], url, stages, freezable, held, worker, embeddings, site, sandboxes)


@asynccontextmanager
async def apart(folder: Path, provider: ScriptedProvider) -> AsyncIterator[Setup]:
    """Two APIs and two workers on Postgres, Valkey and a Temporal server. One of each reaches Postgres by a proxy."""
    with running_postgres() as server, running_endpoint() as embeddings, running_web_site() as site:
        direct = server.new_database()
        await asyncio.to_thread(migrate, direct)
        async with losing_proxy(direct, folder) as (proxy, losing), coding_sandbox() as (sandbox, sandbox_url):
            temporal, events = _temporal(folder), ValkeyServer()
            valkey = Program(
                "valkey",
                events.command,
                folder / "valkey.log",
                {},
                _answering(events),
                patience_seconds=PATIENCE_SECONDS,
            )
            more = {"HOLDFAST_MODELS": str(provider.models_file(folder)), "HOLDFAST_EVENT_STREAM_URL": events.url}
            more |= {"HOLDFAST_SANDBOX_URL": sandbox_url, **_embedding_with(embeddings), **_fetching_from(site)}
            pairs = [
                _api_and_worker(folder, number, temporal, HOLDFAST_DATABASE_URL=url, **more, **SETTINGS)
                for number, url in enumerate((losing, direct), 1)
            ]
            setup = Setup(
                "postgres",
                [pair.url for pair in pairs],
                direct,
                [
                    [(Role.DATABASE, Postgres(server)), (Role.EVENTS, valkey), (Role.TEMPORAL, temporal.program)],
                    [(Role.SANDBOX, sandbox.program)],
                    [part for pair in pairs for part in ((Role.API, pair.api), (Role.WORKER, pair.worker))],
                ],
                {Role.TEMPORAL: temporal.program, Role.EVENTS: valkey, Role.WORKER: pairs[1].worker},
                postgres_writes_held(direct),
                pairs[1].worker,
                embeddings,
                site,
                sandbox.folder,
                proxy,
            )
            async with _running(setup):
                yield setup


SETUPS: dict[str, Callable[[Path, ScriptedProvider], AbstractAsyncContextManager[Setup]]] = {
    "sqlite": embedded,
    "postgres": apart,
}


@asynccontextmanager
async def _running(setup: Setup) -> AsyncIterator[Setup]:
    try:
        await setup.restore()
        yield setup
    finally:
        setup.end()


def _embedding_with(endpoint: ScriptedEndpoint) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": endpoint.url,
        "OPENAI_API_KEY": "sk-scripted",
        "HOLDFAST_EMBEDDING_MODEL": "openai/scripted",
        "HOLDFAST_EMBEDDING_DIMENSIONS": str(endpoint.dimensions),
    }


def _fetching_from(site: WebSite) -> dict[str, str]:
    return {"HOLDFAST_WEB_ALLOWED_HOSTS": site.host, "HOLDFAST_WEB_SEARCH": "off"}


@dataclass(frozen=True)
class _Temporal:
    program: Program
    ports: tuple[int, int]


def _temporal(folder: Path) -> _Temporal:
    port, ui_port = free_ports(2)

    async def answers() -> bool:
        try:
            await Client.connect(f"{HOST}:{port}")
        except RuntimeError:
            return False
        return True

    command = temporal_command(folder / "temporal.db", Address("", HOST, port), Address("", HOST, ui_port))
    return _Temporal(
        Program("temporal", command, folder / "temporal.log", {}, answers, patience_seconds=PATIENCE_SECONDS),
        (port, ui_port),
    )


@dataclass(frozen=True)
class _Pair:
    url: str
    api: Program
    worker: Program


def _api_and_worker(folder: Path, number: int, temporal: _Temporal, **settings: str) -> _Pair:
    [port] = free_ports(1)
    place = Place(folder / "data", port, *temporal.ports)
    environment = place.environment(**settings)
    api = Program(
        f"api-{number}",
        [*HOLDFAST, "api"],
        folder / f"api-{number}.log",
        environment,
        healthy(place.url),
        patience_seconds=PATIENCE_SECONDS,
    )
    worker = Program(
        f"worker-{number}",
        [*HOLDFAST, "worker"],
        folder / f"worker-{number}.log",
        environment,
        patience_seconds=PATIENCE_SECONDS,
    )
    return _Pair(place.url, api, worker)


def has_sandbox(url: str) -> Answers:
    async def has_one() -> bool:
        try:
            async with httpx.AsyncClient() as http:
                return str((await http.get(f"{url}/health")).json()["sandbox"]).startswith("ok")
        except httpx.TransportError:
            return False

    return has_one


def healthy(url: str) -> Answers:
    async def is_healthy() -> bool:
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"{url}/health")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    return is_healthy


def _answering(valkey: ValkeyServer) -> Answers:
    async def answers() -> bool:
        return await asyncio.to_thread(valkey.answers)

    return answers
