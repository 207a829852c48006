"""Links to files of the code interpreter in the text of an answer, however it is cut into pieces."""

import time
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.answers import Answer, AnswerDelta, storable
from models.language_model import Finish, FinishReason, RefusalDelta, TextDelta, TokenUsage
from models.linked_files import LinkedText
from models.messages import FileCitation, FileCitationSource, FilePath, UrlCitation, UrlCitationSource

NAMES = ("a.csv", "a.csv.gz", "out/my plot.png", "Übersicht.xlsx", "b")
FINISH = Finish(FinishReason.STOP, TokenUsage())
LINK = "sandbox:/mnt/data/"
SMILE = "\N{GRINNING FACE}"


def linked(*deltas: AnswerDelta) -> list[AnswerDelta]:
    numbers = count()
    text = LinkedText(NAMES, lambda: f"file-{next(numbers)}")
    return [each for delta in deltas for each in text.link(delta)]


def answer_of(*pieces: str) -> Answer:
    """The answer of these pieces. Its annotations are where their indices say."""
    answer = Answer()
    for delta in linked(*map(TextDelta, pieces), FINISH):
        answer.add(delta)
    for each in answer.annotations:
        assert answer.text[each.start_index : each.end_index] == each.text
    return answer


def links(answer: Answer) -> Sequence[str]:
    return [each.text.removeprefix(LINK) for each in answer.annotations]


TEXTS = [
    (f"[Get it]({LINK}a.csv)", ["a.csv"]),
    (f"See {LINK}a.csv. And {LINK}a.csv.gz!", ["a.csv", "a.csv.gz"]),
    (f"{LINK}a.csv", ["a.csv"]),
    (f"{SMILE}\ud83d\ude00 {LINK}a.csv{SMILE}{LINK}b-", ["a.csv", "b"]),
    (f"({LINK}out/my%20plot.png) ({LINK}out/my plot.png)", ["out/my%20plot.png", "out/my plot.png"]),
    (f"[Ü]({LINK}%C3%9Cbersicht.xlsx) {LINK}Übersicht.xlsx", ["%C3%9Cbersicht.xlsx", "Übersicht.xlsx"]),
    # Other files, and what begins like a link.
    (f"{LINK}c.csv {LINK}a.csvx {LINK}a.csv.zip {LINK}a.cs {LINK}b/c {LINK}b-c {LINK}a.csv_2", []),
    (f"{LINK}{LINK}a.csv {LINK}", ["a.csv"]),
    (f"sandbox:/mnt/dat sandbox: {LINK}a.csv\nsandbox:/mnt/", ["a.csv"]),
    (f"`{LINK}a.csv` and 'sandbox:/mnt/data' \ud83d", ["a.csv"]),
]


@pytest.mark.parametrize(("text", "found"), TEXTS)
def test_links_at_every_border(text: str, found: Sequence[str]) -> None:
    cuts = [(text,), tuple(text), *((text[:at], text[at:]) for at in range(1, len(text)))]
    answers = [answer_of(*pieces) for pieces in cuts]

    assert {answer.text for answer in answers} == {storable(text)}
    assert all(links(answer) == found for answer in answers)


PARTS = st.sampled_from([LINK, "sandbox:", "/mnt/data/", "a", ".csv", ".gz", "b", " ", ")", "%20", SMILE, "\ud83d"])


@given(st.lists(PARTS, max_size=12).map("".join), st.lists(st.integers(0, 120), max_size=6))
def test_pieces_have_the_links_of_the_whole(text: str, places: list[int]) -> None:
    borders = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    pieces = [text[begin:end] for begin, end in pairwise(borders)]

    answer, whole = answer_of(*pieces), answer_of(text)

    assert (answer.text, links(answer)) == (whole.text, links(whole))
    assert answer.text == storable(text)


def test_all_links_to_a_file_have_one_file_id() -> None:
    found = [each for each in linked(TextDelta(f"{LINK}b {LINK}a.csv {LINK}b "), FINISH) if isinstance(each, FilePath)]

    assert [each.file_path.file_id for each in found] == ["file-0", "file-1", "file-0"]


def test_text_that_cannot_be_a_link_is_not_held_back() -> None:
    assert linked(TextDelta("A s")) == [TextDelta("A ")]
    assert linked(TextDelta("A s"), TextDelta("o sandbox:/mnt/data/a.")) == [TextDelta("A "), TextDelta("so ")]
    assert linked(TextDelta(f"{LINK}c")) == [TextDelta(f"{LINK}c")]


MARKER: Any = {"text": "【0:0†c】", "start_index": 2, "end_index": 9}
FILE_CITATION = FileCitation(type="file_citation", file_citation=FileCitationSource(file_id="file-c"), **MARKER)
URL_CITATION = UrlCitation(
    type="url_citation", url_citation=UrlCitationSource(url="https://docs.example", title="Docs"), **MARKER
)


@pytest.mark.parametrize("citation", [FILE_CITATION, URL_CITATION], ids=["file", "url"])
def test_citations_before_a_link_move_it(citation: AnswerDelta) -> None:
    *_, link, _ = linked(TextDelta("So"), citation, TextDelta(f" {LINK}a.csv"), FINISH)

    assert isinstance(link, FilePath)
    assert link.start_index == len("So【0:0†c】 ")


def test_refusal_ends_a_link() -> None:
    deltas = linked(TextDelta(f"{LINK}a.c"), RefusalDelta("No."), TextDelta("sv"))

    assert deltas == [TextDelta(f"{LINK}a.c"), RefusalDelta("No."), TextDelta("sv")]


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_long_text_takes_time_in_proportion(size: int) -> None:
    numbers, text = count(), f"{LINK}name" * 3_000
    names = [f"name{number}/{'x' * 200}" for number in range(300)]
    reader = LinkedText(names, lambda: f"file-{next(numbers)}")
    began = time.process_time()

    for at in range(0, len(text), size):
        reader.link(TextDelta(text[at : at + size]))

    assert time.process_time() - began < 5
