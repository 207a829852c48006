from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from models.tools import ResponseFormat, Tool, ToolChoice

TOOL: TypeAdapter[Any] = TypeAdapter(Tool)
TOOL_CHOICE: TypeAdapter[Any] = TypeAdapter(ToolChoice)
RESPONSE_FORMAT: TypeAdapter[Any] = TypeAdapter(ResponseFormat)
RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}


def normalised(adapter: TypeAdapter[Any], value: Any) -> Any:
    return adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)


@pytest.mark.parametrize(
    ("sent", "normal"),
    [
        (
            {"type": "function", "function": {"name": "f"}},
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False},
            },
        ),
        ({"type": "code_interpreter"}, {"type": "code_interpreter"}),
        ({"type": "file_search"}, {"type": "file_search", "file_search": {"ranking_options": RANKING}}),
        (
            {"type": "file_search", "file_search": {"max_num_results": 5}},
            {"type": "file_search", "file_search": {"max_num_results": 5, "ranking_options": RANKING}},
        ),
        ({"type": "web_retrieval"}, {"type": "web_retrieval"}),
        (
            {"type": "web_retrieval", "web_retrieval": {"allowed_domains": ["Docs.Example"], "max_num_results": 3}},
            {"type": "web_retrieval", "web_retrieval": {"allowed_domains": ["docs.example"], "max_num_results": 3}},
        ),
    ],
)
def test_tools_are_completed_with_openais_defaults(sent: dict[str, Any], normal: dict[str, Any]) -> None:
    assert normalised(TOOL, sent) == normal
    assert normalised(TOOL, normal) == normal


def test_named_server_tool_may_have_the_null_function_of_the_sdks_object() -> None:
    assert normalised(TOOL_CHOICE, {"type": "file_search", "function": None}) == {"type": "file_search"}


@pytest.mark.parametrize(
    "choice",
    [
        "none",
        "auto",
        "required",
        {"type": "function", "function": {"name": "f"}},
        {"type": "file_search"},
        {"type": "web_retrieval"},
    ],
)
def test_tool_choice_is_mode_or_names_tool(choice: Any) -> None:
    assert normalised(TOOL_CHOICE, choice) == choice


@pytest.mark.parametrize(
    "form",
    [
        "auto",
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "answer"}},
        {
            "type": "json_schema",
            "json_schema": {"name": "a", "description": "b", "schema": {"x": None}, "strict": True},
        },
    ],
)
def test_response_format_is_returned_as_sent(form: Any) -> None:
    assert normalised(RESPONSE_FORMAT, form) == form


@pytest.mark.parametrize("value", [None, 1, [], True])
def test_tool_choice_error_names_modes_and_object(value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        TOOL_CHOICE.validate_python(value)

    [error] = refused.value.errors()
    assert (error["type"], error["ctx"]) == ("not_one_of", {"expected": "'none', 'auto', or 'required' or object"})
