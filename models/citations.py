"""The numbers and markers by which an answer of a run cites what its file searches and web retrievals found.

A result is numbered `turn:result`: by the turn that called the search, and by its place among the results of that turn.
The numbers follow from the stored calls alone: parallel calls need not know of each other, and a later turn, a retry or
a replay finds the same ones.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from models.messages import (
    Annotation,
    Citation,
    FileCitation,
    FileCitationSource,
    Text,
    UrlCitation,
    UrlCitationSource,
)
from models.tool_calls import SearchHit, SearchHits, ToolCall, WebPassage, WebPassages

RESULTS_PER_CALL = 50
"""The largest `max_num_results`."""

MAX_SHOWN_FILENAME = 200
MAX_QUOTE_LENGTH = 2_000
"""In characters. Passages of the default size are longer: a quote is their beginning."""

Number = tuple[int, int]
"""Turn and result."""

Source = SearchHit | WebPassage
Sources = Mapping[Number, Source]
"""The results that an answer may cite."""

# The last two would break an answer that is JSON.
_UNUSABLE = re.compile(r"[\s\x00-\x1f\x7f【】†‡\"\\]+")


def result_number(position: int, index: int) -> int:
    """The number, within its turn, of a result. `position` is the call's place in its answer, `index` from 0."""
    return position * RESULTS_PER_CALL + index


def marker(turn: int, result: int, label: str) -> str:
    """The form of OpenAI's markers, on one line and with no other bracket in it. `label` is the name of the source."""
    return f"【{turn}:{result}†{_UNUSABLE.sub(' ', label).strip()[:MAX_SHOWN_FILENAME]}】"


def label_of(source: Source) -> str:
    """A file's name, or a page's host: titles are longer than what a model repeats exactly."""
    return source.filename if isinstance(source, SearchHit) else urlsplit(source.url).hostname or "web"


def sources_of(calls: Iterable[ToolCall]) -> Sources:
    """The results of answered calls by their numbers."""
    return {
        (call.turn, result_number(call.position, index)): source
        for call in calls
        for index, source in enumerate(_found(call))
    }


def _found(call: ToolCall) -> Sequence[Source]:
    match call.result:
        case SearchHits(hits):
            return hits
        case WebPassages(passages=passages):
            return passages
    return ()


def citation(number: Number, cited: Source, start: int, longest_quote: int = MAX_QUOTE_LENGTH) -> Citation:
    """The annotation of a marker that begins at character `start`. Its `text` is the marker."""
    text = marker(*number, label_of(cited))
    if isinstance(cited, WebPassage):
        page = UrlCitationSource(url=cited.url, title=cited.title)
        return UrlCitation(
            type="url_citation", text=text, start_index=start, end_index=start + len(text), url_citation=page
        )
    source = FileCitationSource(file_id=cited.file_id, quote=cited.text.strip()[:longest_quote], page=cited.page)
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


def _citations(annotations: Iterable[Annotation]) -> list[Citation]:
    return [each for each in annotations if isinstance(each, Citation)]
