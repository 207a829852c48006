from collections.abc import Sequence

import pytest

from models.offered_tools import OfferedTools
from models.tool_calls import ToolKind
from models.tools import (
    CodeInterpreterTool,
    FileSearchOptions,
    FileSearchTool,
    FunctionDefinition,
    FunctionTool,
    Tool,
)

SEARCH = FileSearchTool(type="file_search")


def function(name: str) -> FunctionTool:
    return FunctionTool(type="function", function=FunctionDefinition(name=name))


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ([], []),
        ([function("a"), SEARCH], ["a", "file_search"]),
        ([SEARCH, function("file_search")], ["file_search_2", "file_search"]),
        (
            [function("file_search"), function("file_search_2"), SEARCH],
            ["file_search", "file_search_2", "file_search_3"],
        ),
        ([SEARCH, SEARCH], ["file_search"]),
        ([function("a"), function("a")], ["a", "a"]),
        ([CodeInterpreterTool(type="code_interpreter")], ["python"]),
    ],
)
def test_server_tool_takes_a_free_name(tools: Sequence[Tool], names: list[str]) -> None:
    assert [offered.name for offered in OfferedTools.of(tools).functions] == names


def test_call_has_the_kind_and_the_options_of_its_tool() -> None:
    options = FileSearchOptions(max_num_results=3)
    offered = OfferedTools.of([function("file_search"), FileSearchTool(type="file_search", file_search=options)])

    by_user, by_server, unknown = (
        offered.call("call_a", name, "{}", 2, 5) for name in ("file_search", "file_search_2", "other")
    )

    assert [call.kind for call in (by_user, by_server, unknown)] == [
        ToolKind.FUNCTION,
        ToolKind.FILE_SEARCH,
        ToolKind.UNKNOWN_FUNCTION,
    ]
    assert (by_user.options, by_server.options, unknown.options) == (None, options, None)
    assert (by_server.turn, by_server.position, by_server.is_answered) == (2, 5, False)


@pytest.mark.parametrize(
    "written", ["functions.weather", "function.weather", "tools.weather", "default_api.weather", " weather\n"]
)
def test_known_wrapper_around_a_name_is_removed(written: str) -> None:
    call = OfferedTools.of([function("weather"), SEARCH]).call("call_a", written, "{}", 0, 0)

    assert (call.kind, call.name) == (ToolKind.FUNCTION, "weather")


def test_server_tool_may_be_wrapped_as_well() -> None:
    call = OfferedTools.of([SEARCH]).call("call_a", "functions.file_search", "{}", 0, 0)

    assert (call.kind, call.name) == (ToolKind.FILE_SEARCH, "file_search")


@pytest.mark.parametrize("written", ["functions.", "functions.other", "the weather", "weather.now", "x.weather", "."])
def test_other_names_are_unknown(written: str) -> None:
    call = OfferedTools.of([function("weather")]).call("call_a", written, "{}", 0, 0)

    assert (call.kind, call.name) == (ToolKind.UNKNOWN_FUNCTION, written)


def test_first_of_two_equal_server_tools_counts() -> None:
    first = FileSearchTool(type="file_search", file_search=FileSearchOptions(max_num_results=1))

    call = OfferedTools.of([first, SEARCH]).call("call_a", "file_search", "{}", 0, 0)

    assert call.options == first.file_search


def test_name_of_a_kind_is_known_only_if_it_is_offered() -> None:
    assert OfferedTools.of([function("a")]).name_of(ToolKind.FILE_SEARCH) is None
    assert OfferedTools.of([function("file_search"), SEARCH]).name_of(ToolKind.FILE_SEARCH) == "file_search_2"
