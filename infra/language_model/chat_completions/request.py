"""The body of a call in the endpoint's form."""

import json
import re
from copy import deepcopy
from typing import Any

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.dialects import DIALECTS, PLAIN
from infra.language_model.chat_completions.providers import PROVIDERS
from infra.language_model.chat_parameters import chat_parameters
from infra.language_model.errors import PromptRejected
from models.language_model import ChatBody, ModelRequest

REASONING_MODEL = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)(?!-chat)")
"""OpenAI's models with another parameter for the answer's limit, and without stop sequences."""


def body_of(request: ModelRequest, endpoint: Endpoint) -> bytes:
    """Raises `PromptRejected` for a parameter that no model of the provider takes."""
    provider, dialect, chat = PROVIDERS[endpoint.provider], DIALECTS.get(endpoint.provider, PLAIN), request.chat
    parameters = chat_parameters(request, endpoint.vendor) if chat is None else _given(chat)
    is_streamed = chat is None or chat.is_streamed
    body: dict[str, Any] = {**parameters, "model": dialect.model(endpoint.model), "stream": is_streamed}
    refused = [name for name in provider.refused if name in body]
    if is_streamed and provider.takes_stream_options:
        body["stream_options"] = {**_stream_options(chat), "include_usage": True}
    elif _stream_options(chat).get("include_obfuscation"):
        refused.append("stream_options.include_obfuscation")
    if refused:
        raise PromptRejected(_refusal(request.model, endpoint.provider, refused))
    if dialect.renames_limits and REASONING_MODEL.match(endpoint.base_model):
        _adapt_to_reasoning(body, is_stop_ours=chat is None)
    elif not dialect.renames_limits and "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    dialect.adapt(body)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _given(chat: ChatBody) -> dict[str, Any]:
    given = {name: value for name, value in chat.fields.items() if value is not None and name != "stream_options"}
    # Dialects change them.
    copied = {"messages": [*map(dict, given["messages"])]}
    return {**given, **copied, **({"tools": deepcopy(given["tools"])} if "tools" in given else {})}


def _stream_options(chat: ChatBody | None) -> dict[str, Any]:
    return (chat.fields.get("stream_options") if chat else None) or {}


def _adapt_to_reasoning(body: dict[str, Any], is_stop_ours: bool) -> None:
    if is_stop_ours:
        body.pop("stop", None)
    if "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")


def _refusal(model: str, provider: str, refused: list[str]) -> str:
    return f"The call of '{model}' failed: {provider} does not support parameters: {', '.join(refused)}."
