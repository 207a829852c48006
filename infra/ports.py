"""The seams between Holdfast and the systems that it uses. Each port has two or more real implementations here."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection

from models.code_cells import CellOutput, OpenedSession, SandboxFile, SandboxHealth, SandboxSession
from models.events import Event
from models.language_model import ModelDelta, ModelRequest
from models.runs import Run
from models.search_index import Candidates, ChunkKey, IndexedChunk, IndexedFile, IndexedStore, IndexQuery
from models.stored_objects import StoredObject
from models.tool_calls import ServerResult, ToolCall
from models.web_pages import WebLink


class LanguageModel(Protocol):
    """A model that answers in a stream.

    Implementations never retry by themselves (Temporal owns retries) and translate every vendor error into a
    `infra.language_model.errors.ModelCallFailed`.
    """

    async def prepare(self) -> None:
        """Load what the first call needs, so that it need not wait. May take seconds; a second call does nothing."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """Yield the answer piece by piece; the last piece is a `Finish`. Closing the iterator ends the call.

        Raises a subclass of `ModelCallFailed` before or between pieces; a stream that breaks off without its end is
        `ModelStreamBroken`, never a shortened answer.
        """
        ...

    async def context_window_tokens(self, model: str) -> int | None:
        """How many tokens of prompt the model takes, None where that is not known."""
        ...

    async def count_tokens(self, model: str, text: str) -> int:
        """Tokens of `text` for `model`: exact where its tokenizer is at hand, otherwise a close estimate."""
        ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in their order, numbered without a gap from `first` on."""

    first: int
    events: Sequence[Event]

    @classmethod
    def before(cls, following: int, events: Sequence[Event]) -> "EventBatch":
        """Events that end just before number `following`."""
        return cls(following - len(events), events)

    @property
    def following(self) -> int:
        """The number after the last."""
        return self.first + len(self.events)


NO_EVENTS = EventBatch(0, ())


class EventStream(Protocol):
    """The events of runs while they happen, from one writer at a time to any number of readers.

    Events that no commit has numbered carry the fencing token of their attempt; appends with an old token are rejected.
    Events of a commit are numbered by the database and need no token.

    Events are kept for a while, not for good: the database replays those that are gone (`models/event_replay.py`). So a
    stream never fails a run: where its store does not answer, events are left out.
    """

    async def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None = None) -> bool:
        """Add events, numbered from `first` on. False, and none added, where the token is old or a number is taken.

        A stream that writes in the background reports a rejection with the token's next append, if there is one.
        """
        ...

    async def flush(self, run_id: str) -> None:
        """Return once the run's events appended in this process can be read in every process.

        Waits for a second at most, and not at all where the store is known to be away.
        """
        ...

    async def fence(self, run_id: str, fencing_token: int) -> int:
        """Reject appends with smaller tokens from now on. Returns what `following` returns at that moment."""
        ...

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        """Up to `limit` events after number `after`; waits for the first of them, at most as long as `wait`.

        The batch may begin later than asked for, where the events before it are not kept any more or never were.
        """
        ...

    async def following(self, run_id: str) -> int:
        """The number after the last event that was appended; 0 where none is known."""
        ...

    async def announce(self, run_id: str) -> None:
        """Notify all that await the run, in every process, of a change that has no event. Call it after the commit."""
        ...

    def awaiting(self, run_id: str) -> AbstractContextManager[asyncio.Future[None]]:
        """A future that is done once the run pauses, ends or is announced, after the block has begun.

        It pauses or ends with one of `models.events.PAUSES_OR_ENDS`.

        It is done at once where the store does not answer, and may never be done where the store has just failed: wait
        with a time limit, and ask the database.
        """
        ...


class ObjectStore(Protocol):
    """Bytes under keys, streamed in both directions. A key is written once; its bytes never change.

    Rows alone say which objects exist: a reader asks the database first, and the reconciler removes objects without a
    row. Implementations translate every vendor error into `infra.object_store.errors.ObjectStoreUnavailable`.
    """

    async def put(self, key: str, content: AsyncIterable[bytes]) -> int:
        """Store `content` as a whole, or nothing where it raises or is cancelled. Returns its size in bytes.

        It is durable once this returns. No more than some MiB of it are held in memory.
        """
        ...

    def get(self, key: str, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from offset `first` to `last`, both included, or to the end. Raises `ObjectMissing` at once."""
        ...

    async def delete(self, key: str) -> None:
        """Remove the object. Does nothing where there is none."""
        ...

    async def list_page(self, after: str, limit: int) -> Sequence[StoredObject]:
        """Up to `limit` objects whose keys follow `after`, in the order of keys; for the reconciler."""
        ...

    async def check(self) -> None:
        """Return if the store answers and takes writes. Raises `ObjectStoreUnavailable`."""
        ...


class Embedder(Protocol):
    """Turns texts into vectors of unit length. Vectors of different models are never compared.

    Implementations never retry by themselves. None in place of one means that search is by keywords alone.
    """

    @property
    def model(self) -> str:
        """The name that a vector store remembers."""
        ...

    @property
    def dimensions(self) -> int: ...

    async def windows(self, text: str) -> Sequence[str]:
        """`text` cut into pieces that the model sees all of; a short text is one piece."""
        ...

    async def embed(self, texts: Sequence[str], are_queries: bool = False) -> Sequence[Sequence[float]]:
        """One vector for each text, in their order; long texts must be cut into windows before.

        Some models have other vectors for queries than for the texts in which these look.

        Raises `infra.embeddings.errors.EmbeddingFailed`, which knows whether a retry may help.
        """
        ...


class VectorIndex(Protocol):
    """The searchable chunks of vector stores: text, vectors, ids. Attributes and states are in the database alone.

    A vector store has an index of its own for each embedding model; those never mix. Every method raises
    `infra.vector_index.errors.VectorIndexUnavailable` where the index cannot be used.
    """

    async def upsert(self, store: IndexedStore, file: IndexedFile, chunks: Sequence[IndexedChunk]) -> None:
        """Add chunks of a file's generation, durably. Adding the same chunks again changes nothing.

        All of them or some are added where it fails; call it again.
        """
        ...

    async def search(self, store: IndexedStore, query: IndexQuery) -> Candidates:
        """The best chunks by vectors and by keywords, each list with its raw scores, best first.

        Both lists come from one state of the index. Files that the index does not have add nothing. It is unavailable
        where it has no index of the store at all, although files are searched: they were added to another one. A
        query of all files is for a store that has some.
        """
        ...

    async def texts(self, store: IndexedStore, keys: Collection[ChunkKey]) -> Mapping[ChunkKey, IndexedChunk]:
        """Chunks of the store that a search found, without vectors. Those that were removed since are left out."""
        ...

    async def chunks(self, store: IndexedStore, file: IndexedFile, after: int, limit: int) -> Sequence[IndexedChunk]:
        """A page of a file's chunks in their order, without vectors: those that follow number `after`, -1 for all."""
        ...

    async def delete_file(self, store: IndexedStore, file_id: str, keep_generation: int | None = None) -> None:
        """Remove a file's chunks, but for those of one generation and of newer ones."""
        ...

    async def delete_generation(self, store: IndexedStore, file: IndexedFile) -> None:
        """Remove the chunks of one generation of a file."""
        ...

    async def drop(self, store: IndexedStore) -> None:
        """Remove all that the store has under its model. Chunks that are added later must be dropped again."""
        ...

    async def check(self) -> None:
        """Return if the index answers. Raises `infra.vector_index.errors.VectorIndexUnavailable`."""
        ...


class WebSearch(Protocol):
    """A search engine of the web. None in place of one means that the web is not searched."""

    async def search(self, query: str, limit: int, domains: Collection[str] = ()) -> Sequence[WebLink]:
        """Up to `limit` links, best first; with `domains`, of those as far as the engine can be asked for it.

        Raises `infra.web.errors.SearchFailed`, whose text the model reads: repeating it soon does not help.
        """
        ...


async def _show_nothing(_logs: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ToolScope:
    """What a server call may use: its run's, and of its project only.

    `waited`: since it was first tried. `show` shows clients what the result begins with, before there is a result: all
    of it, each time. `attempt` counts the attempts at the call, from 1.
    """

    project_id: str
    run: Run
    waited: timedelta = timedelta()
    show: Callable[[str], Awaitable[None]] = _show_nothing
    attempt: int = 1


AlsoStored = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class ResultWithRows:
    """A result, and the rows that belong to it.

    `store` adds them in the transaction that stores the result; `stored` is called after its commit.
    """

    result: ServerResult
    store: AlsoStored
    stored: Callable[[], Awaitable[None]]


class ServerTool(Protocol):
    """A tool that the server runs: one implementation a kind, in `activities/tools`."""

    async def run(self, call: ToolCall, scope: ToolScope) -> ServerResult | ResultWithRows:
        """The result of the call. It may be run again, but only if the result was not stored.

        Raises `infra.tools.errors.ToolUnavailable` if a retry may help, `ToolFailed` with a message for the model if it
        cannot, and `ToolNotReady` instead of waiting: a worker's slots are for work. It may be cancelled at any time,
        and sends no heartbeats: its caller does.
        """
        ...


class CodeSandbox(Protocol):
    """Runs Python that nobody vouches for, in sessions that keep their variables and files from cell to cell.

    Every method may raise `infra.sandbox.errors.SandboxUnavailable`, which a retry may cure, and all but `health` and
    `close` raise `SandboxRefused` where code cannot be kept in its box. Methods that take a session raise `SessionGone`
    where it is not, or not any more, at its place: after an hour, 30 minutes without a cell, or the end of its process.
    One with a cell that has ended and is not acknowledged lasts two minutes longer.
    No method is repeated by the implementation.
    """

    async def health(self) -> SandboxHealth:
        """What keeps the code in its box, or why it would not. Answers at once; packages may still be installed."""
        ...

    async def place(self) -> str:
        """The address of the sandbox process that a new session is opened at: of several, the one with fewest."""
        ...

    async def open(self, session: SandboxSession) -> OpenedSession:
        """Open the session, or find it open. One of the same id and an older generation ends.

        Raises `SessionGone` where a newer generation is open, or this one has already ended. Raises
        `SandboxUnavailable` while packages are installed, and where as many sessions are open as may be, all in use.
        """
        ...

    async def put_file(
        self, session: SandboxSession, file: SandboxFile, content: AsyncIterable[bytes], alias: str | None = None
    ) -> None:
        """Store a file in the session's folder, whole or not at all; it replaces one of that name.

        `alias` becomes a second name of it (OpenAI's code finds uploads by file id too). It does not count as changed
        by the next cell. Raises `SandboxFileRefused` where `content` does not have the size and hash of `file`, the
        name leads out of the folder, or the folder would become too large.
        """
        ...

    def run(
        self, session: SandboxSession, call_id: str, code: str, time_limit: timedelta
    ) -> AsyncGenerator[CellOutput, None]:
        """Run `code` as the cell `call_id`, and yield its outputs as they come; the last one is a `CellDone`.

        A cell runs once: where `call_id` is known, its outputs come from the first one on, whether it still runs or has
        ended, and `code` is not looked at. Cells of one session run one after another. Closing the iterator ends only
        the reading. The outputs are kept until `acknowledge`, or the end of the session.

        The cell is interrupted after `time_limit`, of which the sandbox's own limit may be less, and killed two seconds
        later. Text beyond the bound is left out between its head and its tail, and a text in its place says so. Code of
        more than 1,048,576 characters is not run; its `CellDone` says so.
        """
        ...

    def image(self, session: SandboxSession, call_id: str, number: int) -> AsyncGenerator[bytes, None]:
        """The PNG of a `CellImage`. Raises `CellUnknown` at once."""
        ...

    def fetch(self, session: SandboxSession, name: str) -> AsyncGenerator[bytes, None]:
        """The bytes that a file of the session has now. Raises `SandboxFileMissing` at once; follows no link."""
        ...

    async def interrupt(self, session: SandboxSession, call_id: str) -> None:
        """End the cell: `KeyboardInterrupt`, and two seconds later by force. Does nothing where it does not run."""
        ...

    async def acknowledge(self, session: SandboxSession, call_id: str) -> None:
        """Forget the outputs of an ended cell. `run` with the same `call_id` raises `CellUnknown` from now on."""
        ...

    async def close(self, session: SandboxSession) -> None:
        """End the session, its processes and its folder. Does nothing where it has ended."""
        ...
