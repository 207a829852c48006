"""The address in the ready message can be opened from this machine."""

import pytest

from cli.api_url import api_url
from infra.settings import Settings


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_url_of_host(host: str, url: str) -> None:
    assert api_url(Settings(host=host, port=8000, api_keys={"key": "project"})) == url
