import json
import re

import pytest

from infra.language_model.chat_parameters import chat_parameters
from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)

HELLO = (UserTurn((TextPart("Hello"),)),)
WEATHER = Function("get_weather")


def test_unset_and_default_parameters_are_not_sent() -> None:
    assert chat_parameters(ModelRequest("m", HELLO)) == {"messages": [{"role": "user", "content": "Hello"}]}
    assert chat_parameters(ModelRequest("m", HELLO, functions=(WEATHER,))).keys() == {"messages", "tools"}
    assert "response_format" not in chat_parameters(ModelRequest("m", HELLO, response_format={"type": "text"}))


def test_values_that_are_openais_defaults_are_not_sent() -> None:
    assert chat_parameters(ModelRequest("m", HELLO, temperature=1.0, top_p=1)).keys() == {"messages"}


def test_set_parameters_are_sent() -> None:
    request = ModelRequest(
        "m",
        HELLO,
        functions=(Function("get_weather", "The weather.", {"type": "object"}, strict=True),),
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        top_p=0.5,
        max_tokens=7,
        response_format={"type": "json_object"},
        reasoning_effort="low",
    )

    parameters = chat_parameters(request)

    definition = {
        "name": "get_weather",
        "description": "The weather.",
        "parameters": {"type": "object"},
        "strict": True,
    }
    assert parameters == {
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "function": definition}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 7,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
    }


def test_tool_parameters_are_not_sent_without_tools() -> None:
    request = ModelRequest("m", HELLO, tool_choice="none", parallel_tool_calls=False)

    assert chat_parameters(request).keys() == {"messages"}


def test_tool_choice_may_name_function() -> None:
    request = ModelRequest("m", HELLO, functions=(WEATHER,), tool_choice=("function", "get_weather"))

    assert chat_parameters(request)["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


def test_conversation_may_contain_calls_and_images() -> None:
    prompt = (
        SystemPrompt("Be brief."),
        UserTurn((TextPart("What is this?"), ImagePart("https://x.test/a.png"), ImagePart("data:x", "low"))),
        AssistantTurn("I look.", (FunctionCall("c1", "f", '{"a": 1}'), FunctionCall("c2", "g", ""))),
        FunctionOutput("c1", "57"),
        FunctionOutput("c2", ""),
        AssistantTurn("A cat."),
    )

    assert chat_parameters(ModelRequest("m", prompt))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
                {"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call00000", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                {"id": "call00001", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call00000", "content": "57"},
        {"role": "tool", "tool_call_id": "call00001", "content": ""},
        {"role": "assistant", "content": "A cat."},
    ]


def test_ids_of_calls_are_nine_letters_and_digits_on_every_turn() -> None:
    turns: list[list[PromptItem]] = [
        [AssistantTurn(None, (FunctionCall("call_" + "x" * 24, "f", "{}"), FunctionCall("call_y", "f", "{}")))],
        [FunctionOutput("call_y", "2"), FunctionOutput("call_" + "x" * 24, "1")],
        [AssistantTurn(None, (FunctionCall("call_z", "f", "{}"),)), FunctionOutput("call_z", "3")],
    ]

    earlier, later = (
        chat_parameters(ModelRequest("m", tuple(item for turn in turns[:count] for item in turn)))["messages"]
        for count in (2, 3)
    )

    called = [call["id"] for message in later for call in message.get("tool_calls", ())]
    assert len(set(called)) == 3
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", each) for each in called)
    assert [message["tool_call_id"] for message in later if message["role"] == "tool"] == [
        called[1],
        called[0],
        called[2],
    ]
    assert earlier == later[:3]


@pytest.mark.parametrize(
    ("called", "sent"),
    [
        ("get the weather", "get_the_weather"),
        ("functions.f", "functions_f"),
        ("\N{REPLACEMENT CHARACTER}", "_"),
        ("x" * 100, "x" * 64),
        ("1st", "_1st"),
        ("-f", "_-f"),
        ("a.b", "a.b"),
    ],
)
def test_invented_name_is_sent_back_as_valid_one(called: str, sent: str) -> None:
    prompt = (AssistantTurn(None, (FunctionCall("c1", called, "{}"),)), FunctionOutput("c1", "no"))

    [message, _] = chat_parameters(ModelRequest("m", prompt, functions=(Function("a.b"),)))["messages"]

    assert message["tool_calls"][0]["function"]["name"] == sent


@pytest.mark.parametrize(
    "written", ['{"a": 1', "Rome", "[1]", '"Rome"', "{'a': 1}", pytest.param('{"a":' * 100_000, id="too deep")]
)
def test_arguments_that_are_no_object_are_sent_back_as_object(written: str) -> None:
    prompt = (AssistantTurn(None, (FunctionCall("c1", "f", written),)), FunctionOutput("c1", "no"))

    [message, _] = chat_parameters(ModelRequest("m", prompt))["messages"]

    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"unparsed_arguments": written}
