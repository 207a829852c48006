import json
from dataclasses import dataclass

import pytest

from infra.language_model.react.answer import ReactAnswer
from models.language_model import CallDelta, Finish, FinishReason, Function, ModelRequest, TextDelta, TokenUsage
from models.tool_formats import code_interpreter, file_search

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SUM = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
FUNCTIONS = (
    Function("get_weather", "The weather of a city.", CITY),
    Function("add", parameters=SUM),
    Function("get_rain", parameters={"type": "object", "properties": {"days": {"type": "integer"}}}),
    Function("get_time"),
    file_search.offered("file_search"),
    code_interpreter.offered("python"),
)


@dataclass(frozen=True)
class Read:
    text: str
    calls: list[tuple[str, str]]
    reason: FinishReason


def read(*pieces: str, parallel: bool = True, reason: FinishReason = FinishReason.STOP) -> Read:
    request = ModelRequest("m", (), FUNCTIONS, parallel_tool_calls=parallel)
    answer = ReactAnswer(request)
    deltas = [delta for piece in pieces for delta in answer.feed(piece)]
    deltas += answer.end(Finish(reason, TokenUsage(1, 2)))
    finish = deltas.pop()
    assert isinstance(finish, Finish)
    assert finish.usage == TokenUsage(1, 2)
    calls = [delta for delta in deltas if isinstance(delta, CallDelta)]
    assert [call.index for call in calls] == list(range(len(calls)))
    return Read(
        "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)),
        [(call.name or "", call.arguments) for call in calls],
        finish.reason,
    )


ROME = ("get_weather", '{"city": "Rome"}')
OSLO = ("get_weather", '{"city": "Oslo"}')

CALLS = {
    "as told": ('Thought: I need the weather.\nAction: get_weather\nAction Input: {"city": "Rome"}', [ROME]),
    "no thought": ('Action: get_weather\nAction Input: {"city": "Rome"}', [ROME]),
    "unmarked thought": ('I will look it up.\n\nAction: get_weather\nAction Input: {"city": "Rome"}\n', [ROME]),
    "bold": ('**Thought:** Hm.\n**Action:** get_weather\n**Action Input:** {"city": "Rome"}', [ROME]),
    "bold words": ('**Action**: `get_weather`\n**Action Input**: {"city": "Rome"}', [ROME]),
    "headings": ('### Action: get_weather\n### Action Input: {"city": "Rome"}', [ROME]),
    "lower case": ('action: get_weather\naction input: {"city": "Rome"}', [ROME]),
    "numbered": ('Thought 1: x\nAction 1: get_weather\nAction Input 1: {"city": "Rome"}', [ROME]),
    "underscore": ('Action: get_weather\nAction_Input: {"city": "Rome"}', [ROME]),
    "fenced": ('Action: get_weather\nAction Input:\n```json\n{"city": "Rome"}\n```\n', [ROME]),
    "fenced inline": ('Action: get_weather\nAction Input: `{"city": "Rome"}`', [ROME]),
    "pretty": (
        'Action: get_weather\nAction Input: {\n  "city": "Rome"\n}\n',
        [("get_weather", '{\n  "city": "Rome"\n}')],
    ),
    "input on next line": ('Action: get_weather\nAction Input:\n{"city": "Rome"}', [ROME]),
    "one line": ('Thought: I look. Action: get_weather Action Input: {"city": "Rome"}', [ROME]),
    "quoted name": ('Action: "get_weather"\nAction Input: {"city": "Rome"}', [ROME]),
    "name with parentheses": ('Action: get_weather()\nAction Input: {"city": "Rome"}', [ROME]),
    "name in brackets": ('Action: [get_weather]\nAction Input: {"city": "Rome"}', [ROME]),
    "name in a sentence": ('Action: I call get_weather now.\nAction Input: {"city": "Rome"}', [ROME]),
    "input in the name's line": ('Action: get_weather({"city": "Rome"})', [ROME]),
    "input after the name": ('Action: get_weather\n{"city": "Rome"}', [ROME]),
    "structured": ('Action: {"action": "get_weather", "action_input": {"city": "Rome"}}', [ROME]),
    "structured and fenced": (
        'Action:\n```json\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n```',
        [ROME],
    ),
    "trailing text": ('Action: get_weather\nAction Input: {"city": "Rome"} This gives the weather.\n', [ROME]),
    "made-up observation": (
        'Action: get_weather\nAction Input: {"city": "Rome"}\nObservation: sunny\nFinal Answer: It is sunny.',
        [ROME],
    ),
    "made-up rest": (
        'Action: get_weather\nAction Input: {"city": "Rome"}\nObservation: sunny\n'
        'Action: get_weather\nAction Input: {"city": "Oslo"}',
        [ROME],
    ),
    "made-up answer": ('Action: get_weather\nAction Input: {"city": "Rome"}\nFinal Answer: It is sunny.', [ROME]),
    "single quotes": ("Action: get_weather\nAction Input: {'city': 'Rome'}", [ROME]),
    "trailing comma": ('Action: get_weather\nAction Input: {"city": "Rome",}', [ROME]),
    "missing brace": ('Action: get_weather\nAction Input: {"city": "Rome"', [ROME]),
    "braces in strings": (
        'Action: get_weather\nAction Input: {"city": "R}o{m\\"}e"} done',
        [("get_weather", '{"city": "R}o{m\\"}e"}')],
    ),
    "nested": ('Action: add\nAction Input: {"a": {"b": {"c": 1}}}', [("add", '{"a": {"b": {"c": 1}}}')]),
    "bare value": ("Action: get_weather\nAction Input: Rome\n", [ROME]),
    "bare fenced value": ("Action: get_weather\nAction Input:\n```\nRome\n```\n", [ROME]),
    "bare query": ("Action: file_search\nAction Input: days off", [("file_search", '{"queries": "days off"}')]),
    "bare code": (
        "Action: python\nAction Input: x = 'a'\nprint(x + 'b')\nObservation: ab",
        [("python", "{\"code\": \"x = 'a'\\nprint(x + 'b')\"}")],
    ),
    "bare code between quotes": (
        "Action: python\nAction Input: 'a' + 'b'",
        [("python", "{\"code\": \"'a' + 'b'\"}")],
    ),
    "fenced code": (
        "Action: python\nAction Input:\n```python\nx = 1\nprint(x)\n```\n",
        [("python", '{"code": "x = 1\\nprint(x)"}')],
    ),
    "bare quoted value": ('Action: get_weather\nAction Input: "Rome"', [ROME]),
    "bare number": ("Action: get_rain\nAction Input: 3", [("get_rain", '{"days": 3}')]),
    "bare number for text": ("Action: get_weather\nAction Input: 3", [("get_weather", '{"city": "3"}')]),
    "bare value of several": ("Action: add\nAction Input: 1 and 2", [("add", "1 and 2")]),
    "no input": ("Action: get_time\nAction Input:", [("get_time", "{}")]),
    "no input at all": ("Action: get_time", [("get_time", "{}")]),
    "input none": ("Action: get_time\nAction Input: None", [("get_time", "{}")]),
    "broken json": ('Action: add\nAction Input: {"a" 1}', [("add", '{"a" 1}')]),
    "unknown tool": ('Action: look_up\nAction Input: {"q": 1}', [("look_up", '{"q": 1}')]),
    "several": (
        'Thought: both\nAction: get_weather\nAction Input: {"city": "Rome"}\n'
        'Action: get_weather\nAction Input: {"city": "Oslo"}',
        [ROME, OSLO],
    ),
    "several with thoughts": (
        'Thought: one\nAction: get_weather\nAction Input: {"city": "Rome"}\n\nThought: two\n'
        "Action: get_weather\nAction Input: {'city': 'Oslo'}\nObservation: x",
        [ROME, OSLO],
    ),
    "an action that is none before one": (
        'Thought: x\nAction: None\nThought: y\nAction: get_weather\nAction Input: {"city": "Rome"}',
        [ROME],
    ),
    "windows lines": ('Thought: x\r\nAction: get_weather\r\nAction Input: {"city": "Rome"}\r\n', [ROME]),
}

TEXTS = {
    "as told": ("Thought: I know.\nFinal Answer: It is sunny.", "It is sunny."),
    "no thought": ("Final Answer: It is sunny.", "It is sunny."),
    "on the next line": ("Thought: I know.\nFinal Answer:\n\nIt is sunny.\nVery.", "It is sunny.\nVery."),
    "bold": ("**Thought:** I know.\n**Final Answer:** It is sunny.", "It is sunny."),
    "bold answer": ("Final Answer: **It** is sunny.", "**It** is sunny."),
    "bold marker and answer": ("**Final Answer**: **It** is sunny.", "**It** is sunny."),
    "same line": ("Thought: I know. Final Answer: It is sunny.", "It is sunny."),
    "lower case": ("thought: x\nfinal answer: It is sunny.", "It is sunny."),
    "marker words inside": (
        "Final Answer: Do this:\nAction: run\nObservation: x",
        "Do this:\nAction: run\nObservation: x",
    ),
    "plain": ("It is sunny.", "It is sunny."),
    "plain lines": ("  It is sunny.\n\nIndeed: very.\n", "  It is sunny.\n\nIndeed: very.\n"),
    "plain with an observation": ("It is sunny.\nObservation: I like it.", "It is sunny.\nObservation: I like it."),
    "only a thought": ("Thought: It is sunny.", "It is sunny."),
    "a thought and a made-up observation": ("Thought: It is sunny.\nObservation: rain", "It is sunny."),
    "no action": ("Thought: no tool is needed.\nAction: None\nFinal Answer: It is sunny.", "It is sunny."),
    "no action and no answer": ("Thought: It is sunny.\nAction: None", "It is sunny."),
    "answer as an action": ("Thought: x\nAction: Final Answer\nAction Input: It is sunny.", "It is sunny."),
    "structured answer": ('Action: {"action": "Final Answer", "action_input": "It is sunny."}', "It is sunny."),
    "json": ('Final Answer: {"weather": "sunny"}', '{"weather": "sunny"}'),
    "empty": ("", ""),
}


@pytest.mark.parametrize(("written", "calls"), CALLS.values(), ids=CALLS)
def test_actions_become_calls(written: str, calls: list[tuple[str, str]]) -> None:
    assert read(written) == Read("", calls, FinishReason.TOOL_CALLS)


@pytest.mark.parametrize(("written", "text"), TEXTS.values(), ids=TEXTS)
def test_answers_become_text(written: str, text: str) -> None:
    assert read(written) == Read(text, [], FinishReason.STOP)


@pytest.mark.parametrize("written", [written for written, _ in [*CALLS.values(), *TEXTS.values()]])
def test_result_does_not_depend_on_chunk_boundaries(written: str) -> None:
    whole = read(written)

    assert read(*written) == whole
    for cut in range(len(written) + 1):
        assert read(written[:cut], written[cut:]) == whole
    for width in (2, 3, 5, 7):
        assert read(*(written[start : start + width] for start in range(0, len(written), width))) == whole


def test_only_first_action_counts_without_parallel_calls() -> None:
    written = CALLS["several"][0]

    assert read(written, parallel=False) == Read("", [ROME], FinishReason.TOOL_CALLS)
    assert read(*written, parallel=False) == Read("", [ROME], FinishReason.TOOL_CALLS)


def test_final_answer_is_streamed() -> None:
    answer = ReactAnswer(ModelRequest("m", (), FUNCTIONS))

    told = [[*answer.feed(piece)] for piece in ["Thought: I", " know.\nFinal", " Answer:", " It", " is", " sunny."]]

    assert told == [[], [], [], [TextDelta("It")], [TextDelta(" is")], [TextDelta(" sunny.")]]


def test_made_up_observation_ends_answer() -> None:
    answer = ReactAnswer(ModelRequest("m", (), FUNCTIONS))

    for piece in ["Action: get_time\nAction Input: {}", "\nObservation", ":"]:
        assert not answer.is_over
        assert [*answer.feed(piece)] == []

    assert answer.is_over


@pytest.mark.parametrize("reason", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
def test_incomplete_answer_has_finish_reason(reason: FinishReason) -> None:
    assert read("Final Answer: It is", reason=reason) == Read("It is", [], reason)
    assert read("Thought: I wonder", reason=reason) == Read("I wonder", [], reason)
    cut_call = read('Action: get_weather\nAction Input: {"city": "Ro', reason=reason)
    assert cut_call.reason is reason
    assert [name for name, _ in cut_call.calls] == ["get_weather"]


def test_complete_call_counts_in_incomplete_answer() -> None:
    written = 'Action: get_weather\nAction Input: {"city": "Rome"}\nThought: now I wai'

    assert read(written, reason=FinishReason.LENGTH) == Read("", [ROME], FinishReason.TOOL_CALLS)


def test_arguments_are_repaired_to_json_if_unambiguous() -> None:
    for name, (_, calls) in CALLS.items():
        if name not in {"bare value of several", "broken json"}:
            for _, arguments in calls:
                assert isinstance(json.loads(arguments), dict)
