import json
from dataclasses import replace

import pytest

from models.citations import marker
from models.tool_calls import SearchHit, SearchHits, ServerResult, ToolCall, ToolFailure, ToolKind
from models.tool_formats.file_search import (
    MAX_QUERIES,
    MAX_QUERY_LENGTH,
    FileSearchFormat,
    ShownPassage,
    first_passage,
    queries_of,
)

FORMAT = FileSearchFormat()
HIT = SearchHit("file-1", "a.pdf", 0.75, "Some text.", page=3, attributes={"year": 2026})


def call(result: ServerResult | None = None, position: int = 0) -> ToolCall:
    return ToolCall("call_a", ToolKind.FILE_SEARCH, "file_search", "{}", 4, position, result=result)


@pytest.mark.parametrize(
    ("arguments", "queries"),
    [
        ({"queries": ["a", "b"]}, ["a", "b"]),
        ({"queries": [" a ", "a", "", 1, "b"]}, ["a", "b"]),
        ({"queries": "a"}, ["a"]),
        ({"query": "a"}, ["a"]),
        ("a", ["a"]),
        (["a"], ["a"]),
        ({"queries": ["x" * 5_000]}, ["x" * MAX_QUERY_LENGTH]),
        ({"queries": [f"{number}" for number in range(9)]}, [f"{number}" for number in range(MAX_QUERIES)]),
        # A half of an emoji, and null: JSON can name both, and no index or embedding takes them.
        ({"queries": ["a \ud83d", "b\0"]}, ["a \ufffd", "b\ufffd"]),
        ({"queries": []}, None),
        ({"queries": [1]}, None),
        ({"q": "a"}, None),
        ({}, None),
        (None, None),
        (1, None),
    ],
)
def test_queries_are_read_however_the_model_writes_them(arguments: object, queries: list[str] | None) -> None:
    assert queries_of(json.dumps(arguments)) == queries


@pytest.mark.parametrize(
    ("filename", "shown"),
    [
        ("a.pdf", "【1:2†a.pdf】"),
        ("my file.pdf", "【1:2†my file.pdf】"),
        ("a】【9:9†b\n.pdf", "【1:2†a 9:9 b .pdf】"),
    ],
)
def test_marker_has_one_line_and_no_other_bracket(filename: str, shown: str) -> None:
    assert marker(1, 2, filename) == shown


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            SearchHits((HIT, HIT)),
            "【4:0†a.pdf】 (page 3)\nSome text.\n\n【4:1†a.pdf】 (page 3)\nSome text.\n\n"
            "Cite a passage by its marker, right after the statement that it supports and exactly so: 【4:0†a.pdf】",
        ),
        (SearchHits((), ("Note.",)), "Note.\n\nNothing was found."),
        (ToolFailure("No."), "No."),
        (None, ""),
    ],
)
def test_model_reads_numbered_passages(result: ServerResult | None, text: str) -> None:
    assert FORMAT.output_for_model(call(result)) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (SearchHits((HIT, HIT)), "Some text."),
        (SearchHits((HIT,), ("Note.",)), "Some text."),
        (SearchHits((replace(HIT, text="Two\n\nlines.", page=None),)), "Two\n\nlines."),
        (SearchHits((), ("Note.",)), None),
        (ToolFailure("No."), None),
    ],
)
def test_first_passage_of_an_output_is_read(result: ServerResult, text: str | None) -> None:
    found = first_passage(FORMAT.output_for_model(call(result)))

    assert found == (ShownPassage("【4:0†a.pdf】", text) if text else None)


def test_results_of_calls_of_one_turn_have_different_numbers() -> None:
    assert FORMAT.output_for_model(call(SearchHits((HIT,)), position=2)).startswith("【4:100†a.pdf】")


def test_clients_see_content_only_on_request() -> None:
    found = {"file_id": "file-1", "file_name": "a.pdf", "score": 0.75, "attributes": {"year": 2026}}
    ranking = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    shown, with_content = (
        FORMAT.step_call(call(SearchHits((HIT,))), asked).model_dump(mode="json") for asked in (False, True)
    )

    assert shown == {
        "id": "call_a",
        "type": "file_search",
        "file_search": {"ranking_options": ranking, "results": [found]},
    }
    [result] = with_content["file_search"]["results"]
    assert result == found | {"content": [{"type": "text", "text": "Some text."}]}


@pytest.mark.parametrize("result", [None, ToolFailure("No.")])
def test_clients_see_no_results_of_a_call_that_has_none(result: ServerResult | None) -> None:
    assert FORMAT.step_call(call(result)).file_search.results == []
