"""The form of file searches: what the model asks and reads, and what clients see of it.

`output_for_model` shows each hit after its marker (`models/citations.py`), and the model repeats the markers of what it
used. `models/cited_text.py` finds them in the answer.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.answers import storable
from models.citations import marker, result_number
from models.events import Event, call_delta
from models.language_model import Function
from models.run_steps import FileSearch, FileSearchToolCall, FoundChunk, SearchedText, SearchRanking
from models.tool_calls import SearchHit, SearchHits, ToolCall, ToolFailure, ToolKind
from models.tool_formats.format import ShownWhenClosed
from models.tools import FileSearchOptions

MAX_QUERIES = 5
MAX_QUERY_LENGTH = 4096

DESCRIPTION = (
    "Searches the files that were uploaded for this conversation, and returns passages of them. "
    "Cite each passage you use by its marker, exactly as given: 【…】."
)
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "queries": {
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": MAX_QUERIES,
            "description": "What to search for: complete questions or key words, in the language of the files. "
            "Several queries find different aspects of one question.",
        }
    },
    "required": ["queries"],
    "additionalProperties": False,
}
HOW_TO_CITE = "Cite a passage by its marker, right after the statement that it supports and exactly so: {marker}"
NOTHING_FOUND = "Nothing was found."
INVALID_ARGUMENTS = 'The search was not made: its arguments must be JSON of the form {"queries": ["…"]}.'

_FIRST_PASSAGE = re.compile(
    # A passage of a web page stands between two marks.
    r"^(?P<marker>【\d+:\d+†[^】\n]*】)(?: \(page \d+\))?\n(?:<web_\w+ [^\n]*>\n)?(?P<text>.*?)"
    r"(?:\n</web_\w+>)?\n\n(?:【\d+:\d+†|Cite a passage )",
    re.MULTILINE | re.DOTALL,
)


def offered(name: str) -> Function:
    """The tool as a function for the model."""
    return Function(name, DESCRIPTION, PARAMETERS, kind=ToolKind.FILE_SEARCH)


@dataclass(frozen=True)
class ShownPassage:
    marker: str
    text: str


def first_passage(output: str) -> ShownPassage | None:
    """The first passage in an output for the model; None for an output that has none."""
    found = _FIRST_PASSAGE.search(output)
    return ShownPassage(found["marker"], found["text"]) if found else None


def queries_of(arguments: str) -> Sequence[str] | None:
    """The queries that the model asks; models also write one query alone. None: the arguments have no query."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    asked = given.get("queries", given.get("query")) if isinstance(given, dict) else given
    texts = [asked] if isinstance(asked, str) else asked if isinstance(asked, list) else []
    # JSON can name a half of a character, which nothing can search for.
    whole = [storable(text).strip() for text in texts if isinstance(text, str)]
    queries = [text[:MAX_QUERY_LENGTH] for text in whole if text]
    return list(dict.fromkeys(queries))[:MAX_QUERIES] or None


class FileSearchFormat(ShownWhenClosed):
    """OpenAI's streams have the results in the closed step alone."""

    def step_call(self, call: ToolCall, with_content: bool = False) -> FileSearchToolCall:
        results = [_found(hit, with_content) for hit in _hits(call)]
        return FileSearchToolCall(id=call.id, file_search=FileSearch(ranking_options=_ranking(call), results=results))

    def opened(self, step_id: str, call: ToolCall) -> Event:
        search = {"ranking_options": _ranking(call).model_dump(), "results": []}
        return call_delta(
            step_id, call.position, {"id": call.id, "type": ToolKind.FILE_SEARCH, ToolKind.FILE_SEARCH: search}
        )

    def output_for_model(self, call: ToolCall) -> str:
        match call.result:
            case SearchHits(hits, notes):
                passages = [_passage(call, index, hit) for index, hit in enumerate(hits)]
                how_to_cite = [HOW_TO_CITE.format(marker=_marker(call, 0, hits[0]))] if hits else [NOTHING_FOUND]
                return "\n\n".join([*notes, *passages, *how_to_cite])
            case ToolFailure(message):
                return message
        return ""


def _hits(call: ToolCall) -> Sequence[SearchHit]:
    return call.result.hits if isinstance(call.result, SearchHits) else ()


def _ranking(call: ToolCall) -> SearchRanking:
    options = call.options if isinstance(call.options, FileSearchOptions) else FileSearchOptions()
    ranking = options.ranking_options
    return SearchRanking(ranker=ranking.ranker, score_threshold=ranking.score_threshold)


def _found(hit: SearchHit, with_content: bool) -> FoundChunk:
    return FoundChunk(
        file_id=hit.file_id,
        file_name=hit.filename,
        score=hit.score,
        attributes=dict(hit.attributes),
        content=[SearchedText(text=hit.text)] if with_content else None,
    )


def _passage(call: ToolCall, index: int, hit: SearchHit) -> str:
    page = f" (page {hit.page})" if hit.page is not None else ""
    return f"{_marker(call, index, hit)}{page}\n{hit.text}"


def _marker(call: ToolCall, index: int, hit: SearchHit) -> str:
    return marker(call.turn, result_number(call.position, index), hit.filename)
