"""The events of a run in its streams: names, shapes, and their order within a step.

As recorded from OpenAI's servers, and as its SDKs read them (tests/conformance). Lifecycle events carry the whole
object, deltas only the new part.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.messages import Annotation, ImageFile, Message
from models.run_steps import RunStep, StepStatus
from models.runs import Run, RunStatus
from models.wire import WireObject

THREAD_CREATED = "thread.created"
RUN_CREATED = "thread.run.created"
MESSAGE_CREATED = "thread.message.created"
MESSAGE_DELTA = "thread.message.delta"
STEP_CREATED = "thread.run.step.created"
STEP_DELTA = "thread.run.step.delta"

# `json.dumps` creates an encoder in each call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

NO_ANNOTATIONS: Mapping[int, Annotation] = {}

STEP_CLOSED = frozenset(f"thread.run.step.{status}" for status in StepStatus if status is not StepStatus.IN_PROGRESS)

ENDED = frozenset(f"thread.run.{status}" for status in RunStatus if status.is_terminal)
"""The last events of a run, unless it failed and is resumed."""

PAUSED = f"thread.run.{RunStatus.REQUIRES_ACTION}"

PAUSES_OR_ENDS = ENDED | {PAUSED}
"""After one of these events, nothing happens before a client acts."""


@dataclass(frozen=True, slots=True)
class Event:
    """`data` is the event's JSON, on one line."""

    name: str
    data: str

    @classmethod
    def of(cls, name: str, item: WireObject) -> "Event":
        return cls(name, item.model_dump_json(by_alias=True))


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """A run's events are numbered from 0. Numbers only grow; those of an aborted answer may be missing."""

    number: int
    event: Event


def numbered(first: int, events: Iterable[Event]) -> list[NumberedEvent]:
    return [NumberedEvent(number, event) for number, event in enumerate(events, first)]


def run_event(run: Run) -> Event:
    """The run, in an event that is named after its status."""
    return Event.of(f"thread.run.{run.status}", run)


def message_opened(step: RunStep, message: Message) -> list[Event]:
    """The step and the message in progress, the message without content."""
    return [
        *step_opened(step),
        Event.of(MESSAGE_CREATED, message),
        Event.of("thread.message.in_progress", message),
    ]


def message_closed(step: RunStep, message: Message) -> list[Event]:
    return [Event.of(f"thread.message.{message.status}", message), step_closed(step)]


def step_opened(step: RunStep) -> list[Event]:
    """The step in progress; a step of tool calls without calls."""
    return [Event.of(STEP_CREATED, step), Event.of("thread.run.step.in_progress", step)]


def step_closed(step: RunStep) -> Event:
    return Event.of(f"thread.run.step.{step.status}", step)


def text_delta(
    message_id: str, index: int, text: str, is_first: bool, annotations: Mapping[int, Annotation] = NO_ANNOTATIONS
) -> Event:
    """`index` is the place of the text among the message's parts; `annotations` of this piece, by their places."""
    value: dict[str, Any] = {"value": text}
    # Only the first delta has an empty list of annotations: SDKs concatenate lists that are repeated.
    if is_first or annotations:
        value["annotations"] = [
            {"index": place, **annotation.model_dump(mode="json")} for place, annotation in annotations.items()
        ]
    return _content_delta(message_id, {"index": index, "type": "text", "text": value})


def image_delta(message_id: str, index: int, image: ImageFile) -> Event:
    """A whole image."""
    part = {"index": index, "type": "image_file", "image_file": image.model_dump(mode="json")}
    return _content_delta(message_id, part)


def refusal_delta(message_id: str, index: int, refusal: str) -> Event:
    return _content_delta(message_id, {"index": index, "type": "refusal", "refusal": refusal})


def call_delta(step_id: str, index: int, fields: Mapping[str, Any]) -> Event:
    """`fields` of the tool call at `index`."""
    call = {"index": index, **fields}
    return _delta(STEP_DELTA, step_id, {"step_details": {"type": "tool_calls", "tool_calls": [call]}})


def _content_delta(message_id: str, part: Mapping[str, Any]) -> Event:
    return _delta(MESSAGE_DELTA, message_id, {"content": [part]})


def _delta(name: str, object_id: str, delta: Mapping[str, Any]) -> Event:
    return Event(name, _json({"id": object_id, "object": name, "delta": delta}))


def _json(value: Mapping[str, Any]) -> str:
    return _ENCODER.encode(value)
