"""What v1 programs see of messages that v1 could not have."""

from typing import Any

import pytest

from api.beta_v1_answers import to_v1


def citation(**cited: str) -> Any:
    return {"type": "file_citation", "text": "【0】", "start_index": 0, "end_index": 3, "file_citation": cited}


def text(*annotations: Any) -> Any:
    return {"type": "text", "text": {"value": "【0】", "annotations": list(annotations)}}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (text(citation(file_id="file-a")), text(citation(file_id="file-a", quote=""))),
        (text(citation(file_id="file-a", quote="So.")), text(citation(file_id="file-a", quote="So."))),
        (text(), text()),
        ({"type": "refusal", "refusal": "No."}, {"type": "text", "text": {"value": "No.", "annotations": []}}),
        (
            {"type": "image_file", "image_file": {"file_id": "file-a", "detail": "low"}},
            {"type": "image_file", "image_file": {"file_id": "file-a"}},
        ),
    ],
)
def test_content_has_v1_keys(part: Any, expected: Any) -> None:
    message = {"object": "thread.message", "attachments": [], "content": [part]}

    assert to_v1(message, {})["content"] == [expected]


def test_citation_of_a_delta_has_its_quote() -> None:
    part = text(citation(file_id="file-a"))
    delta = {"object": "thread.message.delta", "delta": {"content": [part | {"index": 0}]}}

    (translated,) = to_v1(delta, {})["delta"]["content"]

    assert translated == text(citation(file_id="file-a", quote="")) | {"index": 0}


def test_file_path_keeps_its_form() -> None:
    path = {"type": "file_path", "text": "a", "start_index": 0, "end_index": 1, "file_path": {"file_id": "file-a"}}
    message = {"object": "thread.message", "attachments": [], "content": [text(path)]}

    assert to_v1(message, {})["content"] == [text(path)]
