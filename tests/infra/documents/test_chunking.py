"""Chunks of documents: sizes, overlaps, characters of several tokens, pages."""

import itertools
import subprocess
import sys

import pytest

from infra.documents import chunking
from infra.documents.chunking import chunks
from infra.documents.errors import DocumentTooLarge
from infra.tokenizers import encoding
from models.documents import Document, Page

WORDS = " ".join(f"word{number}" for number in range(3000))
# Characters of one to four bytes; most of the last kind are several tokens each.
MIXED = "aé漢🧑🏽‍🚀𒀀𓀀 ꧁ ﷽ naïve façade 中文字符 " * 60


def _document(*pages: str) -> Document:
    return Document([Page(number, text) for number, text in enumerate(pages, start=1)])


def _tokens(text: str) -> list[int]:
    return encoding().encode_ordinary(text)


@pytest.mark.parametrize(("size", "overlap"), [(800, 400), (100, 0), (100, 50), (4096, 2048), (333, 111)])
def test_static_sizes_are_kept_exactly(size: int, overlap: int) -> None:
    tokens = _tokens(WORDS)

    found = chunks(_document(WORDS), size, overlap)

    starts = range(0, max(len(tokens) - overlap, 1), size - overlap)
    assert [chunk.text for chunk in found] == [encoding().decode(tokens[at : at + size]) for at in starts]
    assert [chunk.number for chunk in found] == list(range(len(found)))


@pytest.mark.parametrize(("size", "overlap"), [(100, 50), (100, 0), (7, 3), (1, 0), (2, 1)])
def test_characters_of_several_tokens_are_never_cut(size: int, overlap: int) -> None:
    found = chunks(_document(MIXED), size, overlap)

    assert "".join(chunk.text[chunk.overlap :] for chunk in found) == MIXED
    assert "\ufffd" not in "".join(chunk.text for chunk in found)
    if size == 100:
        assert all(90 < len(_tokens(chunk.text)) <= 104 for chunk in found[:-1])


def test_overlap_is_the_end_of_the_chunk_before() -> None:
    found = chunks(_document(WORDS), 800, 400)

    assert found[0].overlap == 0
    for before, chunk in itertools.pairwise(found):
        assert chunk.overlap > 0
        assert before.text.endswith(chunk.text[: chunk.overlap])


def test_chunk_has_the_page_on_which_it_begins() -> None:
    numbers = ["one", "two", "three", "four", "five", "six"]
    pages = [" ".join([word] * 130) for word in numbers]

    found = chunks(_document(*pages), 100, 50)

    assert [chunk.page for chunk in found] == [numbers.index(chunk.text.split()[0]) + 1 for chunk in found]
    assert {chunk.page for chunk in found} == {1, 2, 3, 4, 5, 6}


def test_chunk_that_begins_between_pages_belongs_to_the_later_one() -> None:
    first, second = "x " * 49 + "x", "beta gamma"

    found = chunks(_document(first, second), len(_tokens(first)), 0)

    assert [chunk.page for chunk in found] == [1, 2]


def test_document_has_at_most_as_many_tokens_as_a_file_may_have() -> None:
    document = _document("word " * 10, "漢字" * 9)
    tokens = len(_tokens("word " * 10 + "\n\n" + "漢字" * 9))

    assert chunks(document, 100, 0, most_tokens=tokens)
    with pytest.raises(DocumentTooLarge) as raised:
        chunks(document, 100, 0, most_tokens=tokens - 1)
    assert str(raised.value) == f"The file is too large to be read: it has more than {tokens - 1} tokens."


def test_file_has_at_most_five_million_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "token_starts", lambda _: [0] * 5_000_001)

    with pytest.raises(DocumentTooLarge, match="it has more than 5000000 tokens"):
        chunks(_document("Long."))


def test_empty_pages_keep_the_numbers_of_others() -> None:
    assert [chunk.page for chunk in chunks(_document("", "", "the third"))] == [3]


def test_formats_without_pages_have_none() -> None:
    assert chunks(Document([Page(None, "some text")]))[0].page is None


@pytest.mark.parametrize("document", [Document([]), _document(""), _document(" \n\t", "\n")])
def test_document_without_text_has_no_chunks(document: Document) -> None:
    assert chunks(document) == []


def test_special_tokens_are_text() -> None:
    assert chunks(_document("before <|endoftext|> after"))[0].text == "before <|endoftext|> after"


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    assert chunks(_document("a\ud83db"))[0].text == "a\ufffdb"


@pytest.mark.parametrize("character", [" ", "^", "a", "\n", "漢"])
def test_many_equal_characters_are_cut(character: str) -> None:
    text = character * 300_000 + "."

    found = chunks(_document(text), 4096, 0)

    assert "".join(chunk.text for chunk in found) == text


@pytest.mark.slow
def test_vocabulary_is_found_without_importing_litellm_and_without_network() -> None:
    program = """
import socket, sys
def refuse(*_): raise AssertionError("a connection")
socket.socket.connect = refuse
from infra.tokenizers import encoding
assert encoding().encode_ordinary("hello world") == [15339, 1917]
assert encoding("o200k_base").encode_ordinary("hello world") == [24912, 2375]
assert "litellm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
