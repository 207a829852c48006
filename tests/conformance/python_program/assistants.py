"""Assistants: create, read, change, list, delete."""

from typing import Any

from tests.conformance.python_program.scenarios import (
    MODEL,
    Sdk,
    equal,
    function_tool,
    has,
    has_id,
    is_page_of,
    operation,
)


@operation("assistants.create")
def create(sdk: Sdk) -> None:
    bare = sdk.assistants.create(model=MODEL)
    has_id(bare, "asst")
    has(bare, object="assistant", model=MODEL, name=None, description=None, instructions=None, tools=[], metadata={})
    has(bare, temperature=1.0, top_p=1.0, response_format="auto")

    fields: dict[str, Any] = {
        "name": "Guide",
        "description": "Knows the weather",
        "instructions": "You help people who travel.",
        "metadata": {"team": "north"},
        "temperature": 0.5,
        "top_p": 0.25,
        "response_format": {"type": "json_object"},
    }
    full = sdk.assistants.create(model=MODEL, tools=[function_tool("get_weather")], **fields)
    has(full, **fields)
    equal([tool.function.name for tool in full.tools], ["get_weather"])
    equal(full.tools[0].function.parameters["required"], ["city"])


@operation("assistants.retrieve")
def retrieve(sdk: Sdk) -> None:
    created = sdk.assistant("get_weather")

    equal(sdk.assistants.retrieve(created.id), created)


@operation("assistants.update")
def update(sdk: Sdk) -> None:
    created = sdk.assistants.create(model=MODEL, name="Guide", instructions="Be brief.", metadata={"team": "north"})

    updated = sdk.assistants.update(
        created.id, name=None, tools=[function_tool("get_time")], metadata={"team": "south"}
    )

    has(updated, id=created.id, name=None, instructions="Be brief.", metadata={"team": "south"})
    equal([tool.function.name for tool in updated.tools], ["get_time"])
    equal(sdk.assistants.retrieve(created.id), updated)


@operation("assistants.list")
def list_(sdk: Sdk) -> None:
    first, second, third = (sdk.assistant() for _ in range(3))

    is_page_of(sdk.assistants.list(limit=2), third, second, has_more=True)
    is_page_of(sdk.assistants.list(order="asc", after=first.id), second, third, has_more=False)
    is_page_of(sdk.assistants.list(limit=1, before=second.id), third, has_more=False)
    has(sdk.assistants.list(order="asc", after=third.id), data=[], first_id=None, last_id=None, has_more=False)


@operation("assistants.list_every_page")
def list_every_page(sdk: Sdk) -> None:
    first, *others = (sdk.assistant() for _ in range(6))

    found = [assistant.id for assistant in sdk.assistants.list(limit=2, order="asc", after=first.id)]

    equal(found, [assistant.id for assistant in others])


@operation("assistants.delete")
def delete(sdk: Sdk) -> None:
    created = sdk.assistant()

    has(sdk.assistants.delete(created.id), id=created.id, object="assistant.deleted", deleted=True)

    equal(created.id in [assistant.id for assistant in sdk.assistants.list(limit=100)], False)
