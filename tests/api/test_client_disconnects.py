"""A client that disconnects before its request is complete is counted as 499 and causes no error."""

import logging
from dataclasses import replace

import pytest
from fastapi import FastAPI, UploadFile
from starlette.types import Message

from api.app import create_app
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

KEYS = {"sk-key": "project"}


async def _disconnect(app: FastAPI, path: str, content_type: str, sent: bytes) -> list[Message]:
    """POST the beginning of a body and disconnect. Returns the response that the server would have sent."""
    messages: list[Message] = [{"type": "http.request", "body": sent, "more_body": True}, {"type": "http.disconnect"}]
    answered: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", content_type.encode()), (b"content-length", b"9999")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
    }
    await app(scope, receive, send)
    return answered


def _counted(holdfast: RunningHoldfast, status: str) -> float:
    families = holdfast.resources.metrics.http_requests.collect()
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["status"] == status
    )


def _assert_counted_as_499(
    holdfast: RunningHoldfast, caplog: pytest.LogCaptureFixture, answered: list[Message], before: tuple[float, float]
) -> None:
    assert [message["status"] for message in answered if message["type"] == "http.response.start"] == [499]
    assert (_counted(holdfast, "499"), _counted(holdfast, "500")) == (before[0] + 1, before[1])
    assert caplog.records == []


@pytest.mark.parametrize("keys", [{}, KEYS], ids=["body", "body-without-key"])
async def test_disconnect_during_body_is_no_error(
    holdfast: RunningHoldfast, caplog: pytest.LogCaptureFixture, keys: dict[str, str]
) -> None:
    settings = holdfast.resources.settings.model_copy(update={"api_keys": keys})
    app = create_app(replace(holdfast.resources, settings=settings))
    before = _counted(holdfast, "499"), _counted(holdfast, "500")

    with caplog.at_level(logging.WARNING):
        answered = await _disconnect(app, "/v1/threads", "application/json", b'{"metadata":')

    _assert_counted_as_499(holdfast, caplog, answered, before)


async def test_disconnect_during_form_is_no_error(holdfast: RunningHoldfast, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(holdfast.resources)

    @app.post("/form")
    async def form(file: UploadFile) -> None:
        raise AssertionError(file)

    before = _counted(holdfast, "499"), _counted(holdfast, "500")
    sent = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'

    with caplog.at_level(logging.WARNING):
        answered = await _disconnect(app, "/form", "multipart/form-data; boundary=edge", sent)

    _assert_counted_as_499(holdfast, caplog, answered, before)
