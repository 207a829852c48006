import json
from typing import Any

import pytest

from infra.language_model.chat_completions.passed_on_answer import PassedOnAnswer
from models.language_model import ChatBody
from tests.provider.replies import chunk_of

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "m", "choices": []}
MODERATED = {**HEAD, "moderation": {"input": {"type": "moderation_results"}}, "usage": None}
WITHOUT_CHOICES = (
    {**HEAD, "prompt_filter_results": [{"prompt_index": 0}]},
    {**HEAD, "system_fingerprint": "fp_1", "usage": None},
    {**HEAD, "usage": USAGE, "timings": {"predicted_n": 2}},
    MODERATED,
)


def read(wants_usage: bool, *chunks: dict[str, Any]) -> tuple[list[dict[str, Any]], PassedOnAnswer]:
    options = {"stream_options": {"include_usage": wants_usage}}
    answer = PassedOnAnswer(ChatBody({"stream": True, "moderation": {"model": "m"}, **options}, ("moderation",)))
    pieces = [piece for chunk in chunks for piece in answer.read(json.dumps(chunk).encode())]
    return [dict(piece.content) for piece in pieces], answer


@pytest.mark.parametrize("wants_usage", [False, True])
def test_pieces_without_choices_are_passed_on_if_they_say_something(wants_usage: bool) -> None:
    pieces, _ = read(wants_usage, *WITHOUT_CHOICES)

    said = [piece.keys() & {"prompt_filter_results", "timings", "moderation"} for piece in pieces]
    assert said == [{"prompt_filter_results"}, *[{"timings"}] * wants_usage, {"moderation"}]


def test_answer_is_whole_with_its_moderation() -> None:
    answered = [chunk_of({"content": "Hi"}, "stop"), {**HEAD, "usage": USAGE}]

    assert not read(False, *answered)[1].is_whole
    assert read(False, *answered, MODERATED)[1].is_whole
