"""The body of a call in the endpoint's form."""

import json
import re

from infra.language_model.chat_completions.endpoints import Endpoint
from infra.language_model.chat_parameters import chat_parameters
from models.language_model import ModelRequest

REASONING_MODEL = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)(?!-chat)")
"""OpenAI's models with another parameter for the answer's limit, and without stop sequences."""


def body_of(request: ModelRequest, endpoint: Endpoint) -> bytes:
    parameters = chat_parameters(request, endpoint.provider)
    if REASONING_MODEL.match(endpoint.model):
        parameters.pop("stop", None)
        if "max_tokens" in parameters:
            parameters["max_completion_tokens"] = parameters.pop("max_tokens")
    body = {"model": endpoint.model, **parameters, "stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
