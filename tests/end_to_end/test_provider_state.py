"""The provider state of a turn: in the database alone, and sent back with the turn's calls in every later turn."""

from datetime import timedelta

from tests.holdfast import RunningHoldfast
from tests.provider.replies import Chunks, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

THOUGHT = "An opaque thought \u0000 \ud83d of turn "


def _thinking(turn: int) -> Chunks:
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    signed = call | {"extra_content": {"google": {"thought_signature": f"signature {turn}"}}}
    thought = chunk_of({"reasoning_content": f"{THOUGHT}{turn}"})
    return Chunks(thought, chunk_of({"tool_calls": [signed]}), chunk_of({}, "tool_calls"))


async def test_state_is_sent_back_in_later_turns_and_shown_to_nobody(
    holdfast: RunningHoldfast, provider: ScriptedProvider
) -> None:
    provider.script("thinking", _thinking(0), _thinking(1), Says("Sunny."))

    run = await holdfast.run(await holdfast.assistant("thinking", "weather"))
    for _ in range(2):
        run = await holdfast.submit(await holdfast.until(run, "requires_action"), "sunny")
    done = await holdfast.until(run)

    assert done.status == "completed"
    turns = [message for message in provider.requests("thinking")[2]["messages"] if message["role"] == "assistant"]
    assert [turn["reasoning_content"][-1] for turn in turns] == ["0", "1"]
    signatures = [turn["tool_calls"][0]["extra_content"]["google"]["thought_signature"] for turn in turns]
    assert signatures == ["signature 0", "signature 1"]
    steps = await holdfast.client.beta.threads.runs.steps.list(run.id, thread_id=run.thread_id)
    history = await holdfast.resources.temporal.get_workflow_handle(run.id).fetch_history()
    events = (await holdfast.resources.event_stream.read(run.id, -1, timedelta(), limit=1000)).events
    for seen in (done.model_dump_json(), steps.model_dump_json(), history.to_json(), str(events)):
        assert "opaque" not in seen
        assert "signature" not in seen
