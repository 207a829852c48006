"""Translation of failed calls by both adapters."""

import asyncio
import socket
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import (
    AnswerAborted,
    ModelCallFailed,
    ModelStreamBroken,
    PromptRejected,
    PromptTooLarge,
    ProviderRefused,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from infra.language_model.request_sizes import RequestSize
from infra.ports import LanguageModel
from models.language_model import TextDelta
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.conftest import Adapter
from tests.provider.replies import BreaksOff, Chunks, Document, Fails, Hangs, Reply, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 200000 tokens."
TOO_LARGE = "Request too large for gpt-4o on tokens per min (TPM): Limit 30,000, Requested 41234. Reduce your message."
TOO_MANY = "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Try again."
QUOTA = "You exceeded your current quota, please check your plan and billing details."
POLICY = "Your request was rejected as a result of our safety system."

UNREAD = "Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details."

FAILURES: list[tuple[Fails, type[ModelCallFailed], str]] = [
    (Fails(429, "Slow down.", "rate_limit_exceeded", "requests"), RateLimited, "answered 429: Slow down."),
    (Fails(429, QUOTA, "insufficient_quota", "insufficient_quota"), QuotaExceeded, f"answered 429: {QUOTA}"),
    (Fails(429, QUOTA, type="insufficient_quota"), QuotaExceeded, f"answered 429: {QUOTA}"),
    (Fails(400, TOO_LONG, "context_length_exceeded"), PromptTooLarge, f"answered 400: {TOO_LONG}"),
    (Fails(400, TOO_LONG), PromptTooLarge, f"answered 400: {TOO_LONG}"),
    (Fails(400, "Shorten it.", "context_length_exceeded"), PromptTooLarge, "answered 400: Shorten it."),
    (Fails(400, POLICY, "content_policy_violation"), PromptRejected, f"answered 400: {POLICY}"),
    (
        Fails(400, "Only the default is supported.", "unsupported_value", param="top_p"),
        PromptRejected,
        "Only the default is supported. (Parameter: top_p)",
    ),
    (Fails(400, "No 'top_p' here.", param="top_p"), PromptRejected, "answered 400: No 'top_p' here."),
    (
        Fails(400, "Invalid value: 'x'.", "invalid_value", param="messages[0].role"),
        PromptRejected,
        "Invalid value: 'x'.",
    ),
    (Fails(429, TOO_LARGE, "rate_limit_exceeded", "tokens"), PromptTooLarge, f"answered 429: {TOO_LARGE}"),
    (Fails(413, TOO_LARGE, "rate_limit_exceeded", "tokens"), PromptTooLarge, f"answered 413: {TOO_LARGE}"),
    (Fails(429, TOO_MANY, "rate_limit_exceeded", "tokens"), RateLimited, f"answered 429: {TOO_MANY}"),
    (Fails(413, "Too large.", "rate_limit_exceeded"), PromptTooLarge, "answered 413: Too large."),
    (Fails(413, "Too large."), PromptTooLarge, "answered 413: Too large."),
    (Fails(400, UNREAD, "tool_use_failed", "invalid_request_error"), AnswerAborted, f"answered 400: {UNREAD}"),
    (Fails(400, UNREAD, "output_parse_failed"), AnswerAborted, f"answered 400: {UNREAD}"),
    (Fails(422, "Unprocessable."), PromptRejected, "answered 422: Unprocessable."),
    (Fails(401, "Incorrect API key.", "invalid_api_key"), ProviderRefused, "answered 401: Incorrect API key."),
    (Fails(403, "Not in your country."), ProviderRefused, "answered 403: Not in your country."),
    (
        Fails(404, "The model `x` does not exist.", "model_not_found"),
        ProviderRefused,
        "answered 404: The model `x` does",
    ),
    (Fails(402, "Insufficient balance."), ProviderRefused, "answered 402: Insufficient balance."),
    (Fails(408, "Too slow."), ProviderUnavailable, "answered 408: Too slow."),
    (Fails(409, "Locked."), ProviderUnavailable, "answered 409: Locked."),
    (Fails(500, "The server had an error."), ProviderUnavailable, "answered 500: The server had an error."),
    (Fails(502, "Bad gateway."), ProviderUnavailable, "answered 502: Bad gateway."),
    (Fails(503, "Overloaded."), ProviderUnavailable, "answered 503: Overloaded."),
    (Fails(529, "Overloaded."), ProviderUnavailable, "answered 529: Overloaded."),
]


@pytest.mark.parametrize(("reply", "kind", "said"), FAILURES)
@pytest.mark.parametrize("prefix", ["", "openai/"], ids=["router", "open"])
async def test_provider_error_is_translated(
    language_model: LanguageModel,
    open_language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    prefix: str,
    reply: Fails,
    kind: type[ModelCallFailed],
    said: str,
) -> None:
    provider.script(model, reply)

    failure = await _failure(open_language_model if prefix else language_model, prefix + model)

    assert type(failure) is kind
    assert str(failure).startswith(f"The provider of '{prefix + model}' answered {reply.status}: ")
    assert said in str(failure)
    assert not any(noise in str(failure) for noise in ("litellm", "LiteLLM", "Exception", "Error code"))
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    ("said", "size"),
    [(TOO_LARGE, RequestSize(30_000, 41_234)), (TOO_LONG, RequestSize(128_000, 200_000)), ("So.", None)],
)
@pytest.mark.parametrize("code", ["context_length_exceeded", "rate_limit_exceeded"])
async def test_too_large_request_says_its_size(
    language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    code: str,
    said: str,
    size: RequestSize | None,
) -> None:
    provider.script(model, Fails(413, said, code))

    failure = await _failure(language_model, model)

    assert isinstance(failure, PromptTooLarge)
    assert failure.size == size


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, timedelta(seconds=7)),
        ({"Retry-After": "0.5"}, timedelta(seconds=0.5)),
        ({"retry-after-ms": "1500"}, timedelta(seconds=1.5)),
        ({"retry-after-ms": "1500", "retry-after": "2"}, timedelta(seconds=1.5)),
        ({"retry-after": "86400"}, timedelta(minutes=10)),
        ({"retry-after": "-3"}, timedelta()),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Sat, 21 Nov 2015 10:00:00 GMT"}, timedelta()),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_passed_on(
    language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    status: int,
    headers: dict[str, str],
    wait: timedelta | None,
) -> None:
    provider.script(model, Fails(status, "Later.", headers=headers))

    assert (await _failure(language_model, model)).retry_after == wait


async def test_retry_after_may_be_date(language_model: LanguageModel, provider: ScriptedProvider, model: str) -> None:
    in_a_minute = datetime.now(UTC) + timedelta(minutes=1)
    provider.script(model, Fails(429, "Later.", headers={"retry-after": format_datetime(in_a_minute, usegmt=True)}))

    wait = (await _failure(language_model, model)).retry_after

    assert wait is not None
    assert timedelta(seconds=50) < wait <= timedelta(minutes=1)


@pytest.mark.parametrize(
    ("secret", "rest"),
    [("sk-abcdefghijklmnop", "."), ("sk-proj-abc*****************wxyz", "."), ("not-a-re****ized", ". You can")],
)
async def test_keys_in_provider_errors_are_masked(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, secret: str, rest: str
) -> None:
    provider.script(model, Fails(401, f"Incorrect API key provided: {secret}{rest}"))

    message = str(await _failure(language_model, model))

    assert secret not in message
    assert message.endswith(f"Incorrect API key provided: {secret[:3]}…{rest}")


async def test_long_message_is_truncated(language_model: LanguageModel, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Fails(400, "no " * 1000))

    assert len(str(await _failure(language_model, model))) <= 1000


BROKEN: list[tuple[Reply, type[ModelCallFailed]]] = [
    (BreaksOff("It is"), ModelStreamBroken),
    (BreaksOff(""), ProviderUnavailable),
    (Chunks(chunk_of({"content": "It"}), '{"error": {"message": "Overloaded.", "code": "x"}}'), ModelStreamBroken),
    (Chunks('{"error": {"message": "Overloaded.", "code": "server_error"}}'), ProviderUnavailable),
    (Chunks('{"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}'), RateLimited),
    (Chunks(chunk_of({"content": "It"}), "this is no JSON"), ModelStreamBroken),
]


REPORTED: list[tuple[object, type[ModelCallFailed]]] = [
    ({"error": {"message": "It is so.", "type": "invalid_request_error"}}, PromptRejected),
    ({"error": {"message": "It is so.", "code": 429}}, RateLimited),
    ([{"error": {"message": "It is so.", "code": 401}}], ProviderRefused),
    ({"error": "It is so."}, ProviderUnavailable),
]


@pytest.mark.parametrize(("document", "kind"), REPORTED)
async def test_error_with_the_status_of_a_success_is_classified(
    language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    document: object,
    kind: type[ModelCallFailed],
) -> None:
    provider.script(model, Document(document))

    failure = await _failure(language_model, model)

    assert type(failure) is kind
    assert "It is so." in str(failure)
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(("reply", "kind"), BROKEN)
@pytest.mark.parametrize("prefix", ["", "openai/"], ids=["router", "open"])
async def test_interrupted_stream_differs_from_failed_request(
    language_model: LanguageModel,
    open_language_model: LanguageModel,
    provider: ScriptedProvider,
    model: str,
    prefix: str,
    reply: Reply,
    kind: type[ModelCallFailed],
) -> None:
    provider.script(model, reply)

    failure = await _failure(open_language_model if prefix else language_model, prefix + model)

    assert type(failure) is kind
    assert str(failure).startswith(f"The {'answer' if kind is ModelStreamBroken else 'call'} of '{prefix + model}' ")
    assert "litellm" not in str(failure)
    assert len(provider.requests(model)) == 1


async def test_deltas_before_interruption_are_yielded(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, BreaksOff("It is"))

    async with aclosing(language_model.stream(saying(model))) as deltas:
        assert [await anext(deltas), await anext(deltas)] == [TextDelta("It"), TextDelta(" is")]
        with pytest.raises(ModelStreamBroken):
            await anext(deltas)


async def test_unreachable_provider_is_unavailable(
    open_language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{unused.getsockname()[1]}/v1")

        failure = await _failure(open_language_model, "openai/unreachable")

    assert type(failure) is ProviderUnavailable
    assert str(failure).startswith("The call of 'openai/unreachable' failed: Connection error: Connect call failed")


@pytest.mark.parametrize(("after", "kind"), [("", ProviderUnavailable), ("It is", ModelStreamBroken)])
async def test_silent_provider_times_out(
    adapter: Adapter,
    provider: ScriptedProvider,
    tmp_path: Path,
    model: str,
    after: str,
    kind: type[ModelCallFailed],
) -> None:
    provider.script(model, Hangs(after))
    file = provider.models_file(tmp_path, router_settings={"timeout": 0.2})

    failure = await _failure(adapter(ModelCatalogue.load(file)), model)

    assert type(failure) is kind
    await provider.disconnected(model)


@pytest.mark.parametrize("after", ["", "It is"])
async def test_cancelling_reader_closes_connection(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, after: str
) -> None:
    provider.script(model, Hangs(after))
    reading = asyncio.create_task(ask(language_model, saying(model)))
    await provider.requested(model)

    reading.cancel()

    with pytest.raises(asyncio.CancelledError):
        await reading
    await provider.disconnected(model)


async def test_call_after_interrupted_one_succeeds(
    language_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Fails(500), BreaksOff("x"), Says("Hi."))

    assert isinstance(await _failure(language_model, model), ProviderUnavailable)
    assert isinstance(await _failure(language_model, model), ModelStreamBroken)
    assert (await ask(language_model, saying(model))).text == "Hi."


async def _failure(language_model: LanguageModel, model: str) -> ModelCallFailed:
    with pytest.raises(ModelCallFailed) as caught:
        await ask(language_model, saying(model))
    return caught.value
