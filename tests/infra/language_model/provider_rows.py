"""The rows of the table in docs/models.md, each with the wire of its provider, and what its cells say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from infra.language_model.errors import PromptRejected
from infra.ports import LanguageModel
from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    TextDelta,
    TextPart,
    UserTurn,
)
from tests.infra.language_model.answers import ask, saying
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Chunks, Reply, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, CohereSays, GeminiSays

YES, NO, NONE = "yes", "no", "none sent"
ALWAYS = "yes, always"
REFUSED = "refused"
AS_FUNCTION = "as a function"

THOUGHT = "dGhvdWdodA=="
"""Both a text and, for wires of signatures, base64."""
IMAGE = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"zebra": {"type": "string"}}, "required": ["zebra"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "animals", "schema": SCHEMA, "strict": True}}
FUNCTIONS = (Function("f"), Function("g"))


@dataclass(frozen=True)
class OpenAIWire:
    """`thought` is the delta in which reasoning comes, `signed` what a call carries."""

    thought: Mapping[str, Any] | None = None
    signed: Mapping[str, Any] | None = None

    @property
    def thinks(self) -> bool:
        return bool(self.thought or self.signed)

    def words(self) -> Reply:
        return Chunks(chunk_of({"content": "Two "}), chunk_of({"content": "words."}), chunk_of({}, "stop"))

    def calls(self, *names: str) -> Reply:
        calls = [
            {"index": index, "id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
            for index, name in enumerate(names)
        ]
        calls[0] |= self.signed or {}
        return Chunks(chunk_of(self.thought or {}), chunk_of({"tool_calls": calls}), chunk_of({}, "tool_calls"))


class ClaudesWire:
    thinks = True

    def words(self) -> Reply:
        return ClaudeSays(({"type": "text", "text": "Two words."},))

    def calls(self, *names: str) -> Reply:
        thinking = {"type": "thinking", "thinking": "Hm.", "signature": THOUGHT}
        calls = ({"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}} for name in names)
        return ClaudeSays((thinking, *calls), "tool_use")


class BedrocksWire:
    thinks = True

    def words(self) -> Reply:
        return BedrockSays(({"text": "Two words."},))

    def calls(self, *names: str) -> Reply:
        thinking = {"reasoningContent": {"text": "Hm.", "signature": THOUGHT}}
        calls = ({"toolUse": {"toolUseId": f"tooluse_{name}", "name": name, "input": {}}} for name in names)
        return BedrockSays((thinking, *calls), "tool_use")


class GeminisWire:
    thinks = True

    def words(self) -> Reply:
        return GeminiSays(({"text": "Two "}, {"text": "words."}))

    def calls(self, *names: str) -> Reply:
        first, *others = ({"functionCall": {"name": name, "args": {}}} for name in names)
        return GeminiSays((first | {"thoughtSignature": THOUGHT}, *others))


class CoheresWire:
    thinks = True

    def words(self) -> Reply:
        return CohereSays("Two words.")

    def calls(self, *names: str) -> Reply:
        return CohereSays(calls=tuple((name, "{}") for name in names), finish="TOOL_CALL", thought=THOUGHT)


@dataclass(frozen=True)
class Row:
    provider: str
    prefix: str
    wire: OpenAIWire | ClaudesWire | BedrocksWire | GeminisWire | CoheresWire
    way: Literal["directly", "litellm"] = "directly"
    model: str = ""
    """A name that the test needs, because litellm knows the abilities of models by name."""
    params: tuple[tuple[str, str], ...] = ()
    has_root: bool = False
    path: str = ""


DETAIL = {"type": "reasoning.text", "text": THOUGHT, "index": 0}
SIGNED = {"extra_content": {"google": {"thought_signature": THOUGHT}}}
THINKING_PART = {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}

BEDROCKS_CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"

ROWS = (
    Row("OpenAI", "openai", OpenAIWire()),
    Row("Azure OpenAI", "azure", OpenAIWire(), params=(("api_version", "2024-10-21"),), has_root=True),
    Row("vLLM", "hosted_vllm", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("Ollama", "ollama", OpenAIWire({"reasoning": THOUGHT})),
    Row("DeepSeek", "deepseek", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("Mistral", "mistral", OpenAIWire({"content": [THINKING_PART]})),
    Row("Groq", "groq", OpenAIWire({"reasoning": THOUGHT})),
    Row("Moonshot (Kimi)", "moonshot", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("OpenRouter", "openrouter", OpenAIWire({"reasoning_details": [DETAIL]})),
    Row("xAI", "xai", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("Together", "together_ai", OpenAIWire({"reasoning": THOUGHT})),
    Row("Fireworks", "fireworks_ai", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("Cerebras", "cerebras", OpenAIWire({"reasoning": THOUGHT})),
    Row("Z.ai (GLM)", "zai", OpenAIWire({"reasoning_content": THOUGHT})),
    Row("Gemini, its OpenAI endpoint", "openai", OpenAIWire(signed=SIGNED)),
    Row("Gemini", "gemini", GeminisWire(), "litellm", "gemini-2.5-pro", has_root=True),
    Row("Anthropic", "anthropic", ClaudesWire(), "litellm", "claude-sonnet-4-5", has_root=True),
    Row("Bedrock, its Claude", "bedrock", BedrocksWire(), "litellm", BEDROCKS_CLAUDE, has_root=True),
    Row("Cohere", "cohere", CoheresWire(), "litellm", "command-a-03-2025", has_root=True, path="/v2/chat"),
)
COLUMNS = ("Tools", "Parallel", "Streaming", "Reasoning kept", "Images", "JSON schema")


@dataclass(frozen=True)
class Trial:
    """The cells of one row, each from requests to the scripted provider and from its answers."""

    language_model: LanguageModel
    provider: ScriptedProvider
    row: Row
    model: str
    sent_as: str

    async def cells(self) -> Sequence[str]:
        return [
            await self._tools(),
            await self._parallel(),
            await self._streaming(),
            await self._reasoning(),
            await self._images(),
            await self._schema(),
        ]

    @property
    def _request(self) -> ModelRequest:
        return saying(self.model)

    async def _sent(self, request: ModelRequest, reply: Reply) -> tuple[Any, Mapping[str, Any]]:
        self.provider.script(self.sent_as, reply)
        answered = await ask(self.language_model, request)
        return answered, self.provider.requests(self.sent_as)[-1]

    async def _tools(self) -> str:
        request = replace(self._request, functions=FUNCTIONS)
        answered, body = await self._sent(request, self.row.wire.calls("f"))
        offered = body.get("tools") or body["toolConfig"]
        return YES if answered.calls == [("f", "{}")] and '"g"' in json.dumps(offered) else NO

    async def _parallel(self) -> str:
        request = replace(self._request, functions=FUNCTIONS)
        answered, _ = await self._sent(request, self.row.wire.calls("f", "g"))
        if [name for name, _ in answered.calls] != ["f", "g"]:
            return NO
        try:
            _, body = await self._sent(replace(request, parallel_tool_calls=False), self.row.wire.calls("f"))
        except PromptRejected:
            self.provider.forget(self.provider.models)
            return ALWAYS
        # `parallel_tool_calls`, or Claude's `disable_parallel_tool_use`.
        return YES if "parallel_tool" in json.dumps(body) else "ignored"

    async def _streaming(self) -> str:
        answered, _ = await self._sent(self._request, self.row.wire.words())
        return YES if sum(isinstance(delta, TextDelta) for delta in answered.deltas) == 2 else NO

    async def _reasoning(self) -> str:
        if not self.row.wire.thinks:
            return NONE
        request = replace(self._request, functions=FUNCTIONS)
        answered, _ = await self._sent(request, self.row.wire.calls("f"))
        turn = AssistantTurn(None, (FunctionCall("c", "f", "{}"),), answered.finish.state)
        continued = replace(request, prompt=(*request.prompt, turn, FunctionOutput("c", "An output.")))
        _, body = await self._sent(continued, self.row.wire.words())
        return YES if THOUGHT in json.dumps(body) else NO

    async def _images(self) -> str:
        image = UserTurn((TextPart("What is this?"), ImagePart(f"data:image/png;base64,{IMAGE}")))
        _, body = await self._sent(replace(self._request, prompt=(image,)), self.row.wire.words())
        return YES if IMAGE in json.dumps(body) else NO

    async def _schema(self) -> str:
        try:
            _, body = await self._sent(replace(self._request, response_format=FORMAT), self.row.wire.words())
        except PromptRejected:
            self.provider.forget(self.provider.models)
            return REFUSED
        if "zebra" in json.dumps(body.get("tools", body.get("toolConfig", []))):
            return AS_FUNCTION
        return YES if "zebra" in json.dumps(body) else NO
