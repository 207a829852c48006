import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.acceptable_prompts import (
    BEGINNING,
    EMPTY_MESSAGE,
    NO_OUTPUT,
    acceptable,
    takes_any_prompt,
)
from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.ports import LanguageModel
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
from tests.infra.language_model.answers import ask
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays

IMAGE = ImagePart("https://x.test/a.png")
CALL = FunctionCall("c", "f", "{}")


def user(*texts: str) -> UserTurn:
    return UserTurn(tuple(map(TextPart, texts)))


PROMPTS: dict[str, tuple[Sequence[PromptItem], Sequence[PromptItem]]] = {
    "nothing blank": (
        [SystemPrompt("Be brief."), user("a"), AssistantTurn("b "), user("c", "d")],
        [SystemPrompt("Be brief."), user("a"), AssistantTurn("b "), user("c", "d")],
    ),
    "users in a row": (
        [user("a"), user("b"), user(""), AssistantTurn("c")],
        [user(f"a\n\nb\n\n{EMPTY_MESSAGE}"), AssistantTurn("c")],
    ),
    "users with images in a row": (
        [user("a"), UserTurn((IMAGE,)), user("b", "c")],
        [UserTurn((TextPart("a"), IMAGE, TextPart("b"), TextPart("c")))],
    ),
    "answers in a row": (
        [user("a"), AssistantTurn("b"), AssistantTurn(" "), AssistantTurn("c"), user("d")],
        [user("a"), AssistantTurn("b\n\nc"), user("d")],
    ),
    "answer before calls": (
        [user("a"), AssistantTurn("b"), AssistantTurn(None, (CALL,)), FunctionOutput("c", "d"), AssistantTurn("e")],
        [user("a"), AssistantTurn("b", (CALL,)), FunctionOutput("c", "d"), AssistantTurn("e")],
    ),
    "outputs of parallel calls": (
        [user("a"), AssistantTurn(None, (CALL, CALL)), FunctionOutput("c", "d"), FunctionOutput("c", "e")],
        [user("a"), AssistantTurn(None, (CALL, CALL)), FunctionOutput("c", "d"), FunctionOutput("c", "e")],
    ),
    "system prompts in a row": ([SystemPrompt("a"), SystemPrompt("b"), user("c")], [SystemPrompt("a\n\nb"), user("c")]),
    "blank system prompt": ([SystemPrompt(" \n"), user("a")], [user("a")]),
    "blank user message": ([user(" ")], [user(EMPTY_MESSAGE)]),
    "blank part": ([user("", "a", "\t")], [user("a")]),
    "blank beside image": ([UserTurn((TextPart(""), IMAGE))], [UserTurn((IMAGE,))]),
    "blank answer": ([user("a"), AssistantTurn(" "), user("b")], [user("a\n\nb")]),
    "blank output": (
        [user("a"), AssistantTurn(" ", (CALL,)), FunctionOutput("c", "")],
        [user("a"), AssistantTurn(None, (CALL,)), FunctionOutput("c", NO_OUTPUT)],
    ),
    "answer first": (
        [SystemPrompt("Be brief."), AssistantTurn("a"), user("b")],
        [SystemPrompt("Be brief."), BEGINNING, AssistantTurn("a"), user("b")],
    ),
    "answer last": ([user("a"), AssistantTurn("b \n")], [user("a"), AssistantTurn("b")]),
    "blank answer first": ([AssistantTurn(" "), user("a")], [user("a")]),
    "nothing": ([], [BEGINNING]),
}


@pytest.mark.parametrize(("prompt", "sent"), PROMPTS.values(), ids=PROMPTS)
def test_prompt_becomes_acceptable(prompt: Sequence[PromptItem], sent: Sequence[PromptItem]) -> None:
    request = acceptable(ModelRequest("m", tuple(prompt), temperature=0.5))

    assert request == ModelRequest("m", tuple(sent), temperature=0.5)


async def test_what_providers_refuse_is_not_sent(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("Hi."))
    calls = AssistantTurn("", (CALL,))
    prompt = (SystemPrompt(" "), AssistantTurn("a"), user(""), user("b"), calls, FunctionOutput("c", " "))

    await ask(language_model, ModelRequest(model, prompt, functions=(Function("f"),)))

    sent = [(message["role"], message.get("content")) for message in provider.requests(model)[0]["messages"]]
    assert sent == [
        ("user", "(beginning of the conversation)"),
        ("assistant", "a"),
        ("user", f"{EMPTY_MESSAGE}\n\nb"),
        ("assistant", None),
        ("tool", NO_OUTPUT),
    ]


@pytest.mark.xdist_group("litellm")
async def test_claude_gets_no_blank_and_roles_by_turns(provider: ScriptedProvider, tmp_path: Path, model: str) -> None:
    prompt = (SystemPrompt(" "), AssistantTurn("a "), user(""), user("b"), AssistantTurn("c \n"))

    sent = acceptable(ModelRequest(model, prompt)).prompt

    roles = [type(item) for item in sent]
    assert all(one is not other for one, other in pairwise(roles))
    assert roles[0] is UserTurn
    at = {**provider.litellm_params(f"anthropic/{model}"), "api_base": provider.root}
    adapter = LitellmLanguageModel(
        ModelCatalogue.load(provider.models_file(tmp_path, {"model_name": model, "litellm_params": at}))
    )
    provider.script(model, ClaudeSays(({"type": "text", "text": "Hi."},)))
    await ask(adapter, ModelRequest(model, prompt))
    [body] = provider.requests(model)
    texts = [part["text"] for message in body["messages"] for part in message["content"]]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user", "assistant"]
    assert texts == ["(beginning of the conversation)", "a ", f"{EMPTY_MESSAGE}\n\nb", "c"]
    assert "system" not in body


@pytest.mark.xdist_group("litellm")
async def test_bedrock_gets_no_blank_and_roles_by_turns(provider: ScriptedProvider, tmp_path: Path, model: str) -> None:
    calls = AssistantTurn(" ", (CALL,))
    prompt = (SystemPrompt(" "), AssistantTurn("a "), user(""), user("b"), calls, FunctionOutput("c", " "), user("\n"))
    # Of other models litellm does not know that they call functions.
    model = f"anthropic.claude-{model}"
    at = {**provider.litellm_params(f"bedrock/converse/{model}"), "api_base": provider.root}
    adapter = LitellmLanguageModel(
        ModelCatalogue.load(provider.models_file(tmp_path, {"model_name": model, "litellm_params": at}))
    )
    provider.script(model, BedrockSays(({"text": "Hi."},)))

    await ask(adapter, ModelRequest(model, prompt, functions=(Function("f"),)))

    [body] = provider.requests(model)
    assert "system" not in body
    said = [(message["role"], [_blocks(block) for block in message["content"]]) for message in body["messages"]]
    assert said == [
        ("user", ["(beginning of the conversation)"]),
        ("assistant", ["a "]),
        ("user", [f"{EMPTY_MESSAGE}\n\nb"]),
        ("assistant", ["a call"]),
        ("user", [NO_OUTPUT, EMPTY_MESSAGE]),
    ]


def _blocks(block: Any) -> str:
    match block:
        case {"text": str(text)} | {"toolResult": {"content": [{"text": str(text)}]}}:
            return text
        case {"toolUse": _}:
            return "a call"
    raise ValueError(block)


def test_cost_of_joining_is_linear() -> None:
    prompt = (user("x" * 1_000),) * 20_000
    began = time.thread_time()

    [joined] = acceptable(ModelRequest("m", prompt)).prompt

    assert isinstance(joined, UserTurn)
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    ("url", "is_any"),
    [
        ("https://api.openai.com/v1/chat/completions", True),
        ("https://eu.api.openai.com/v1/chat/completions", True),
        ("https://mine.openai.azure.com/openai/deployments/x/chat/completions", True),
        ("https://openai.com.example/v1/chat/completions", False),
        ("http://127.0.0.1:8000/v1/chat/completions", False),
    ],
)
def test_only_openai_takes_threads_as_they_are(url: str, is_any: bool) -> None:
    assert takes_any_prompt(url) is is_any
