"""Citations in the text of an answer: whatever the model writes, and however its text is cut into pieces."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.answers import Answer, AnswerDelta, storable
from models.citations import MAX_QUOTE_LENGTH, MAX_SHOWN_FILENAME, Sources, marker, sources_of, without_markers
from models.cited_text import MAX_QUOTED_CHARACTERS, CitedText
from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.messages import FileCitation, Text
from models.tool_calls import (
    SearchHit,
    SearchHits,
    SubmittedOutput,
    ToolCall,
    ToolKind,
    WebPassage,
    WebPassages,
    WebSource,
)

A = SearchHit("file-a", "a.pdf", 0.9, "Passage of a.", page=3)
B = SearchHit("file-b", "b.md", 0.8, "Passage of b.")
C = SearchHit("file-c", "c.md", 0.7, "Passage of c.")
SOURCES: Sources = {(0, 0): A, (0, 1): B, (2, 50): C}
CITED_A, CITED_B, CITED_C = "【0:0†a.pdf】", "【0:1†b.md】", "【2:50†c.md】"
FINISH = Finish(FinishReason.STOP, TokenUsage())
SMILE = "\N{GRINNING FACE}"


def cited(*deltas: ModelDelta, sources: Sources = SOURCES) -> list[AnswerDelta]:
    text = CitedText(sources)
    return [each for delta in deltas for each in text.cite(delta)]


def answer_of(*pieces: str, sources: Sources = SOURCES) -> Answer:
    """The answer of these pieces. Its citations are where their indices say."""
    answer = Answer()
    for delta in cited(*map(TextDelta, pieces), FINISH, sources=sources):
        answer.add(delta)
    for each in answer.annotations:
        assert answer.text[each.start_index : each.end_index] == each.text
    return answer


def citations(answer: Answer) -> list[FileCitation]:
    return [each for each in answer.annotations if isinstance(each, FileCitation)]


def files(answer: Answer) -> list[str]:
    return [each.file_citation.file_id.removeprefix("file-") for each in file_citations(answer)]


def file_citations(answer: Answer) -> list[FileCitation]:
    return [each for each in answer.annotations if isinstance(each, FileCitation)]


VARIANTS = [
    # Canonical, alone, at the beginning and at the end, and in a row.
    (CITED_A, CITED_A, "a"),
    (f"{CITED_A} is first", f"{CITED_A} is first", "a"),
    (f"So it is{CITED_A}", f"So it is{CITED_A}", "a"),
    (f"So{CITED_A}{CITED_B}{CITED_A}.", f"So{CITED_A}{CITED_B}{CITED_A}.", "aba"),
    (f"Later{CITED_C}.", f"Later{CITED_C}.", "c"),
    # In other forms.
    ("So【0:0】.", f"So{CITED_A}.", "a"),
    ("So【0:0†source】.", f"So{CITED_A}.", "a"),
    ("So【 0:0 † a.pdf 】.", f"So{CITED_A}.", "a"),
    ("So【0:0†a.pdf†L1-L9】.", f"So{CITED_A}.", "a"),
    ("So【0:0†a.pdf (page 3)】.", f"So{CITED_A}.", "a"),
    ("So【0:0†report[1].pdf】.", f"So{CITED_A}.", "a"),
    ("So 【0\uff1a0†a.pdf】.", f"So {CITED_A}.", "a"),
    ("So [0:0†a.pdf].", f"So {CITED_A}.", "a"),
    ("So [0:0].", f"So {CITED_A}.", "a"),
    ("So [0:0][0:1].", f"So {CITED_A}{CITED_B}.", "ab"),
    ("So [0:0|a.pdf].", f"So {CITED_A}.", "a"),
    ("So 〖0:0†a.pdf〗.", f"So {CITED_A}.", "a"),
    ("So \uff3b0:0†a.pdf\uff3d.", f"So {CITED_A}.", "a"),
    ("So (0:0†a.pdf).", f"So {CITED_A}.", "a"),
    ("So\uff080:0‡source\uff09.", f"So{CITED_A}.", "a"),
    ("So (0:0†a.pdf; 0:1†b.md).", f"So {CITED_A}{CITED_B}.", "ab"),
    ("So (0:0†report (1).pdf).", f"So {CITED_A}.", "a"),
    ("So (0:0†(a) b.pdf; 0:1†b.md).", f"So {CITED_A}{CITED_B}.", "ab"),
    ("So\uff080:0†a\uff081\uff09.pdf\uff09.", f"So{CITED_A}.", "a"),
    ("So (0:0†) (0:1† ).", f"So {CITED_A} {CITED_B}.", "ab"),
    ("So (【0:0†a.pdf】).", f"So ({CITED_A}).", "a"),
    ("So【0:0†a.pdf, 0:1†b.md】.", f"So{CITED_A}{CITED_B}.", "ab"),
    ("So【0:0, 0:1; 2:50】.", f"So{CITED_A}{CITED_B}{CITED_C}.", "abc"),
    ("So【0:0†a.pdf, 9:9†x.md】.", f"So{CITED_A}.", "a"),
    ("So [[0:0]].", f"So [{CITED_A}].", "a"),
    # Invented.
    ("So【9:9†x.md】.", "So.", ""),
    ("【9:9】", "", ""),
    (f"So【0:2†b.md】{CITED_B}.", f"So{CITED_B}.", "b"),
    ("So【3†source】.", "So.", ""),
    ("So [9:9†x.md].", "So .", ""),
    ("So【999999:999999†x】.", "So.", ""),
    ("So (9:9†x.md).", "So .", ""),
    # No markers.
    ("See [3:16] and [1], [0:0 not], x[0:1], f()[0:0].", "See [3:16] and [1], [0:0 not], x[0:1], f()[0:0].", ""),
    ("They won (0:1), 0:0 (0:0, away) (1†), f(0:0).", "They won (0:1), 0:0 (0:0, away) (1†), f(0:0).", ""),
    ("John (3:16†), (3:17† ) and f(0:0†).", "John (3:16†), (3:17† ) and f(0:0†).", ""),
    ("See (0:0†a ((1)).pdf) and (0:0†a (b) (c)).", "See (0:0†a ((1)).pdf) and (0:0†a (b) (c)).", ""),
    ("See (0:0†a (1).pdf", "See (0:0†a (1).pdf", ""),
    ("【重要】【2024】【 】【】", "【重要】【2024】【 】【】", ""),
    ("【0:0†a\n.pdf】", "【0:0†a\n.pdf】", ""),
    ("【0:0†a【0:1†b.md】】", f"【0:0†a{CITED_B}】", "b"),
    ("【9999999:0†a.pdf】", "【9999999:0†a.pdf】", ""),
    (f"【0:0†{'a' * 300}】", f"【0:0†{'a' * 300}】", ""),
    ("So【0:0†a.pd", "So【0:0†a.pd", ""),
    ("So【0:0†a.pdf]", "So【0:0†a.pdf]", ""),
    (f"So【0:0†a{CITED_B}", f"So【0:0†a{CITED_B}", "b"),
    # In code.
    (f"```\n{CITED_A}[9:9†x]\n```\n{CITED_B}", f"```\n{CITED_A}[9:9†x]\n```\n{CITED_B}", "b"),
    (f"- ```py\n  a[0:0] 【9:9†x】\n  ```\n- {CITED_A}", f"- ```py\n  a[0:0] 【9:9†x】\n  ```\n- {CITED_A}", "a"),
    (f"> ~~~\n> {CITED_A}\n> ~~~\n{CITED_B}", f"> ~~~\n> {CITED_A}\n> ~~~\n{CITED_B}", "b"),
    (f"````\n```\n{CITED_A}\n````\n{CITED_B}", f"````\n```\n{CITED_A}\n````\n{CITED_B}", "b"),
    (f"```\na ``` {CITED_A}\n```\n{CITED_B}", f"```\na ``` {CITED_A}\n```\n{CITED_B}", "b"),
    (f"~~~\n```\n~~~\n{CITED_A}", f"~~~\n```\n~~~\n{CITED_A}", "a"),
    (f"```\n{CITED_A}", f"```\n{CITED_A}", ""),
    (f"```{CITED_A}``` {CITED_B}", f"```{CITED_A}``` {CITED_B}", "b"),
    (f"`[0:0] {CITED_A}` [0:1]", f"`[0:0] {CITED_A}` {CITED_B}", "b"),
    (f"``a ` {CITED_A}`` {CITED_B}", f"``a ` {CITED_A}`` {CITED_B}", "b"),
    (f"One ` alone\n{CITED_A}", f"One ` alone\n{CITED_A}", "a"),
    (f"~~no~~ code ~ {CITED_A}", f"~~no~~ code ~ {CITED_A}", "a"),
    # Indices count characters, as Python does.
    (f"{SMILE}{SMILE} So {CITED_A}{SMILE}{CITED_B}", f"{SMILE}{SMILE} So {CITED_A}{SMILE}{CITED_B}", "ab"),
    (f"\ud83d\ude00{CITED_A}\ud83d{CITED_B}\ude00", f"{SMILE}{CITED_A}\ufffd{CITED_B}\ufffd", "ab"),
    (f"\0{CITED_A}\0", f"\ufffd{CITED_A}\ufffd", "a"),
]


@pytest.mark.parametrize(("written", "text", "cites"), VARIANTS)
def test_citations_at_every_border(written: str, text: str, cites: str) -> None:
    cuts = [(written,), tuple(written)] + [(written[:at], written[at:]) for at in range(1, len(written))]
    answers = [answer_of(*pieces) for pieces in cuts]

    assert {answer.text for answer in answers} == {text}
    assert {"".join(files(answer)) for answer in answers} == {cites}
    assert all(answer.annotations == answers[0].annotations for answer in answers)


FRAGMENTS = st.sampled_from(
    [CITED_A, "【0:1", "】", "[", "0:0", "†", "]", "(", ")", "`", "```", "~~~", "\n", "a ", ",", "\ud83d", "\ude00"]
)
TEXTS = st.lists(FRAGMENTS | st.text("【[0:†]】`\n ", max_size=4), max_size=12).map("".join)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8))
def test_pieces_do_not_matter(text: str, cuts: Sequence[int]) -> None:
    borders = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[begin:end] for begin, end in pairwise(borders)]

    answer, whole = answer_of(*pieces), answer_of(text)

    assert (answer.text, answer.annotations) == (whole.text, whole.annotations)


@given(TEXTS.filter(lambda text: "†" not in text and "【" not in text and "0:0" not in text))
def test_text_without_markers_stays(text: str) -> None:
    assert answer_of(*text).text == storable(text)


def test_marker_and_citation_are_one_delta() -> None:
    deltas = cited(*map(TextDelta, f"So {CITED_A}."))

    assert deltas[:3] == [TextDelta("S"), TextDelta("o"), TextDelta(" ")]
    assert deltas[4:] == [TextDelta(".")]
    assert isinstance(deltas[3], FileCitation)
    assert deltas[3].model_dump(mode="json") == {
        "type": "file_citation",
        "text": CITED_A,
        "start_index": 3,
        "end_index": 14,
        "file_citation": {"file_id": "file-a", "quote": "Passage of a.", "page": 3},
    }


def test_page_is_absent_if_the_format_has_none() -> None:
    [citation] = answer_of(CITED_B).annotations

    assert citation.model_dump(mode="json")["file_citation"] == {"file_id": "file-b", "quote": "Passage of b."}


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["【", "重", "要】"], ["", "【重", "要】"]),
        (["【0", ":", "0", "x"], ["", "", "", "【0:0x"]),
        (["[1", "]"], ["", "[1]"]),
        (["(0:0", ")"], ["", "(0:0)"]),
        (["【0:0†", "a" * 250, "a" * 7, "b"], ["", "", f"【0:0†{'a' * 257}", "b"]),
    ],
)
def test_text_that_cannot_become_a_marker_is_said_at_once(pieces: Sequence[str], said: Sequence[str]) -> None:
    text = CitedText(SOURCES)

    deltas = [text.cite(TextDelta(piece)) for piece in pieces]

    assert ["".join(each.text for each in some if isinstance(each, TextDelta)) for some in deltas] == said


@pytest.mark.parametrize("other", [RefusalDelta(CITED_B), CallDelta(0, "weather"), FINISH])
def test_text_that_is_held_back_precedes_what_is_not_text(other: ModelDelta) -> None:
    assert cited(TextDelta("So 【0:0"), other) == [TextDelta("So "), TextDelta("【0:0"), other]


def test_answer_without_results_cites_nothing() -> None:
    assert answer_of(f"So{CITED_A}.", sources={}).text == "So."


def test_quote_is_bounded() -> None:
    long = SearchHit("file-l", "l.md", 0.5, "x" * 10_000)
    times = MAX_QUOTED_CHARACTERS // MAX_QUOTE_LENGTH + 2
    quotes = [each.file_citation.quote for each in file_citations(answer_of("【0:0】" * times, sources={(0, 0): long}))]

    assert len(quotes) == times
    assert quotes[0] == "x" * MAX_QUOTE_LENGTH
    assert sum(map(len, quotes)) == MAX_QUOTED_CHARACTERS
    assert quotes[-1] == ""


@pytest.mark.parametrize("filename", ["】【†a", 'a"\\\x07b', "n" * 1_000, "a[1].pdf", "", "x, 0:1†b"])
def test_every_marker_that_the_model_is_shown_is_read(filename: str) -> None:
    hit = SearchHit("file-x", filename, 0.5, "Text.")
    shown = marker(0, 0, filename)

    answer = answer_of(json.loads(f'"{shown}"'), sources={(0, 0): hit})

    assert (answer.text, files(answer)) == (shown, ["x"])
    assert len(shown) <= MAX_SHOWN_FILENAME + len("【0:0†】")


def test_sources_are_the_results_of_all_calls_of_the_run() -> None:
    calls = [
        ToolCall("1", ToolKind.FILE_SEARCH, "file_search", "{}", 0, 0, result=SearchHits((A, B))),
        ToolCall("2", ToolKind.FUNCTION, "f", "{}", 1, 0, result=SubmittedOutput("Text.")),
        ToolCall("3", ToolKind.FILE_SEARCH, "file_search", "{}", 2, 1, result=SearchHits((C,))),
        ToolCall("4", ToolKind.FILE_SEARCH, "file_search", "{}", 3, 0),
    ]

    assert sources_of(calls) == SOURCES


def test_markers_are_removed_where_citations_are() -> None:
    answer = answer_of(f"`{CITED_A}`{SMILE}{CITED_A} and{CITED_B}.")

    assert without_markers(Text(value=answer.text, annotations=[*answer.annotations])) == f"`{CITED_A}`{SMILE} and."


def test_page_is_cited_by_its_url() -> None:
    page = WebPassage("https://docs.example/leave?a=1", "Leave", "Some text.", WebSource.LINK)
    call = ToolCall("call_a", ToolKind.WEB_RETRIEVAL, "web_retrieval", "{}", 1, 2, result=WebPassages((page,)))

    answer = answer_of("So [1:1", "00] and 【0:0】.", sources={**SOURCES, **sources_of([call])})

    label = "【1:100†docs.example】"
    assert answer.text == f"So {label} and {CITED_A}."
    of_page, of_file = answer.annotations
    assert of_page.model_dump() == {
        "type": "url_citation",
        "text": label,
        "start_index": 3,
        "end_index": 3 + len(label),
        "url_citation": {"url": "https://docs.example/leave?a=1", "title": "Leave"},
    }
    assert of_file.type == "file_citation"
    assert without_markers(Text(value=answer.text, annotations=list(answer.annotations))) == "So  and ."
