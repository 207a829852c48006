"""`/ops/files`: lists of failed files, and refused retries. The others are in `tests/cli/test_files.py`."""

import httpx
import pytest

from tests.api.envelope import assert_error


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "completed"),
        ("error", "bad_luck"),
        ("since", "-1"),
        ("store", "file-x"),
        ("file", "vs_x"),
        ("after", "file-x"),
        ("before", "vs_x/"),
        ("limit", "101"),
    ],
)
async def test_filter_out_of_bounds_is_rejected(http: httpx.AsyncClient, name: str, value: str) -> None:
    response = await http.get("/ops/files", params={name: value})

    assert response.status_code == 400
    assert response.json()["error"]["param"] == name


async def test_unknown_file_or_cursor_is_not_found(http: httpx.AsyncClient) -> None:
    for response in (
        await http.get("/ops/files/vs_x/file-x"),
        await http.get("/ops/files", params={"after": "vs_x/file-x"}),
        await http.post("/ops/files/vs_x/file-x/retry"),
    ):
        assert_error(response, 404, "No file found with id 'vs_x/file-x'.")
