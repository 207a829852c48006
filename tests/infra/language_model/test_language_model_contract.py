"""The contract of every implementation of the `LanguageModel` port."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from infra.language_model.selection import LanguageModelByName
from infra.ports import LanguageModel
from models.language_model import CallDelta, Finish, FinishReason, Function, TextDelta
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Calls, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider

FUNCTIONS = (Function("get_weather"), Function("get_rain"))


@dataclass(frozen=True)
class Subject:
    language_model: LanguageModel
    model: str
    expect: Callable[[Reply], None]
    """Prepares the answer, where the implementation does not find it by itself."""


@pytest.fixture(params=["scripted", "litellm", "direct", "selection"])
async def subject(
    request: pytest.FixtureRequest, provider: ScriptedProvider, tmp_path: Path, model: str
) -> AsyncIterator[Subject]:
    catalogue = ModelCatalogue.load(provider.models_file(tmp_path))
    direct, litellm = ChatCompletionsLanguageModel(catalogue), LitellmLanguageModel(catalogue)
    language_models: dict[str, LanguageModel] = {
        "scripted": ScriptedLanguageModel(),
        "litellm": litellm,
        "direct": direct,
        "selection": LanguageModelByName(catalogue, direct, litellm),
    }
    if request.param == "scripted":
        yield Subject(language_models[request.param], SCRIPTED_MODEL, lambda reply: None)
    else:
        yield Subject(language_models[request.param], model, lambda reply: provider.script(model, reply))
    await direct.close()


async def test_prepare_is_idempotent(subject: Subject) -> None:
    await subject.language_model.prepare()
    await subject.language_model.prepare()


async def test_text_streams_in_deltas_and_ends_with_finish(subject: Subject) -> None:
    subject.expect(Says("You said: Hello"))

    answered = await ask(subject.language_model, saying(subject.model))

    assert answered.text == "You said: Hello"
    assert sum(isinstance(delta, TextDelta) for delta in answered.deltas) > 1
    assert answered.reason is FinishReason.STOP
    assert answered.usage.prompt_tokens > 0
    assert answered.usage.completion_tokens > 0


async def test_call_indexes_are_dense_and_names_come_first(subject: Subject) -> None:
    subject.expect(Calls(("get_weather", "{}"), ("get_rain", "{}")))

    answered = await ask(subject.language_model, replace(saying(subject.model), functions=FUNCTIONS))

    assert answered.calls == [("get_weather", "{}"), ("get_rain", "{}")]
    assert answered.reason is FinishReason.TOOL_CALLS
    for index in range(2):
        first, *others = [d for d in answered.deltas if isinstance(d, CallDelta) and d.index == index]
        assert first.name
        assert not any(delta.name for delta in others)


async def test_answer_at_token_limit_finishes_with_length(subject: Subject) -> None:
    subject.expect(Says("You", finish="length"))

    answered = await ask(subject.language_model, replace(saying(subject.model), max_tokens=1))

    assert answered.deltas[:-1] == [TextDelta("You")]
    assert answered.reason is FinishReason.LENGTH


async def test_reader_may_stop_early(subject: Subject) -> None:
    subject.expect(Says("You said: Hello"))

    async with aclosing(subject.language_model.stream(saying(subject.model))) as deltas:
        assert not isinstance(await anext(deltas), Finish)


async def test_tokens_are_counted(subject: Subject) -> None:
    counts = [await subject.language_model.count_tokens(subject.model, text) for text in ["", "one", "one two three"]]

    assert counts[0] == 0
    assert 0 < counts[1] < counts[2]


async def test_context_window_of_unknown_models_is_none(subject: Subject) -> None:
    assert await subject.language_model.context_window_tokens(subject.model) is None
