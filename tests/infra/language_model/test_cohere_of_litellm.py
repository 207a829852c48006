"""Cohere's own wire, by way of litellm."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.errors import AnswerAborted, ModelStreamBroken
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import FinishReason, Function, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.litellm_models import opened
from tests.provider.replies import Document, Reply
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import CohereSays

FUNCTIONS = (Function("f"), Function("g"))
CALLS = (("f", '{"city": "Rome"}'), ("g", "{}"))
ANSWER = CohereSays("It is sunny.", CALLS, "TOOL_CALL")


@pytest.fixture
def cohere(provider: ScriptedProvider, tmp_path: Path, model: str) -> LitellmLanguageModel:
    params: dict[str, Any] = {"model": f"cohere/{model}", "api_base": f"{provider.root}/v2/chat"}
    return opened(tmp_path, model, **params, model_info={"supports_function_calling": True})


@pytest.mark.parametrize(
    "reply",
    [ANSWER, replace(ANSWER, are_lines=True), Document(ANSWER.document)],
    ids=["events", "lines", "document"],
)
async def test_answer_is_read(
    cohere: LitellmLanguageModel, provider: ScriptedProvider, model: str, reply: Reply
) -> None:
    provider.script(model, reply)

    answered = await ask(cohere, replace(saying(model), functions=FUNCTIONS))

    assert (answered.text, answered.calls) == ("It is sunny.", list(CALLS))
    assert (answered.reason, answered.usage) == (FinishReason.TOOL_CALLS, TokenUsage(10, 5))
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", FinishReason.STOP),
        ("STOP_SEQUENCE", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("ERROR", AnswerAborted),
        ("TIMEOUT", AnswerAborted),
        ("TOOL_CALL", AnswerAborted),
        (None, ModelStreamBroken),
    ],
)
async def test_ending_is_known_or_aborts_the_answer(
    cohere: LitellmLanguageModel,
    provider: ScriptedProvider,
    model: str,
    word: str | None,
    reason: FinishReason | type[Exception],
) -> None:
    answer = CohereSays("It is sunny.", finish=word)
    provider.script(model, answer, Document(answer.document))

    for _ in range(2):
        if isinstance(reason, FinishReason):
            assert (await ask(cohere, saying(model))).reason is reason
        else:
            with pytest.raises(reason):
                await ask(cohere, saying(model))


@pytest.mark.parametrize(
    ("choice", "sent", "offered"),
    [
        ("auto", None, ["f", "g"]),
        ("required", "REQUIRED", ["f", "g"]),
        ("none", "NONE", ["f", "g"]),
        (("function", "g"), "REQUIRED", ["g"]),
    ],
)
async def test_tool_choice_is_sent(
    cohere: LitellmLanguageModel, provider: ScriptedProvider, model: str, choice: Any, sent: str | None, offered: Any
) -> None:
    provider.script(model, ANSWER)

    await ask(cohere, replace(saying(model), functions=FUNCTIONS, tool_choice=choice))

    [body] = provider.requests(model)
    assert body.get("tool_choice") == sent
    assert [tool["function"]["name"] for tool in body["tools"]] == offered
