"""Aborted steps: the events that close an open step of a lost attempt before another step begins."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from models import events
from models.events import MESSAGE_CREATED, MESSAGE_DELTA, STEP_CLOSED, STEP_CREATED, STEP_DELTA, Event
from models.finalization import CutShort
from models.messages import (
    ImageFile,
    ImageFileContent,
    Message,
    MessageContent,
    MessageIncompleteDetails,
    MessageStatus,
    RefusalContent,
    Text,
    TextContent,
)
from models.run_steps import RunStep


@dataclass(slots=True)
class _Part:
    kind: str
    pieces: list[str] = field(default_factory=list)
    annotations: list[Any] = field(default_factory=list)
    image: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Open:
    step: RunStep
    message: Message | None = None
    # By the index of the content part.
    parts: dict[int, _Part] = field(default_factory=dict)


def abort_events(emitted: Iterable[Event], cut_short: CutShort, now: int) -> list[Event]:
    """The events that close the step which `emitted` leaves open, its message with all the text that was emitted.

    An empty list if no step is open. `now` is in seconds.
    """
    aborted = _open_step(emitted)
    if aborted is None:
        return []
    status = cut_short.step_status
    step = aborted.step.model_copy(update={"status": status, f"{status}_at": now, "expires_at": None})
    if aborted.message is None:
        return [events.step_closed(step)]
    message = aborted.message.model_copy(
        update={
            "status": MessageStatus.INCOMPLETE,
            "incomplete_at": now,
            "incomplete_details": MessageIncompleteDetails(reason=cut_short.message_reason),
            "content": [_content(part) for _, part in sorted(aborted.parts.items())],
        }
    )
    return events.message_closed(step, message)


def _open_step(emitted: Iterable[Event]) -> _Open | None:
    found: _Open | None = None
    for event in emitted:
        if event.name == STEP_CREATED:
            found = _Open(RunStep.model_validate_json(event.data))
        elif event.name in STEP_CLOSED:
            found = None
        elif found is None or event.name == STEP_DELTA:
            continue
        elif event.name == MESSAGE_CREATED:
            found.message = Message.model_validate_json(event.data)
        elif event.name == MESSAGE_DELTA:
            for part in json.loads(event.data)["delta"]["content"]:
                _add(found.parts, part)
    return found


def _add(parts: dict[int, _Part], delta: dict[str, Any]) -> None:
    part = parts.setdefault(delta["index"], _Part(delta["type"]))
    match part.kind:
        case "refusal":
            part.pieces.append(delta["refusal"])
        case "image_file":
            part.image = delta["image_file"]
        case _:
            part.pieces.append(delta["text"]["value"])
            part.annotations += delta["text"].get("annotations", ())


def _content(part: _Part) -> MessageContent:
    text = "".join(part.pieces)
    if part.kind == "refusal":
        return RefusalContent(refusal=text)
    if part.kind == "image_file":
        return ImageFileContent(type="image_file", image_file=ImageFile.model_validate(part.image))
    return TextContent(text=Text.model_validate({"value": text, "annotations": part.annotations}))
