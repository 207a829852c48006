"""The table of providers, and the calls of each, compared with those of the installed litellm."""

import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.dialects import CHOOSE, DIALECTS, PLAIN
from infra.language_model.chat_completions.endpoints import DirectModels
from infra.language_model.chat_completions.providers import OLLAMA, OLLAMA_CHAT, PROVIDERS, TABLE
from infra.language_model.chat_completions.request import body_of
from infra.language_model.chat_parameters import chat_parameters
from infra.language_model.errors import PromptRejected
from infra.language_model.litellm_files import bundled_price_list
from infra.language_model.litellm_loading import load_litellm
from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    SystemPrompt,
    TextPart,
    UserTurn,
)
from tests.infra.language_model.answers import saying
from tests.infra.language_model.chat_completions.litellm_providers import EXCLUDED, IN_CALLS, rows, written

pytestmark = pytest.mark.xdist_group("litellm")

FUNCTION = Function("f", "A function.", {"type": "object", "properties": {"a": {"type": "string"}}}, strict=True)
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "temperature": {"temperature": 0.25},
    "top_p": {"top_p": 0.5},
    "max_tokens": {"max_tokens": 17},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "tool_choice": {"tool_choice": "required"},
}
OF_LITELLM = {"openrouter": {"usage"}}
"""Parameters that litellm adds without need."""

NAMES = sorted(PROVIDERS.keys() - {OLLAMA, OLLAMA_CHAT, "xinference"})
"""Ollama is called by its API of chat completions here, and by its own one through litellm. Xinference has no address
but that of a models file.
"""

UNFORCED = {"deepinfra", "fireworks_ai"}
"""litellm refuses a required call, the latter's for models that it does not know."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in provider.url_variables:
            monkeypatch.delenv(variable, raising=False)
        for variable in provider.key_variables:
            monkeypatch.setenv(variable, "sk-of-environment")
        if provider.url is None:
            for variable in provider.url_variables:
                monkeypatch.setenv(variable, "https://own.test")


@pytest.mark.slow
def test_table_is_that_of_installed_litellm() -> None:
    assert TABLE.read_text() == written(rows()), "Run the module that providers.py names."


def test_excluded_providers_are_litellms() -> None:
    litellm = load_litellm().module

    assert not EXCLUDED.keys() & PROVIDERS.keys()
    assert EXCLUDED.keys() - {"gdc", "sarvam"} <= set(litellm.openai_compatible_providers)


def test_values_inside_litellms_functions_are_still_there() -> None:
    source = inspect.getsource(load_litellm().module.main)

    for values in IN_CALLS.values():
        for value in (values["url"], *values["url_variables"], *values["key_variables"]):
            assert f'"{value}"' in source


@dataclass
class Sent:
    url: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class _NotSent(Exception):
    pass


async def _sent_by_litellm(monkeypatch: pytest.MonkeyPatch, model: str, request: ModelRequest) -> Sent:
    sent: list[httpx.Request] = []

    async def keep(_: httpx.AsyncClient, request: httpx.Request, **__: Any) -> httpx.Response:
        sent.append(request)
        raise _NotSent

    parameters = chat_parameters(request, model.partition("/")[0])
    parameters["stream_options"] = {"include_usage": True}
    with monkeypatch.context() as patched:
        patched.setattr(httpx.AsyncClient, "send", keep)
        with suppress(Exception):
            await load_litellm().module.acompletion(model=model, stream=True, max_retries=0, **parameters)
    [first, *_] = sent
    return Sent(str(first.url), first.headers, json.loads(first.content))


def _sent_directly(model: str, request: ModelRequest) -> Sent:
    endpoint = DirectModels(ModelCatalogue(), bundled_price_list()).endpoint(model)
    return Sent(endpoint.url, endpoint.headers, json.loads(body_of(request, endpoint)))


def _without_nulls(body: Mapping[str, Any]) -> dict[str, Any]:
    # litellm leaves out the content of an answer that has only calls; OpenAI's own form has null there.
    messages = [{key: value for key, value in each.items() if value is not None} for each in body["messages"]]
    return {**body, "messages": messages}


def conversation(model: str, refused: tuple[str, ...]) -> ModelRequest:
    name = model.partition("/")[0]
    # litellm leaves images out where a provider takes only text; the provider itself says what it does not take.
    image = (ImagePart("https://images.test/a.png", "high"),) if DIALECTS.get(name, PLAIN).takes_parts else ()
    prompt = (
        SystemPrompt("Be brief."),
        UserTurn((TextPart("One. "), TextPart("Two."))),
        AssistantTurn(None, (FunctionCall("call_1", "f", '{"a": "b"}'),)),
        FunctionOutput("call_1", "An output."),
        UserTurn((TextPart("What is this?"), *image)),
    )
    left_out = {*refused, *(("tool_choice",) if name in UNFORCED else ())}
    given = {key: value for option in OPTIONS.keys() - left_out for key, value in OPTIONS[option].items()}
    return replace(ModelRequest(model, prompt, (FUNCTION,)), **given)


@pytest.mark.parametrize("name", NAMES)
async def test_call_is_that_of_litellm(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = f"{name}/some-model"
    request = conversation(model, PROVIDERS[name].refused)
    request = request if PROVIDERS[name].takes_tools else saying(model)

    direct = _sent_directly(model, request)
    by_litellm = await _sent_by_litellm(monkeypatch, model, request)

    assert direct.url == by_litellm.url
    for header in ("authorization", "api-key"):
        assert direct.headers.get(header) == by_litellm.headers.get(header)
    expected = {key: value for key, value in by_litellm.body.items() if key not in OF_LITELLM.get(name, ())}
    assert _without_nulls(direct.body) == expected


@pytest.mark.parametrize(
    ("name", "refused"), [(name, parameter) for name in NAMES for parameter in PROVIDERS[name].refused]
)
def test_parameter_that_no_model_takes_is_refused(name: str, refused: str) -> None:
    options = {**OPTIONS, "response_format": {"response_format": {"type": "json_object"}}}[refused]
    request = replace(saying(f"{name}/some-model"), functions=(FUNCTION,), **options)

    with pytest.raises(PromptRejected, match=f"{name} does not support parameters: {refused}"):
        _sent_directly(request.model, request)


@pytest.mark.parametrize("name", ["moonshot", "deepinfra"])
def test_required_call_is_asked_for_where_it_cannot_be_forced(name: str) -> None:
    request = replace(saying(f"{name}/some-model"), functions=(FUNCTION,), tool_choice="required")

    body = _sent_directly(request.model, request).body

    assert "tool_choice" not in body
    assert body["messages"][-1] == {"role": "user", "content": CHOOSE}


def test_effort_turns_deepseeks_thoughts_on() -> None:
    body = _sent_directly("deepseek/chat", replace(saying("deepseek/chat"), reasoning_effort="low")).body

    assert body["thinking"] == {"type": "enabled"}
    assert "reasoning_effort" not in body
