"""The built-in offline model: deterministic, for a first try without a key, for demonstrations and for tests."""

import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator
from itertools import islice
from typing import Any

from infra.language_model.beyond_the_port import not_taken
from infra.language_model.schema_samples import sample
from infra.time_slices import TimeSlices
from models.language_model import (
    AssistantTurn,
    CallDelta,
    Finish,
    FinishReason,
    Function,
    FunctionOutput,
    ImagePart,
    ModelDelta,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextDelta,
    TextPart,
    TokenUsage,
    UserTurn,
)
from models.tool_calls import ToolKind
from models.tool_formats.file_search import first_passage

SCRIPTED_MODEL = "holdfast/scripted"
MAX_QUOTED_CHARACTERS = 1000
URL = re.compile(r"https?://[^\s<>\"]+")
_CODE_BLOCK = re.compile(r"^```(?:python|py)?[ \t]*\n(.*?)^```", re.MULTILINE | re.DOTALL | re.IGNORECASE)


class ScriptedLanguageModel:
    """Calls the functions of the request, then answers with a text that quotes the prompt. A token is a word.

    It calls every function at once after a user's message (one, if the request says so), with arguments from each
    function's schema; it searches files and the web for the user's message, opens the page that the message names, and
    runs the code blocks of the message, if it has any. Otherwise it quotes the outputs, or the user's message. Of the
    results of a search it quotes and cites the first.
    """

    async def prepare(self) -> None:
        pass

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        if request.chat:
            raise not_taken(request.chat.beyond[0], request.model)
        called = _functions_to_call(request)
        reason = FinishReason.TOOL_CALLS if called else FinishReason.STOP
        said, slices = 0, TimeSlices()
        for piece in _calls(called, _said(request.prompt)) if called else _words(_answer(request)):
            await slices.checkpoint()
            if said == request.max_tokens:
                reason = FinishReason.LENGTH
                break
            said += 1
            yield piece
        yield Finish(reason, TokenUsage(sum(map(_tokens_of, request.prompt)), said))

    async def context_window_tokens(self, model: str) -> int | None:
        return None

    async def count_tokens(self, model: str, text: str) -> int:
        return len(text.split())


def _functions_to_call(request: ModelRequest) -> list[Function]:
    if _outputs_since_last_user_turn(request.prompt):
        return []
    match request.tool_choice:
        case "none":
            return []
        case ("function", name):
            return [function for function in request.functions if function.name == name]
    has_code = bool(code_blocks(_said(request.prompt)))
    useful = (each for each in request.functions if has_code or each.kind is not ToolKind.CODE_INTERPRETER)
    return list(islice(useful, None if request.parallel_tool_calls else 1))


def _outputs_since_last_user_turn(prompt: Iterable[PromptItem]) -> list[FunctionOutput]:
    outputs: list[FunctionOutput] = []
    for item in prompt:
        if isinstance(item, UserTurn):
            outputs = []
        elif isinstance(item, FunctionOutput):
            outputs.append(item)
    return outputs


def _calls(functions: Iterable[Function], said: str) -> Iterator[ModelDelta]:
    for index, function in enumerate(functions):
        yield CallDelta(index, name=function.name)
        for word in _split(json.dumps(_arguments(function, said), ensure_ascii=False)):
            yield CallDelta(index, arguments=word)


def _arguments(function: Function, said: str) -> Any:
    match function.kind:
        case ToolKind.FILE_SEARCH:
            return {"queries": [said]}
        case ToolKind.WEB_RETRIEVAL:
            named = URL.search(said)
            return {"url": named.group()} if named else {"query": said}
        case ToolKind.CODE_INTERPRETER:
            return {"code": "\n".join(code_blocks(said))}
    return sample(function.parameters)


def _answer(request: ModelRequest) -> str:
    plain = _plain_answer(request.prompt)
    match request.response_format:
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return json.dumps(sample(schema), ensure_ascii=False)
        case {"type": "json_object" | "json_schema"}:
            return json.dumps({"answer": plain}, ensure_ascii=False)
    return plain


def _plain_answer(prompt: tuple[PromptItem, ...]) -> str:
    if outputs := _outputs_since_last_user_turn(prompt):
        names = {call.id: call.name for item in prompt if isinstance(item, AssistantTurn) for call in item.calls}
        return " ".join(f"{names.get(item.call_id, 'It')} returned: {_told(item.output)}" for item in outputs)
    images = sum(isinstance(part, ImagePart) for part in _last_user_turn(prompt).content)
    said = _said(prompt)
    answer = f"You said: {_quoted(said)}" if said.strip() else "You said nothing."
    return f"{answer} I see {images} image{'s' * (images > 1)}." if images else answer


def code_blocks(said: str) -> list[str]:
    """The code between fences in a user's message."""
    return _CODE_BLOCK.findall(said)


def _said(prompt: tuple[PromptItem, ...]) -> str:
    return " ".join(part.text for part in _last_user_turn(prompt).content if isinstance(part, TextPart))


def _last_user_turn(prompt: tuple[PromptItem, ...]) -> UserTurn:
    return next((item for item in reversed(prompt) if isinstance(item, UserTurn)), UserTurn(()))


def _told(output: str) -> str:
    if found := first_passage(output):
        return f"{_quoted(found.text)} {found.marker}"
    return _quoted(output)


def _quoted(text: str) -> str:
    return text if len(text) <= MAX_QUOTED_CHARACTERS else text[:MAX_QUOTED_CHARACTERS] + "…"


def _words(text: str) -> Iterator[ModelDelta]:
    return map(TextDelta, _split(text))


def _split(text: str) -> list[str]:
    return re.findall(r"\s*\S+\s*$|\s*\S+", text) or [text]


def _tokens_of(item: PromptItem) -> int:
    match item:
        case SystemPrompt(text):
            return len(text.split())
        case UserTurn(content):
            return sum(len(part.text.split()) if isinstance(part, TextPart) else 1 for part in content)
        case AssistantTurn(text, calls):
            return len((text or "").split()) + sum(1 + len(call.arguments.split()) for call in calls)
        case FunctionOutput(output=output):
            return len(output.split())
