"""Failures of the provider: a run retries those that may pass, and reports the error."""

import pytest
from openai.types.beta.threads import Run

from tests.holdfast import RunningHoldfast
from tests.provider.replies import BreaksOff, Fails, Hangs, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = pytest.mark.any_database


async def _ended(holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, *replies: Reply) -> Run:
    provider.script(model, *replies)
    return await holdfast.until(await holdfast.run(await holdfast.assistant(model)))


async def test_429_is_retried_after_requested_delay(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    too_many = Fails(429, "Slow down.", headers={"retry-after-ms": "50"})

    run = await _ended(holdfast, provider, "too-many", too_many, too_many, Says("Here I am."))

    assert run.status == "completed"
    assert await holdfast.texts(run) == ["Hello", "Here I am."]
    assert len(provider.requests("too-many")) == 3


async def test_5xx_is_retried(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _ended(holdfast, provider, "unavailable", Fails(503), Says("Here I am."))

    assert run.status == "completed"


async def test_interrupted_answer_is_retried_and_stored_once(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await _ended(holdfast, provider, "cut-off", BreaksOff(after="Once upon"), Says("Once upon a time."))

    assert run.status == "completed"
    assert await holdfast.texts(run) == ["Hello", "Once upon a time."]
    assert len((await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)).data) == 1


async def test_aborted_answer_is_retried(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _ended(holdfast, provider, "aborted-once", Says("Once", finish="abort"), Says("Once upon a time."))

    assert run.status == "completed"
    assert await holdfast.texts(run) == ["Hello", "Once upon a time."]


@pytest.mark.slow
async def test_run_fails_after_few_aborted_answers(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    reply = Says("Once", finish="insufficient_system_resource")

    run = await _ended(holdfast, provider, "always-aborted", *[reply] * 10)

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "server_error"
    assert "'insufficient_system_resource'" in run.last_error.message
    assert len(provider.requests("always-aborted")) == 4


@pytest.mark.slow
async def test_other_failures_do_not_count_as_aborted_answers(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    replies = [Fails(429, "Slow down.", headers={"retry-after-ms": "1"})] * 5 + [Says("Once", finish="abort")]

    run = await _ended(holdfast, provider, "aborted-late", *replies, Says("Once upon a time."))

    assert run.status == "completed"


async def test_context_overflow_ends_run_incomplete(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _ended(holdfast, provider, "overflow", Says("Once", finish="model_context_window_exceeded"))

    assert run.status == "incomplete"
    assert await holdfast.texts(run) == ["Hello", "Once"]


async def test_failure_with_unstorable_text_fails_run(holdfast: RunningHoldfast, provider: ScriptedProvider) -> None:
    run = await _ended(holdfast, provider, "half-a-reason", Fails(400, "Bad \ud83d\0 prompt."))

    assert (run.status, run.last_error and run.last_error.code) == ("failed", "invalid_prompt")
    assert len(provider.requests("half-a-reason")) == 1


@pytest.mark.parametrize(
    ("model", "reply", "code"),
    [
        ("refused", Fails(401, "No such key.", code="invalid_api_key"), "server_error"),
        ("no-such-model", Fails(404, "No such model.", code="model_not_found"), "server_error"),
        ("too-long", Fails(400, "Too long.", code="context_length_exceeded"), "invalid_prompt"),
        (
            "too-large",
            Fails(429, "Request too large: Limit 30000, Requested 40000.", code="rate_limit_exceeded"),
            "invalid_prompt",
        ),
        ("no-top-p", Fails(400, "Unsupported parameter: 'top_p'.", param="top_p"), "invalid_prompt"),
        ("quota", Fails(429, "You exceeded your quota.", code="insufficient_quota"), "rate_limit_exceeded"),
    ],
)
async def test_permanent_error_fails_run_at_once(
    holdfast: RunningHoldfast, provider: ScriptedProvider, model: str, reply: Fails, code: str
) -> None:
    run = await _ended(holdfast, provider, model, reply)

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == code
    assert reply.message in run.last_error.message
    assert run.failed_at is not None
    assert run.expires_at is None
    assert run.usage is not None
    assert run.usage.total_tokens == 0
    assert len(provider.requests(model)) == 1
    await holdfast.client.beta.threads.messages.create(run.thread_id, role="user", content="The thread is free.")


async def test_429_until_deadline_fails_run_with_its_code(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("always-429", Fails(429, "Slow down.", headers={"retry-after": "60"}))
    assistant = await holdfast.assistant("always-429")

    run = await holdfast.until(
        await holdfast.run(assistant, extra_body={"expires_after": {"anchor": "created_at", "seconds": 20}})
    )

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "rate_limit_exceeded"


SOON = {"expires_after": {"anchor": "created_at", "seconds": 3}}
AT_ONCE = Fails(429, "Slow down.", headers={"retry-after-ms": "1"})


@pytest.mark.slow
async def test_provider_that_fails_until_deadline_fails_run(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("fails-on", *[AT_ONCE] * 10_000)
    assistant = await holdfast.assistant("fails-on")

    runs = [await holdfast.until(await holdfast.run(assistant, extra_body=SOON)) for _ in range(3)]

    assert [(run.status, run.last_error and run.last_error.code) for run in runs] == [
        ("failed", "rate_limit_exceeded")
    ] * 3


async def test_silence_at_deadline_after_failure_fails_run(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("fails-then-hangs", AT_ONCE, Hangs())

    run = await holdfast.until(
        await holdfast.run(await holdfast.assistant("fails-then-hangs"), extra_body=SOON), "failed", "expired"
    )

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "rate_limit_exceeded"
    assert "Slow down." in run.last_error.message


async def test_answer_that_has_begun_after_failure_expires_run(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("fails-then-speaks", AT_ONCE, Hangs(after="Well"))

    run = await holdfast.until(await holdfast.run(await holdfast.assistant("fails-then-speaks"), extra_body=SOON))

    assert (run.status, run.last_error) == ("expired", None)


async def test_filtered_answer_fails_run_and_leaves_message_incomplete(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    run = await _ended(holdfast, provider, "filtered", Says("How to make a", finish="content_filter"))

    assert run.status == "failed"
    assert run.last_error is not None
    assert run.last_error.code == "invalid_prompt"
    [message, _] = (await holdfast.client.beta.threads.messages.list(run.thread_id)).data
    assert message.incomplete_details is not None
    assert message.incomplete_details.reason == "content_filter"
