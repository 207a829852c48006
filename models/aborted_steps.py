"""An answer that a stream has begun to show and whose attempt is gone: how it is closed, before another one begins."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from models import events
from models.events import MESSAGE_CREATED, MESSAGE_DELTA, STEP_CREATED, STEP_DELTA, Event
from models.messages import (
    Message,
    MessageContent,
    MessageIncompleteDetails,
    MessageIncompleteReason,
    MessageStatus,
    RefusalContent,
    Text,
    TextContent,
)
from models.run_steps import RunStep, StepStatus

_STEP_CLOSED = frozenset(f"thread.run.step.{status}" for status in StepStatus if status is not StepStatus.IN_PROGRESS)

_REASONS = {
    StepStatus.CANCELLED: MessageIncompleteReason.RUN_CANCELLED,
    StepStatus.EXPIRED: MessageIncompleteReason.RUN_EXPIRED,
    StepStatus.FAILED: MessageIncompleteReason.RUN_FAILED,
}


@dataclass(slots=True)
class _Open:
    step: RunStep
    message: Message | None = None
    # By their place: the type of each content part, and its pieces.
    parts: dict[int, tuple[str, list[str]]] = field(default_factory=dict)


def abort_events(emitted: Iterable[Event], status: StepStatus, now: int) -> list[Event]:
    """The events that end what `emitted` leaves open, with all the text it brought; none where nothing is open.

    `status` is failed where the answer is asked for again, otherwise how the run ends; `now` in seconds.
    """
    left = _unfinished(emitted)
    if left is None:
        return []
    step = left.step.model_copy(update={"status": status, f"{status}_at": now, "expires_at": None})
    if left.message is None:
        return [events.step_closed(step)]
    message = left.message.model_copy(
        update={
            "status": MessageStatus.INCOMPLETE,
            "incomplete_at": now,
            "incomplete_details": MessageIncompleteDetails(reason=_REASONS[status]),
            "content": [_part(kind, "".join(pieces)) for _, (kind, pieces) in sorted(left.parts.items())],
        }
    )
    return events.message_closed(step, message)


def _unfinished(emitted: Iterable[Event]) -> _Open | None:
    left: _Open | None = None
    for event in emitted:
        if event.name == STEP_CREATED:
            left = _Open(RunStep.model_validate_json(event.data))
        elif event.name in _STEP_CLOSED:
            left = None
        elif left is None or event.name == STEP_DELTA:
            continue
        elif event.name == MESSAGE_CREATED:
            left.message = Message.model_validate_json(event.data)
        elif event.name == MESSAGE_DELTA:
            for part in json.loads(event.data)["delta"]["content"]:
                _add(left.parts, part)
    return left


def _add(parts: dict[int, tuple[str, list[str]]], delta: dict[str, Any]) -> None:
    kind = delta["type"]
    _, pieces = parts.setdefault(delta["index"], (kind, []))
    pieces.append(delta["refusal"] if kind == "refusal" else delta["text"]["value"])


def _part(kind: str, text: str) -> MessageContent:
    return RefusalContent(refusal=text) if kind == "refusal" else TextContent(text=Text(value=text))
