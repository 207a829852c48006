"""Run steps: list and read."""

from tests.conformance.python_program.scenarios import Sdk, calls_of, equal, has, has_id, is_page_of, operation


@operation("run_steps.list")
def list_(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather", "get_time")
    [open_step] = sdk.steps.list(waiting.id, thread_id=waiting.thread_id).data
    has(open_step, type="tool_calls", status="in_progress", completed_at=None, usage=None)
    equal([call.function.output for call in open_step.step_details.tool_calls], [None, None])

    run = sdk.finish(waiting)

    calls, message = sdk.steps.list(run.id, thread_id=run.thread_id, order="asc").data
    has(calls, id=open_step.id, type="tool_calls", status="completed", last_error=None)
    listed = [(call.id, call.function.name) for call in calls.step_details.tool_calls]
    equal(listed, [(call.id, call.function.name) for call in calls_of(waiting)])
    outputs = [call.function.output for call in calls.step_details.tool_calls]
    equal(outputs, ["sunny, says get_weather", "sunny, says get_time"])
    has(message, type="message_creation", status="completed")
    equal(calls.usage.total_tokens + message.usage.total_tokens, run.usage.total_tokens)
    is_page_of(sdk.steps.list(run.id, thread_id=run.thread_id, limit=1), message, has_more=True)
    is_page_of(sdk.steps.list(run.id, thread_id=run.thread_id, after=message.id), calls, has_more=False)


@operation("run_steps.retrieve")
def retrieve(sdk: Sdk) -> None:
    run = sdk.completed_run
    [listed] = sdk.steps.list(run.id, thread_id=run.thread_id).data
    [answer] = sdk.messages.list(run.thread_id, run_id=run.id).data

    step = sdk.steps.retrieve(listed.id, thread_id=run.thread_id, run_id=run.id)

    equal(step, listed)
    has_id(step, "step")
    has(step, object="thread.run.step", run_id=run.id, thread_id=run.thread_id, assistant_id=run.assistant_id)
    has(step, failed_at=None, cancelled_at=None, expired_at=None)
    equal(step.step_details.message_creation.message_id, answer.id)
