"""A bug in a route: the client gets the envelope with the request id that is logged."""

import logging

import httpx
import pytest

from api.app import create_app
from api.errors import SERVER_ERROR
from tests.api.envelope import assert_error
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database


async def test_crash_is_server_error_with_logged_request_id(
    holdfast: RunningHoldfast, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(holdfast.resources)

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError("secret of the server")

    with caplog.at_level(logging.ERROR):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            response = await client.get("/crash")

    assert_error(response, 500, SERVER_ERROR, kind="server_error")
    [record] = [record for record in caplog.records if record.message == "api.unexpected_error"]
    assert record.__dict__["request_id"] == response.headers["x-request-id"]
    assert record.exc_info is not None
