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
    ("sent", "shown"),
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
    ],
)
def test_tools_are_shown_as_openai_completed_them(sent: dict[str, Any], shown: dict[str, Any]) -> None:
    assert normalised(TOOL, sent) == shown
    assert normalised(TOOL, shown) == shown


@pytest.mark.parametrize(
    "choice", ["none", "auto", "required", {"type": "function", "function": {"name": "f"}}, {"type": "file_search"}]
)
def test_tool_choice_is_a_word_or_names_a_tool(choice: Any) -> None:
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
def test_response_format_comes_back_as_it_was_sent(form: Any) -> None:
    assert normalised(RESPONSE_FORMAT, form) == form


@pytest.mark.parametrize("value", [None, 1, [], True])
def test_union_of_word_and_object_names_both_to_a_stranger(value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        TOOL_CHOICE.validate_python(value)

    [error] = refused.value.errors()
    assert (error["type"], error["ctx"]) == ("not_one_of", {"expected": "'none', 'auto', or 'required' or object"})
