from collections.abc import Sequence

import pytest

from infra.language_model.acceptable_prompts import BEGINNING, EMPTY_MESSAGE, NO_OUTPUT, acceptable
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import (
    AssistantTurn,
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
from tests.provider.replies import Says
from tests.provider.scripted_provider import ScriptedProvider

IMAGE = ImagePart("https://x.test/a.png")
CALL = FunctionCall("c", "f", "{}")


def user(*texts: str) -> UserTurn:
    return UserTurn(tuple(map(TextPart, texts)))


PROMPTS: dict[str, tuple[Sequence[PromptItem], Sequence[PromptItem]]] = {
    "nothing blank": (
        [SystemPrompt("Be brief."), user("a"), AssistantTurn("b "), user("c"), user("d")],
        [SystemPrompt("Be brief."), user("a"), AssistantTurn("b "), user("c"), user("d")],
    ),
    "blank system prompt": ([SystemPrompt(" \n"), user("a")], [user("a")]),
    "blank user message": ([user(" ")], [user(EMPTY_MESSAGE)]),
    "blank part": ([user("", "a", "\t")], [user("a")]),
    "blank beside image": ([UserTurn((TextPart(""), IMAGE))], [UserTurn((IMAGE,))]),
    "blank answer": ([user("a"), AssistantTurn(" "), user("b")], [user("a"), user("b")]),
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


async def test_blanks_are_not_sent_through_litellm(
    litellm_model: LitellmLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("Hi."))

    await ask(litellm_model, ModelRequest(model, (SystemPrompt(" "), AssistantTurn("a"), user(""))))

    assert [message["content"] for message in provider.requests(model)[0]["messages"]] == [
        "(beginning of the conversation)",
        "a",
        EMPTY_MESSAGE,
    ]
