import httpx
import pytest

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database


async def test_models_are_listed_without_cursors(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()

    assert listed.keys() == {"object", "data"}
    assert listed["object"] == "list"
    assert SCRIPTED_MODEL in [model["id"] for model in listed["data"]]
    assert all(model.keys() == {"id", "object", "created", "owned_by"} for model in listed["data"])
    assert all(model["object"] == "model" for model in listed["data"])


@pytest.mark.parametrize("name", [SCRIPTED_MODEL, "anything-the-wildcard-takes"])
async def test_offered_model_is_retrieved_by_name(holdfast: RunningHoldfast, name: str) -> None:
    model = await holdfast.client.models.retrieve(name)

    assert (model.id, model.object) == (name, "model")
    assert isinstance(model.created, int)
