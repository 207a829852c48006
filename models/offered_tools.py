"""The tools of a run as functions that the model may call."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from models.language_model import Function
from models.tool_calls import ToolCall, ToolKind, ToolOptions
from models.tool_formats import code_interpreter, file_search, web_retrieval
from models.tools import CodeInterpreterTool, FileSearchTool, FunctionTool, Tool, WebRetrievalTool

WRAPPER = re.compile(r"^(?:functions?|tools?|default_api|api|assistant)[.:/]\s*")
"""The namespaces in which models were trained to write the names of functions."""


@dataclass(frozen=True)
class OfferedTool:
    function: Function
    options: ToolOptions | None = None


@dataclass(frozen=True)
class OfferedTools:
    """The run's tools by the names that the model calls. A function of the user always keeps its name."""

    tools: Sequence[OfferedTool]
    by_name: Mapping[str, OfferedTool]

    @classmethod
    def of(cls, tools: Iterable[Tool]) -> "OfferedTools":
        given = list(_without_repeats(tools))
        taken = {tool.function.name for tool in given if isinstance(tool, FunctionTool)}
        offered = [_offered(tool, taken) for tool in given]
        return cls(offered, {each.function.name: each for each in offered})

    @property
    def functions(self) -> tuple[Function, ...]:
        return tuple(each.function for each in self.tools)

    def with_collection(self, description: str) -> "OfferedTools":
        """The same tools; web retrieval is offered with `description`, of the project's collected pages."""

        def described(each: OfferedTool) -> OfferedTool:
            is_web = each.function.kind is ToolKind.WEB_RETRIEVAL
            return replace(each, function=web_retrieval.offered(each.function.name, description)) if is_web else each

        tools = [described(each) for each in self.tools]
        return OfferedTools(tools, {each.function.name: each for each in tools})

    def name_of(self, kind: str) -> str | None:
        """The name of a server tool of a `ToolKind`; None if the run does not have it."""
        return next((each.function.name for each in self.tools if each.function.kind == kind), None)

    def call(self, call_id: str, name: str, arguments: str, turn: int, position: int) -> ToolCall:
        """A call by the model, which may write a known wrapper around the name: `functions.get_weather`."""
        found = self.by_name.get(name) or self.by_name.get(WRAPPER.sub("", name.strip()))
        if found is None:
            return ToolCall(call_id, ToolKind.UNKNOWN_FUNCTION, name, arguments, turn, position)
        function = found.function
        return ToolCall(call_id, function.kind, function.name, arguments, turn, position, found.options)


def _without_repeats(tools: Iterable[Tool]) -> Iterator[Tool]:
    """Of a server tool that is given twice, the first counts."""
    seen = set[str]()
    for tool in tools:
        if isinstance(tool, FunctionTool) or tool.type not in seen:
            seen.add(tool.type)
            yield tool


def _offered(tool: Tool, taken: set[str]) -> OfferedTool:
    match tool:
        case FunctionTool(function=given):
            return OfferedTool(Function(given.name, given.description, given.parameters, given.strict or None))
        case FileSearchTool():
            return OfferedTool(file_search.offered(_free_name(ToolKind.FILE_SEARCH, taken)), tool.file_search)
        case WebRetrievalTool():
            function = web_retrieval.offered(_free_name(ToolKind.WEB_RETRIEVAL, taken))
            return OfferedTool(function, tool.web_retrieval)
        case CodeInterpreterTool():
            return OfferedTool(code_interpreter.offered(_free_name(code_interpreter.FUNCTION_NAME, taken)))


def _free_name(wanted: str, taken: set[str]) -> str:
    return next(name for name in _names(wanted) if name not in taken)


def _names(wanted: str) -> Iterable[str]:
    yield wanted
    yield from (f"{wanted}_{number}" for number in count(2))
