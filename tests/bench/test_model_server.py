"""The bench's model answers as its name specifies."""

import json

import pytest

from tests.bench.model_server import BenchModel, streamed_answer, whole_answer


def test_name_specifies_model() -> None:
    model = BenchModel(words=3, first_ms=1000, interval_ms=20)

    assert BenchModel.named(model.name) == model


@pytest.mark.parametrize("words", [1, 16])
def test_words_are_streamed_as_one_chunk_each(words: int) -> None:
    pieces = streamed_answer(BenchModel(words).name, calls=False)

    assert len(pieces) == words
    assert b'"finish_reason": "stop"' in pieces[-1]
    assert b'"usage"' in pieces[-1]


def test_call_is_equal_streamed_and_whole() -> None:
    name = BenchModel().name
    [piece] = streamed_answer(name, calls=True)
    [delta, finish, _] = [json.loads(line[6:]) for line in piece.decode().split("\n\n") if line]
    [streamed] = delta["choices"][0]["delta"]["tool_calls"]
    [whole] = json.loads(whole_answer(name, calls=True))["choices"][0]["message"]["tool_calls"]

    assert streamed == {"index": 0, **whole}
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
