"""The body of a call in the endpoint's form."""

import json
import re

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.dialects import DIALECTS, PLAIN
from infra.language_model.chat_completions.providers import PROVIDERS
from infra.language_model.chat_parameters import chat_parameters
from infra.language_model.errors import PromptRejected
from models.language_model import ModelRequest

REASONING_MODEL = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)(?!-chat)")
"""OpenAI's models with another parameter for the answer's limit, and without stop sequences."""


def body_of(request: ModelRequest, endpoint: Endpoint) -> bytes:
    """Raises `PromptRejected` for a parameter that no model of the provider takes."""
    provider, dialect = PROVIDERS[endpoint.provider], DIALECTS.get(endpoint.provider, PLAIN)
    body = {"model": dialect.model(endpoint.model), **chat_parameters(request, endpoint.vendor), "stream": True}
    if provider.takes_stream_options:
        body["stream_options"] = {"include_usage": True}
    if refused := [name for name in provider.refused if name in body]:
        raise PromptRejected(_refusal(request.model, endpoint.provider, refused))
    if dialect.renames_limits and REASONING_MODEL.match(endpoint.base_model):
        body.pop("stop", None)
        if "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
    dialect.adapt(body)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _refusal(model: str, provider: str, refused: list[str]) -> str:
    return f"The call of '{model}' failed: {provider} does not support parameters: {', '.join(refused)}."
