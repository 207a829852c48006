"""Refused requests: the class that the SDK raises, and the texts, parameters and codes that programs match on."""

from openai import AuthenticationError, BadRequestError, NotFoundError

from tests.conformance.python_program.scenarios import MODEL, Sdk, calls_of, operation, outputs_of, refused

ID = "0123456789abcdefghijklmn"


@operation("errors.missing_object")
def missing_object(sdk: Sdk) -> None:
    thread, run = sdk.thread("Hello"), sdk.completed_run
    asst, other, msg, gone, step = (f"{prefix}_{ID}" for prefix in ("asst", "thread", "msg", "run", "step"))

    for call, message in (
        (lambda: sdk.assistants.retrieve(asst), f"No assistant found with id '{asst}'."),
        (lambda: sdk.assistants.delete(asst), f"No assistant found with id '{asst}'."),
        (lambda: sdk.runs.create(thread.id, assistant_id=asst), f"No assistant found with id '{asst}'."),
        (lambda: sdk.threads.retrieve(other), f"No thread found with id '{other}'."),
        (lambda: sdk.messages.list(other), f"No thread found with id '{other}'."),
        (lambda: sdk.messages.retrieve(msg, thread_id=thread.id), f"No message found with id '{msg}'."),
        (lambda: sdk.runs.retrieve(gone, thread_id=thread.id), f"No run found with id '{gone}'."),
        (lambda: sdk.runs.retrieve(run.id, thread_id=thread.id), f"No run found with id '{run.id}'."),
        (
            lambda: sdk.steps.retrieve(step, thread_id=run.thread_id, run_id=run.id),
            f"No run step found with id '{step}'.",
        ),
    ):
        refused(call, NotFoundError, message)


@operation("errors.missing_model")
def missing_model(sdk: Sdk) -> None:
    message = "The model 'no-such-model' does not exist"

    refused(lambda: sdk.models.retrieve("no-such-model"), NotFoundError, message, param="model", code="model_not_found")


@operation("errors.malformed_id")
def malformed_id(sdk: Sdk) -> None:
    message = "Invalid 'thread_id': 'undefined'. Expected an ID that begins with 'thread'."

    refused(
        lambda: sdk.threads.retrieve("undefined"), BadRequestError, message, param="thread_id", code="invalid_value"
    )


@operation("errors.missing_parameter")
def missing_parameter(sdk: Sdk) -> None:
    message = "Missing required parameter: 'messages[0].content'."

    refused(
        lambda: sdk.threads.create(messages=[{"role": "user"}]),
        BadRequestError,
        message,
        param="messages[0].content",
        code="missing_required_parameter",
    )


@operation("errors.unknown_parameter")
def unknown_parameter(sdk: Sdk) -> None:
    message = "Unknown parameter: 'colour'."

    refused(
        lambda: sdk.assistants.create(model=MODEL, extra_body={"colour": "blue"}),
        BadRequestError,
        message,
        param="colour",
        code="unknown_parameter",
    )


@operation("errors.value_out_of_range")
def value_out_of_range(sdk: Sdk) -> None:
    message = "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."

    refused(
        lambda: sdk.assistants.list(limit=101),
        BadRequestError,
        message,
        param="limit",
        code="integer_above_max_value",
    )


@operation("errors.message_while_run_is_active")
def message_while_run_is_active(sdk: Sdk) -> None:
    run = sdk.unanswered_run
    message = f"Can't add messages to {run.thread_id} while a run {run.id} is active."

    refused(lambda: sdk.messages.create(run.thread_id, role="user", content="Hurry"), BadRequestError, message)


@operation("errors.run_while_run_is_active")
def run_while_run_is_active(sdk: Sdk) -> None:
    run = sdk.unanswered_run
    message = f"Thread {run.thread_id} already has an active run {run.id}."

    refused(lambda: sdk.runs.create(run.thread_id, assistant_id=run.assistant_id), BadRequestError, message)


@operation("errors.outputs_in_wrong_status")
def outputs_in_wrong_status(sdk: Sdk) -> None:
    waiting = sdk.waiting_run("get_weather")
    outputs = outputs_of(waiting)
    sdk.finish(waiting)

    refused(
        lambda: sdk.runs.submit_tool_outputs(waiting.id, thread_id=waiting.thread_id, tool_outputs=outputs),
        BadRequestError,
        'Runs in status "completed" do not accept tool outputs.',
    )


@operation("errors.outputs_missing")
def outputs_missing(sdk: Sdk) -> None:
    run = sdk.unanswered_run
    first, second = (call.id for call in calls_of(run))
    message = f"Expected tool outputs for call_ids ['{first}', '{second}'], got ['{first}']"

    refused(
        lambda: sdk.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs_of(run)[:1]),
        BadRequestError,
        message,
    )


@operation("errors.cancel_of_ended_run")
def cancel_of_ended_run(sdk: Sdk) -> None:
    run = sdk.completed_run
    message = "Cannot cancel run with status 'completed'."

    refused(lambda: sdk.runs.cancel(run.id, thread_id=run.thread_id), BadRequestError, message)


@operation("errors.wrong_api_key")
def wrong_api_key(sdk: Sdk) -> None:
    stranger = sdk.client.with_options(api_key="sk-wrong")
    message = "Incorrect API key provided: ****."

    refused(stranger.models.list, AuthenticationError, message, code="invalid_api_key")
