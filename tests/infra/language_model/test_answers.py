"""Translation of providers' answers by both adapters."""

from contextlib import aclosing
from dataclasses import replace

import pytest

from infra.language_model.errors import AnswerAborted, ModelStreamBroken
from infra.ports import LanguageModel
from models.language_model import (
    AssistantTurn,
    FinishReason,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    RefusalDelta,
    TextDelta,
    TextPart,
    TokenUsage,
    UserTurn,
)
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Calls, Chunks, Document, Hangs, Held, Says, Whole, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

WEATHER = Function("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})


async def test_text_streams_in_providers_pieces(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("It is sunny."))

    answered = await ask(language_model, saying(model))

    assert answered.deltas[:-1] == [TextDelta("It"), TextDelta(" is"), TextDelta(" sunny.")]
    assert answered.reason is FinishReason.STOP
    assert answered.usage == TokenUsage(prompt_tokens=10, completion_tokens=5)


async def test_provider_is_called_once_for_stream_with_usage(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("Hi."))

    await ask(language_model, saying(model))

    assert provider.requests(model) == [
        {
            "model": model,
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ]


async def test_parallel_calls_may_follow_text(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    calls = [("get_weather", '{"city": "Rome"}'), ("get_rain", "{}")]
    provider.script(model, Calls(*calls, text="I will look."))

    answered = await ask(language_model, replace(saying(model), functions=(WEATHER,)))

    assert answered.text == "I will look."
    assert answered.calls == calls
    assert answered.reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "pieces",
    [
        [{"id": "c0", "function": {"name": "f", "arguments": "{}"}}, {"id": "c1", "function": {"name": "g"}}],
        [
            {"index": 0, "id": "c0", "function": {"name": "f", "arguments": "{}"}},
            {"index": 0, "id": "c1", "function": {"name": "g"}},
        ],
        [
            {"index": 5, "id": "c0", "function": {"name": "f", "arguments": "{}"}},
            {"index": 9, "id": "c1", "function": {"name": "g", "arguments": ""}},
        ],
    ],
    ids=["no index", "one index", "high indexes"],
)
async def test_calls_are_numbered_regardless_of_provider_indexes(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, pieces: list[dict[str, object]]
) -> None:
    together = [chunk_of({"tool_calls": pieces})]
    apart = [chunk_of({"tool_calls": [piece]}) for piece in pieces]
    end = chunk_of({}, "tool_calls")
    provider.script(model, Chunks(*together, end), Chunks(*apart, end))

    for _ in range(2):
        answered = await ask(language_model, replace(saying(model), functions=(WEATHER,)))
        assert answered.calls == [("f", "{}"), ("g", "")]


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "function_call"])
async def test_answer_with_calls_finishes_with_tool_calls(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, finish: str
) -> None:
    provider.script(model, Calls(("get_weather", "{}"), finish=finish))

    assert (await ask(language_model, saying(model))).reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
async def test_incomplete_answer_has_finish_reason(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, reason: FinishReason
) -> None:
    provider.script(model, Says("It is", finish=reason.value), Calls(("get_weather", '{"ci'), finish=reason.value))

    assert (await ask(language_model, saying(model))).reason is reason
    assert (await ask(language_model, saying(model))).reason is reason


ABORTED = ["abort", "insufficient_system_resource", "malformed_function_call", "MALFORMED_FUNCTION_CALL"]
ABORTED += ["UNEXPECTED_TOOL_CALL", "OTHER", "network_error", "ERROR", "no-such-word", "x" * 1000]


@pytest.mark.parametrize("word", ABORTED)
async def test_word_that_is_no_ending_aborts_answer(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, word: str
) -> None:
    provider.script(model, Says("It is", finish=word), Calls(("get_weather", "{}"), finish=word))

    for _ in range(2):
        with pytest.raises(AnswerAborted, match=f"ended for the reason '{word[:100]}'"):
            await ask(language_model, replace(saying(model), functions=(WEATHER,)))


@pytest.mark.parametrize("word", ["tool_calls", "function_call", "tool_use"])
async def test_announced_call_that_is_missing_aborts_answer(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, word: str
) -> None:
    provider.script(model, Says("I will look.", finish=word))

    with pytest.raises(AnswerAborted, match="but without a call"):
        await ask(language_model, replace(saying(model), functions=(WEATHER,)))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("safety", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("sensitive", FinishReason.CONTENT_FILTER),
    ],
)
async def test_words_of_other_providers_are_translated(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, word: str, reason: FinishReason
) -> None:
    provider.script(model, Says("It is", finish=word))

    assert (await ask(language_model, saying(model))).reason is reason


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "It is sunny."}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "It is sunny."}],
        ["It is ", {"type": "output_text", "text": "sunny."}, {"type": "reference", "reference_ids": [1]}, 3],
    ],
    ids=["one", "with thoughts", "several"],
)
async def test_content_may_be_list_of_parts(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, content: list[object]
) -> None:
    provider.script(model, Chunks(chunk_of({"content": content}), chunk_of({"content": [" Yes."]}, "stop")))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.reason) == ("It is sunny. Yes.", FinishReason.STOP)


async def test_whole_answer_in_place_of_stream_is_read(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    functions = [{"name": name, "arguments": '{"city": "Rome"}'} for name in ("f", "g")]
    calls = [{"id": f"c{index}", "type": "function", "function": each} for index, each in enumerate(functions)]
    provider.script(
        model, Whole({"content": "Hi.\n\nYou."}), Whole({"content": None, "tool_calls": calls}, "tool_calls")
    )

    said, called = [await ask(language_model, saying(model)) for _ in range(2)]

    assert (said.text, said.reason, said.usage) == ("Hi.\n\nYou.", FinishReason.STOP, TokenUsage(10, 5))
    assert called.calls == [("f", '{"city": "Rome"}'), ("g", '{"city": "Rome"}')]


@pytest.mark.parametrize("content_type", ["text/plain", "text/event-stream", None])
async def test_whole_answer_is_known_by_its_content(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, content_type: str | None
) -> None:
    provider.script(model, Document(Whole({"content": "Hi."}).document, content_type, is_compressed=True))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.usage) == ("Hi.", TokenUsage(10, 5))
    assert len(provider.requests(model)) == 1


async def test_calls_of_two_functions_under_one_index_are_two(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    pieces = [{"index": 0, "function": {"name": name, "arguments": ""}} for name in ("get_weather", "get_rain")]
    provider.script(model, Chunks(chunk_of({"tool_calls": pieces}), chunk_of({}, "tool_calls")))

    answered = await ask(language_model, replace(saying(model), functions=(WEATHER, Function("get_rain"))))

    assert answered.calls == [("get_weather", ""), ("get_rain", "")]


async def test_finish_reason_may_come_with_last_delta(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Chunks(chunk_of({"content": "Hi"}), chunk_of({"content": "!"}, "length")))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.reason) == ("Hi!", FinishReason.LENGTH)


@pytest.mark.parametrize("done", [True, False])
async def test_stream_without_finish_reason_is_rejected(
    language_model: LanguageModel,
    open_language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    done: bool,
) -> None:
    provider.script(model, *[Chunks(chunk_of({"content": "It is"}), done=done)] * 2, Chunks(done=done))

    with pytest.raises(ModelStreamBroken):
        await ask(language_model, saying(model))
    with pytest.raises(ModelStreamBroken):
        await ask(open_language_model, saying(f"openai/{model}"))
    with pytest.raises(ModelStreamBroken):
        await ask(language_model, saying(model))


async def test_usage_is_estimated_if_provider_reports_none(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("It is sunny today in Rome.", usage=None))

    usage = (await ask(language_model, saying(model, "How is the weather in Rome?"))).usage

    assert usage.prompt_tokens > 6
    assert usage.completion_tokens > 5


async def test_usage_includes_cached_and_reasoning_tokens(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    provider.script(model, Says("Hi.", usage=usage))

    assert (await ask(language_model, saying(model))).usage == TokenUsage(20, 9, cached_tokens=16, reasoning_tokens=4)


@pytest.mark.parametrize(("given", "counted"), [(-5, 0), (2**70, 2**53 - 1)])
async def test_impossible_usage_is_clamped(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, given: int, counted: int
) -> None:
    provider.script(
        model, Says("Hi.", usage={"prompt_tokens": given, "completion_tokens": given, "total_tokens": given})
    )

    answered = await ask(language_model, saying(model))

    assert answered.text == "Hi."
    assert answered.usage == TokenUsage(prompt_tokens=counted, completion_tokens=counted)


async def test_usage_in_every_piece_does_not_end_answer(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    pieces = [chunk_of({"content": word}) for word in ["It", " is", " sunny."]]
    usages = [{"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count} for count in range(1, 5)]
    counted = [{**piece, "usage": usage} for piece, usage in zip([*pieces, chunk_of({}, "stop")], usages, strict=True)]
    provider.script(model, Chunks(*counted))

    answered = await ask(language_model, saying(model))

    assert answered.text == "It is sunny."
    assert answered.usage == TokenUsage(7, 4)


async def test_invalid_arguments_are_yielded_unchanged_and_sent_back_as_json(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Calls(("get_weather", '{"city": Rome')), Says("Sorry."))
    request = replace(saying(model), functions=(WEATHER,))

    [(name, arguments)] = (await ask(language_model, request)).calls
    history = (AssistantTurn(None, (FunctionCall("c0", name, arguments),)), FunctionOutput("c0", "invalid JSON"))
    await ask(language_model, replace(request, prompt=(*request.prompt, *history)))

    assert arguments == '{"city": Rome'
    sent = provider.requests(model)[1]["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"unparsed_arguments": "{\\"city\\": Rome"}'


async def test_every_parameter_reaches_provider(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("A cat."))
    schema = {"name": "animal", "schema": {"type": "object", "properties": {}}, "strict": True}
    request = ModelRequest(
        model,
        (UserTurn((TextPart("What is this?"), ImagePart("https://x.test/cat.png", "high"))),),
        functions=(WEATHER,),
        tool_choice=("function", "get_weather"),
        parallel_tool_calls=False,
        temperature=0.25,
        top_p=0.5,
        max_tokens=17,
        response_format={"type": "json_schema", "json_schema": schema},
    )

    await ask(language_model, request)

    [sent] = provider.requests(model)
    image = {"type": "image_url", "image_url": {"url": "https://x.test/cat.png", "detail": "high"}}
    assert sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    assert sent["tools"][0]["function"]["name"] == "get_weather"
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert (sent["parallel_tool_calls"], sent["temperature"], sent["top_p"], sent["max_tokens"]) == (
        False,
        0.25,
        0.5,
        17,
    )
    assert sent["response_format"]["json_schema"]["schema"] == schema["schema"]


@pytest.mark.parametrize("prefix", ["", "openai/"], ids=["router", "open"])
async def test_closing_iterator_closes_connection(
    language_model: LanguageModel,
    open_language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    prefix: str,
) -> None:
    provider.script(model, Hangs("It is"))
    subject = open_language_model if prefix else language_model

    async with aclosing(subject.stream(saying(prefix + model))) as deltas:
        assert await anext(deltas) == TextDelta("It")

    await provider.disconnected(model)


async def test_deltas_are_yielded_as_they_arrive(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    held = Held(Says(" sunny."), after="It is")
    provider.script(model, held)

    async with aclosing(language_model.stream(saying(model))) as deltas:
        assert [await anext(deltas), await anext(deltas)] == [TextDelta("It"), TextDelta(" is")]
        await held.arrived()
        held.release()
        assert await anext(deltas) == TextDelta(" sunny.")


async def test_usage_on_every_chunk_keeps_later_deltas(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    usage = {"usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}}
    words = [{**chunk_of({"content": word}), **usage} for word in ("one ", "two ", "three")]
    provider.script(model, Chunks(*words, {**chunk_of({}, "stop"), **usage}))

    answered = await ask(language_model, saying(model))

    assert answered.deltas[:-1] == [TextDelta("one "), TextDelta("two "), TextDelta("three")]
    assert answered.usage == TokenUsage(prompt_tokens=10, completion_tokens=3)


async def test_repeated_identical_chunks_are_no_error(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    line = [chunk_of({"content": "===="}) for _ in range(300)]
    provider.script(model, Chunks(*line, chunk_of({}, "stop")))

    answered = await ask(language_model, saying(model))

    assert answered.deltas[:-1] == [TextDelta("====")] * 300


REFUSAL = (
    chunk_of({"role": "assistant", "content": None, "refusal": ""}),
    chunk_of({"refusal": "I can't "}),
    chunk_of({"refusal": "help."}),
    chunk_of({}, "stop"),
)


async def test_refusal_is_separate_from_text(
    language_model: LanguageModel,
    open_language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
) -> None:
    provider.script(model, Chunks(*REFUSAL), Chunks(*REFUSAL))

    answered = [await ask(language_model, saying(model)), await ask(open_language_model, saying(f"openai/{model}"))]

    for answer in answered:
        assert answer.deltas[:-1] == [RefusalDelta("I can't "), RefusalDelta("help.")]
        assert answer.reason is FinishReason.STOP


async def test_refusal_may_come_in_last_chunk(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Chunks(chunk_of({"content": "Well."}), chunk_of({"refusal": "No."}, "content_filter")))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.refusal, answered.reason) == ("Well.", "No.", FinishReason.CONTENT_FILTER)


async def test_refusal_is_kept_with_usage_on_every_chunk(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
    provider.script(model, Chunks(*(chunk | usage for chunk in REFUSAL)))

    answered = await ask(language_model, saying(model))

    assert answered.refusal == "I can't help."


@pytest.mark.parametrize(
    "pieces",
    [
        [{"name": "get_weather", "arguments": ""}, {"arguments": '{"city":'}, {"arguments": ' "Rome"}'}],
        [{"name": "get_weather", "arguments": '{"city": "Rome"}'}],
        [{"name": "get_weather"}, {"name": "get_weather", "arguments": '{"city": "Rome"}'}],
        [{"name": "", "arguments": ""}, {"name": "get_weather", "arguments": '{"city": "Rome"}'}, {"arguments": ""}],
    ],
    ids=["in-pieces", "whole", "named-twice", "with-filler"],
)
async def test_legacy_function_call_is_read(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, pieces: list[dict[str, str]]
) -> None:
    chunks = [chunk_of({"content": None, "function_call": piece}) for piece in pieces]
    provider.script(model, Chunks(*chunks, chunk_of({}, "function_call")))

    answered = await ask(language_model, replace(saying(model), functions=(WEATHER,)))

    assert answered.calls == [("get_weather", '{"city": "Rome"}')]
    assert answered.reason is FinishReason.TOOL_CALLS


async def test_empty_legacy_function_call_is_ignored(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    filler = {"name": "", "arguments": ""}
    provider.script(model, Chunks(chunk_of({"content": "Hi.", "function_call": filler}), chunk_of({}, "stop")))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.calls, answered.reason) == ("Hi.", [], FinishReason.STOP)
