"""Reads the actions of a ReAct answer. Pure: from the whole text to its calls."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from infra.language_model.react.lenient_json import FoundObject, find_object, repaired_object
from infra.language_model.react.markers import ACTION, ACTION_INPUT, END_OF_ACTIONS, SECTION
from models.language_model import Function

NAME_KEYS = ("name", "action", "tool", "tool_name", "function")
INPUT_KEYS = ("arguments", "action_input", "input", "parameters", "args", "tool_input")
FINAL_ANSWER_ACTION = "Final Answer"
"""Some models write the answer as the input of an action of this name."""

MAX_ACTIONS = 128
"""The number of calls that OpenAI's models make at most at once."""

MAX_MARKERS = 2 * MAX_ACTIONS
"""Each false marker costs a look at the text after it."""

MAX_UNCLOSED = 4
"""Objects without an end, each of which costs a look through the rest of the text."""

NO_ACTION = frozenset({"none", "n/a", "null", "no action", "no tool", "nothing"})
NO_INPUT = frozenset({"", "none", "n/a", "null", "nothing"})

_BEFORE_OBJECT = re.compile(r"\s*(?:`{1,3}\w*\s*)?(?=\{)")
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*")
_FENCED = re.compile(r"```[\w+-]*\n(.*?)\n?```", re.DOTALL)
_QUOTED = re.compile(r"""(["'])((?:(?!\1).)*)\1""", re.DOTALL)


@dataclass(frozen=True)
class Action:
    """A call as the model wrote it. `arguments` is JSON if its meaning is clear.

    `is_complete` is False if the text ended before the input did.
    """

    name: str
    arguments: str
    is_complete: bool = True


def parse_actions(text: str, functions: Sequence[Function]) -> list[Action]:
    """The actions in `text` up to the first invented observation, or answer."""
    return list(islice(_actions(text, {function.name: function for function in functions}), MAX_ACTIONS))


def _actions(text: str, functions: Mapping[str, Function]) -> Iterator[Action]:
    position, has_any, unclosed = 0, False, 0
    for _ in range(MAX_MARKERS):
        if not (marker := ACTION.search(text, position)):
            return
        if has_any and END_OF_ACTIONS.search(text, position, marker.start()):
            return
        found = _object_in_place_of_name(text, marker.end()) if unclosed < MAX_UNCLOSED else None
        unclosed += found is not None and not found.is_closed
        action, position = _read_action(text, marker.end(), found, functions)
        if action is not None:
            has_any = True
            yield action


def _read_action(
    text: str, start: int, found: FoundObject | None, functions: Mapping[str, Function]
) -> tuple[Action | None, int]:
    if found and (action := _read_structured(text, found)):
        return action, found.end
    section = SECTION.search(text, start)
    limit = section.start() if section else len(text)
    header_end = _end_of_line(text, start, limit)
    if marker := ACTION_INPUT.search(text, start, limit):
        name = _tool_name(text[start : marker.start()], functions)
        arguments, end, is_complete = _read_input(text, marker.end(), functions.get(name or ""))
    else:
        name = _tool_name(text[start:header_end], functions)
        arguments, end, is_complete = _read_inline_input(text, start, limit)
    return (Action(name, arguments, is_complete) if name else None), end


def _object_in_place_of_name(text: str, start: int) -> FoundObject | None:
    opening = _BEFORE_OBJECT.match(text, start)
    return find_object(text, opening.end()) if opening else None


def _read_structured(text: str, found: FoundObject) -> Action | None:
    """`{"action": …, "action_input": …}` in place of a name."""
    written = json.loads(repaired_object(text[found.start : found.end]) or "{}", strict=False)
    name = next((written[key] for key in NAME_KEYS if isinstance(written.get(key), str)), None)
    given: Any = next((written[key] for key in INPUT_KEYS if key in written), {})
    arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return Action(name, arguments, found.is_closed) if name else None


def _read_input(text: str, start: int, function: Function | None) -> tuple[str, int, bool]:
    if opening := _BEFORE_OBJECT.match(text, start):
        return _read_object(text, opening.end())
    section = SECTION.search(text, start)
    end = section.start() if section else len(text)
    return _as_object(_unfenced(text[start:end].strip()), function), end, section is not None


def _unfenced(written: str) -> str:
    fenced = _FENCED.fullmatch(written)
    return fenced[1] if fenced else written.strip("`").strip()


def _read_inline_input(text: str, start: int, limit: int) -> tuple[str, int, bool]:
    """The input of `Action: name {…}` or `Action: name({…})`, an empty one if there is none."""
    brace = text.find("{", start, limit)
    return _read_object(text, brace) if brace >= 0 else ("{}", limit, limit < len(text))


def _read_object(text: str, start: int) -> tuple[str, int, bool]:
    found = find_object(text, start)
    written = text[start : found.end]
    return repaired_object(written) or written, found.end, found.is_closed


def _as_object(written: str, function: Function | None) -> str:
    if written.lower() in NO_INPUT:
        return "{}"
    properties: Mapping[str, Any] = (function.parameters.get("properties") or {}) if function else {}
    if len(properties) != 1:
        return written
    [(name, schema)] = properties.items()
    return json.dumps({name: _value(written, schema)}, ensure_ascii=False)


def _value(written: str, schema: Any) -> Any:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        # Code may begin and end with quotes that do not belong together.
        quoted = _QUOTED.fullmatch(written)
        return quoted[2] if quoted else written
    is_text = isinstance(schema, Mapping) and schema.get("type") == "string"
    return written if is_text and not isinstance(value, str) else value


def _tool_name(written: str, functions: Mapping[str, Function]) -> str | None:
    names = _NAME.findall(written)
    known = next((name for name in names if name in functions), None)
    meant = written.strip(" \t\r\n.*_`'\"").lower()
    if known or not names or meant in NO_ACTION:
        return known
    return FINAL_ANSWER_ACTION if meant == FINAL_ANSWER_ACTION.lower() else str(names[0]).rstrip(".-")


def _end_of_line(text: str, start: int, limit: int) -> int:
    end = text.find("\n", start, limit)
    return end if end >= 0 else limit
