"""What `web_retrieval` and its crawls refuse. The others are in `tests/end_to_end/test_web_retrieval.py`."""

from typing import Any

import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"allowed_domains": []}, "allowed_domains"),
        ({"allowed_domains": ["http://a.example"]}, "allowed_domains[0]"),
        ({"max_num_results": 51}, "max_num_results"),
        ({"engine": "x"}, "engine"),
    ],
)
async def test_option_that_means_nothing_is_refused(http: httpx.AsyncClient, options: Any, param: str) -> None:
    tool = {"type": "web_retrieval", "web_retrieval": options}

    response = await http.post("/v1/assistants", json={"model": SCRIPTED_MODEL, "tools": [tool]})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == f"tools[0].web_retrieval.{param}"


@pytest.mark.any_database
@pytest.mark.parametrize(
    "body",
    [
        {"root_urls": [], "max_depth": 1},
        {"root_urls": ["ftp://a.example"], "max_depth": 1},
        {"root_urls": ["http://a.example"]},
        {"root_urls": ["http://a.example"], "max_depth": 11},
        {"root_urls": ["http://a.example"], "max_depth": 1, "robots": False},
    ],
)
async def test_crawl_that_is_not_bounded_is_refused(http: httpx.AsyncClient, body: Any) -> None:
    response = await http.post("/ops/web_retrieval", json=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"
