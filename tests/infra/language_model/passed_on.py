"""Chat completions whose fields the port lacks, asked by way of litellm, and what Gemini answers to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from models.chat_completions import CreateChatCompletionRequest
from models.language_model import ModelRequest, PassedOn
from tests.holdfast import function_tool
from tests.infra.language_model.answers import Answered
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import gemini_candidate

TOKENS: Any = {
    "chosenCandidates": [{"token": "Hi", "logProbability": -0.25}],
    "topCandidates": [{"candidates": [{"token": "Hi", "logProbability": -0.25}]}],
}
TOP: Any = {"token": "Hi", "bytes": None, "logprob": -0.25}
LOGPROBS: Any = {"refusal": None, "content": [{**TOP, "top_logprobs": [TOP]}]}
BOTH = (gemini_candidate("Hi", logprobsResult=TOKENS), gemini_candidate("Hey", "MAX_TOKENS", index=1))
TOOLS = [function_tool("f"), function_tool("g")]
CUSTOM: Any = [{"type": "custom", "custom": {"name": "word", "description": "Says a word."}}]
CUSTOM_CALL: Any = {"id": "c1", "type": "custom", "custom": {"name": "word", "input": "abc"}}
CALLED: Any = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": None, "tool_calls": [CUSTOM_CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "A word."},
]


def calling(*names: str, index: int = 1) -> dict[str, Any]:
    parts = [{"functionCall": {"name": name, "args": {}}} for name in names]
    return {"index": index, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}


def asked(model: str, **fields: Any) -> ModelRequest:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
    return CreateChatCompletionRequest.model_validate(body).model_request()


def pieces(answered: Answered) -> list[dict[str, Any]]:
    return [dict(delta.content) for delta in answered.deltas if isinstance(delta, PassedOn)]


class Models:
    """Opens a models file with the scripted provider behind each of its entries."""

    def __init__(self, provider: ScriptedProvider, folder: Path) -> None:
        self._provider, self._folder = provider, folder

    def opened(
        self, entries: Mapping[str, str], settings: Mapping[str, Any] | None = None, **more: Any
    ) -> LitellmLanguageModel:
        """`entries` are litellm's names by those of the file, `more` holds for every entry."""
        listed = [{"model_name": name, **self._entry(called, more)} for name, called in entries.items()]
        path = self._folder / "models.yaml"
        path.write_text(yaml.safe_dump({"model_list": listed, **(settings or {})}))
        return LitellmLanguageModel(ModelCatalogue.load(path))

    def _entry(self, called: str, more: Mapping[str, Any]) -> dict[str, Any]:
        is_openais = called.startswith(("openai/", "groq/"))
        url = self._provider.url if is_openais else self._provider.root
        params = {"model": called, "api_base": url, "api_key": "k", **more.get("litellm_params", {})}
        return {**more, "litellm_params": params}
