"""Tool calls: one kind of object, whether the client answers them (functions) or the server does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from models.tools import FileSearchOptions, WebRetrievalOptions

MAX_CALLS = 128
"""Calls in one answer of the model, functions included: as many as OpenAI lets an assistant have tools. A model that
writes more repeats itself, and each call is a row, events of the stream, and work of the client."""

MAX_RUN_CALLS = 32
"""Server calls beyond these in one answer of the model are not run. Temporal lets a workflow have 2,000 activities."""

TOO_MANY_CALLS = f"Only the first {MAX_RUN_CALLS} calls of one answer are run: this one was not."


class ToolKind(StrEnum):
    FUNCTION = "function"
    FILE_SEARCH = "file_search"
    WEB_RETRIEVAL = "web_retrieval"
    CODE_INTERPRETER = "code_interpreter"
    UNKNOWN_FUNCTION = "unknown_function"
    """A call of a function that the run does not have. Clients see it as an answered function call."""

    @property
    def is_run_by_server(self) -> bool:
        return self is not ToolKind.FUNCTION


@dataclass(frozen=True)
class SubmittedOutput:
    """The output that a client submitted for a function call."""

    text: str


@dataclass(frozen=True)
class SearchHit:
    """A chunk that a file search found. `page` is where it begins, if the format has pages."""

    file_id: str
    filename: str
    score: float
    text: str
    page: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchHits:
    """The hits of a file search, best first. `notes` tell the model what could not be searched."""

    hits: tuple[SearchHit, ...]
    notes: tuple[str, ...] = ()
    type: Literal["search_hits"] = "search_hits"


class WebSource(StrEnum):
    """Where a passage comes from: a link of a search, which is not read, a page that was opened, or the collection."""

    LINK = "link"
    PAGE = "page"
    COLLECTION = "collection"


@dataclass(frozen=True)
class WebPassage:
    """A piece of a page. `depth` is how many links led to it from a root of its crawl; `score` is of the collection."""

    url: str
    title: str
    text: str
    source: WebSource
    depth: int = 0
    score: float | None = None


@dataclass(frozen=True)
class WebPassages:
    """What a web retrieval found. `notes` tell the model what did not work, and how to go on."""

    passages: tuple[WebPassage, ...]
    notes: tuple[str, ...] = ()
    type: Literal["web_passages"] = "web_passages"


@dataclass(frozen=True)
class CodeRun:
    """What code wrote, and the files of the images that it showed, in their order."""

    logs: str
    image_ids: tuple[str, ...] = ()
    type: Literal["code_run"] = "code_run"


@dataclass(frozen=True)
class CodeCell:
    """A call's code in the sandbox, once it may have begun to run: such code is never run again.

    `generation` is that of the session that it began in. `preface` is what its logs begin with, `logs` their beginning
    as streams have shown it, `shown` the number of the event and the length of each piece that was shown.
    """

    generation: int
    preface: str = ""
    logs: str = ""
    shown: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ToolFailure:
    """The call failed for good. The model reads the message, and the run continues."""

    message: str
    type: Literal["tool_failure"] = "tool_failure"


ServerResult = SearchHits | WebPassages | CodeRun | ToolFailure
ToolResult = SubmittedOutput | ServerResult
ToolOptions = FileSearchOptions | WebRetrievalOptions
"""The settings of a server tool in the run's `tools`."""

SERVER_RESULTS: TypeAdapter[ServerResult] = TypeAdapter(Annotated[ServerResult, Field(discriminator="type")])
"""The stored form of results."""

CELLS: TypeAdapter[CodeCell] = TypeAdapter(CodeCell)
"""The stored form of cells."""


@dataclass(frozen=True)
class ToolCall:
    """A call in an answer of the model.

    `name` is that of the function which the model called, `position` its place in the answer. A call without `result`
    is unanswered. `result_event` is the number of the first event of the result; only server calls have one. Only calls
    of the code interpreter have a `cell`.
    """

    id: str
    kind: ToolKind
    name: str
    arguments: str
    turn: int
    position: int
    options: ToolOptions | None = None
    result: ToolResult | None = None
    result_event: int | None = None
    cell: CodeCell | None = None

    @property
    def is_answered(self) -> bool:
        return self.result is not None
