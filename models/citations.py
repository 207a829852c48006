"""The numbers and markers by which an answer of a run cites the results of its file searches.

A result is numbered `turn:result`: by the turn that called the search, and by its place among the results of that turn.
The numbers follow from the stored calls alone: parallel calls need not know of each other, and a later turn, a retry or
a replay finds the same ones.
"""

import re
from collections.abc import Iterable, Mapping

from models.messages import Annotation, FileCitation, FileCitationSource, Text
from models.tool_calls import SearchHit, SearchHits, ToolCall

RESULTS_PER_CALL = 50
"""The largest `max_num_results`."""

MAX_SHOWN_FILENAME = 200
MAX_QUOTE_LENGTH = 2_000
"""In characters. Passages of the default size are longer: a quote is their beginning."""

Number = tuple[int, int]
"""Turn and result."""

Sources = Mapping[Number, SearchHit]
"""The results that an answer may cite."""

# The last two would break an answer that is JSON.
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f【】†‡\"\\]+")


def result_number(position: int, index: int) -> int:
    """The number, within its turn, of a result. `position` is the call's place in its answer, `index` from 0."""
    return position * RESULTS_PER_CALL + index


def marker(turn: int, result: int, filename: str) -> str:
    """The form of OpenAI's markers, on one line and with no other bracket in it."""
    return f"【{turn}:{result}†{_UNUSABLE.sub(' ', filename).strip()[:MAX_SHOWN_FILENAME]}】"


def sources_of(calls: Iterable[ToolCall]) -> Sources:
    """The results of answered calls by their numbers."""
    return {
        (call.turn, result_number(call.position, index)): hit
        for call in calls
        if isinstance(call.result, SearchHits)
        for index, hit in enumerate(call.result.hits)
    }


def citation(number: Number, hit: SearchHit, start: int, longest_quote: int = MAX_QUOTE_LENGTH) -> FileCitation:
    """The annotation of a marker that begins at character `start`. Its `text` is the marker."""
    text = marker(*number, hit.filename)
    source = FileCitationSource(file_id=hit.file_id, quote=hit.text.strip()[:longest_quote], page=hit.page)
    return FileCitation(
        type="file_citation", text=text, start_index=start, end_index=start + len(text), file_citation=source
    )


def without_markers(text: Text) -> str:
    """The text without the markers of its citations."""
    kept, at = [], 0
    for each in _citations(text.annotations):
        kept.append(text.value[at : each.start_index])
        at = each.end_index
    return "".join([*kept, text.value[at:]])


def _citations(annotations: Iterable[Annotation]) -> list[FileCitation]:
    return [each for each in annotations if isinstance(each, FileCitation)]
