"""Tools for a model without function calling: described in the prompt, called and answered in text."""

import json
from collections.abc import Iterator
from dataclasses import replace

from models.language_model import (
    AssistantTurn,
    Function,
    FunctionOutput,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextPart,
    UserTurn,
)

STOP_SEQUENCE = "\nObservation:"

INSTRUCTIONS = """\
You have these tools:

{tools}

To use a tool, write exactly this and then stop:

Thought: why you need it
Action: the name of the tool, one of: {names}
Action Input: the input of the tool, a JSON object that fits its schema

The result is then given to you as:

Observation: the result

{several}

Once no more tools are needed, or if none is needed at all, write exactly this:

Thought: what you know now
Final Answer: your answer to the user
"""
SEVERAL = "To use several tools at once, write all their pairs of Action and Action Input, and then stop."
ONE_BY_ONE = "Use one tool at a time."
MUST_USE_ANY = "You must use a tool now, before you answer."
MUST_USE = "You must use the tool {name} now, before you answer."
MUST_ANSWER_JSON = "The text after Final Answer: must be one JSON object and nothing else."
MUST_FIT_SCHEMA = "The text after Final Answer: must be JSON that fits this schema, and nothing else: {schema}"


def needs_react(request: ModelRequest) -> bool:
    """Whether any part of `request` needs function calling."""
    return bool(request.functions) or any(isinstance(item, FunctionOutput) for item in request.prompt)


def offers_tools(request: ModelRequest) -> bool:
    return bool(request.functions) and request.tool_choice != "none"


def as_text(request: ModelRequest) -> ModelRequest:
    """The same request without functions: the tools, calls and outputs are described in text."""
    prompt = list(_in_text(request.prompt))
    if not offers_tools(request):
        return replace(request, prompt=tuple(prompt), functions=(), tool_choice="auto")
    rules = SystemPrompt("\n".join([*_instructions(request)]))
    return replace(
        request,
        prompt=tuple(_with_rules(prompt, rules)),
        functions=(),
        tool_choice="auto",
        parallel_tool_calls=True,
        # It would force JSON on the thoughts and actions too.
        response_format=None,
        stop=STOP_SEQUENCE,
    )


def _with_rules(prompt: list[PromptItem], rules: SystemPrompt) -> list[PromptItem]:
    # One system prompt: some templates of such models have no place for two.
    match prompt:
        case [SystemPrompt(text) as first, *rest]:
            return [replace(first, text=f"{text}\n\n{rules.text}"), *rest]
    return [rules, *prompt]


def _instructions(request: ModelRequest) -> Iterator[str]:
    tools = "\n".join(map(_description, request.functions))
    names = ", ".join(function.name for function in request.functions)
    several = SEVERAL if request.parallel_tool_calls else ONE_BY_ONE
    yield INSTRUCTIONS.format(tools=tools, names=names, several=several)
    match request.tool_choice:
        case "required":
            yield MUST_USE_ANY
        case ("function", name):
            yield MUST_USE.format(name=name)
    match request.response_format:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            yield MUST_FIT_SCHEMA.format(schema=json.dumps(schema, ensure_ascii=False))
        case {"type": "json_object" | "json_schema"}:
            yield MUST_ANSWER_JSON


def _description(function: Function) -> str:
    description = f": {function.description}" if function.description else ""
    schema = json.dumps(function.parameters, ensure_ascii=False)
    return f"- {function.name}{description}\n  JSON Schema of its input: {schema}"


def _in_text(prompt: tuple[PromptItem, ...]) -> Iterator[PromptItem]:
    names = {call.id: call.name for item in prompt if isinstance(item, AssistantTurn) for call in item.calls}
    outputs: list[FunctionOutput] = []
    for item in prompt:
        if isinstance(item, FunctionOutput):
            outputs.append(item)
            continue
        yield from _observations(outputs, names)
        outputs = []
        yield _actions(item) if isinstance(item, AssistantTurn) and item.calls else item
    yield from _observations(outputs, names)


def _observations(outputs: list[FunctionOutput], names: dict[str, str]) -> Iterator[UserTurn]:
    match outputs:
        case []:
            return
        case [only]:
            text = f"Observation: {only.output}"
        case several:
            text = "\n".join(f"Observation of {names.get(item.call_id, '?')}: {item.output}" for item in several)
    yield UserTurn((TextPart(text),))


def _actions(turn: AssistantTurn) -> AssistantTurn:
    thought = [f"Thought: {turn.text}"] if turn.text else []
    actions = [f"Action: {call.name}\nAction Input: {call.arguments or '{}'}" for call in turn.calls]
    return AssistantTurn("\n".join([*thought, *actions]), name=turn.name)
