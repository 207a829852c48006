import httpx
import pytest
from openai import NotFoundError

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.holdfast import RunningHoldfast

MINIMAL = {"model": SCRIPTED_MODEL}
EVERYTHING = {
    "model": SCRIPTED_MODEL,
    "name": "Tutor",
    "description": "Teaches.",
    "instructions": "Be kind.",
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": "Adds.",
                "parameters": {"type": "object", "properties": {"a": {"enum": [1, None]}}, "default": None},
                "strict": True,
            },
        }
    ],
    "tool_resources": {},
    "metadata": {"team": "blue"},
    "temperature": 0.5,
    "top_p": 0.25,
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
    "reasoning_effort": "low",
}


async def test_minimal_assistant_has_every_key_with_its_default(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/assistants", json=MINIMAL)).json()

    assert created.pop("id").startswith("asst_")
    assert isinstance(created.pop("created_at"), int)
    assert created == {
        "object": "assistant",
        "name": None,
        "description": None,
        "model": SCRIPTED_MODEL,
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }


async def test_create_and_retrieve_return_every_field_sent(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/assistants", json=EVERYTHING)).json()

    assert {key: created[key] for key in EVERYTHING} == EVERYTHING
    assert (await http.get(f"/v1/assistants/{created['id']}")).json() == created


@pytest.mark.any_database
@pytest.mark.parametrize("change", ["create", "modify"])
async def test_function_tool_is_completed_with_its_defaults(http: httpx.AsyncClient, change: str) -> None:
    tools = [{"type": "function", "function": {"name": "now", "strict": None, "parameters": None}}]
    path = "/v1/assistants"
    if change == "modify":
        path += "/" + (await http.post(path, json=MINIMAL)).json()["id"]

    changed = (await http.post(path, json=MINIMAL | {"tools": tools})).json()

    completed = {"name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False}
    assert changed["tools"] == [{"type": "function", "function": completed}]


@pytest.mark.any_database
async def test_null_fields_on_create_get_defaults(holdfast: RunningHoldfast) -> None:
    created = await holdfast.client.beta.assistants.create(
        model=SCRIPTED_MODEL,
        name=None,
        description=None,
        instructions=None,
        metadata=None,
        temperature=None,
        top_p=None,
        response_format=None,
        reasoning_effort=None,
        tool_resources=None,
        extra_body={"tools": None},
    )

    assert (created.name, created.instructions, created.metadata, created.tools) == (None, None, {}, [])
    assert (created.temperature, created.top_p, created.response_format) == (1.0, 1.0, "auto")


async def test_modify_changes_only_fields_sent(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/assistants", json=EVERYTHING)).json()

    modified = (await http.post(f"/v1/assistants/{created['id']}", json={"name": "Coach"})).json()

    assert modified == created | {"name": "Coach"}


async def test_modify_with_nulls_clears_fields(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/assistants", json=EVERYTHING)).json()

    modified = (await http.post(f"/v1/assistants/{created['id']}", json=dict.fromkeys(EVERYTHING))).json()

    minimal = (await http.post("/v1/assistants", json=MINIMAL)).json()
    kept = {name: created[name] for name in ("id", "created_at", "tools")}
    assert modified == minimal | kept


@pytest.mark.any_database
async def test_modify_with_empty_body_changes_nothing(http: httpx.AsyncClient) -> None:
    created = (await http.post("/v1/assistants", json=EVERYTHING)).json()
    path = f"/v1/assistants/{created['id']}"

    without_body = await http.post(path)
    with_zero_bytes = await http.post(path, content=b"", headers={"Content-Type": "application/json"})

    assert without_body.json() == with_zero_bytes.json() == created


async def test_deleted_assistant_is_not_found(holdfast: RunningHoldfast) -> None:
    created = await holdfast.client.beta.assistants.create(model=SCRIPTED_MODEL)

    deleted = await holdfast.client.beta.assistants.delete(created.id)

    assert deleted.to_dict() == {"id": created.id, "object": "assistant.deleted", "deleted": True}
    with pytest.raises(NotFoundError):
        await holdfast.client.beta.assistants.retrieve(created.id)


async def test_schema_may_contain_numbers_beyond_64_bits(http: httpx.AsyncClient) -> None:
    parameters = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 2**70}}}
    tools = [{"type": "function", "function": {"name": "count", "parameters": parameters}}]

    created = (await http.post("/v1/assistants", json=MINIMAL | {"tools": tools})).json()

    read_back = (await http.get(f"/v1/assistants/{created['id']}")).json()
    assert read_back["tools"][0]["function"]["parameters"] == parameters
