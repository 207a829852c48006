"""The providers that litellm treats as OpenAI-like, as it knows them: run it to write `providers.json` again."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from infra.language_model.chat_completions import providers
from infra.language_model.litellm_loading import load_litellm

MODEL = "no-such-model"

BESIDE = ("mistral", "openrouter")
"""litellm's own classes for these derive from the one for OpenAI."""

IN_CALLS = {
    "cometapi": {
        "url": "https://api.cometapi.com/v1",
        "url_variables": ["COMETAPI_API_BASE"],
        "key_variables": ["COMETAPI_KEY"],
    },
    "openrouter": {
        "url": "https://openrouter.ai/api/v1",
        "url_variables": ["OPENROUTER_API_BASE"],
        "key_variables": ["OPENROUTER_API_KEY", "OR_API_KEY"],
    },
}
"""What litellm's function for calls has in its midst, where nothing else can read it."""

EXCLUDED = {
    "ai21": "completions, but for its models of chats: `ai21_chat`",
    "anyscale": "litellm does not find it any more",
    "azure_ai": "several wires under one prefix",
    "chatgpt": "signs in with a browser",
    "clarifai": "the model's name is three names",
    "gdc": "signs in with an account's file",
    "github_copilot": "signs in with a browser",
    "ragflow": "the model's name is part of the address",
    "sarvam": "has another header for the key",
}

REFUSABLE = ("temperature", "top_p", "max_tokens", "parallel_tool_calls", "tool_choice", "response_format")


def rows() -> dict[str, dict[str, Any]]:
    litellm = load_litellm().module
    from litellm.llms.openai_like.json_loader import JSONProviderRegistry

    names = {*litellm.openai_compatible_providers, *JSONProviderRegistry.list_providers(), *BESIDE}
    return {name: _row(litellm, name) for name in sorted(names - EXCLUDED.keys())}


def _row(litellm: Any, name: str) -> dict[str, Any]:
    with _recorded_variables() as asked:
        _, provider, key, url = litellm.get_llm_provider(f"{name}/{MODEL}")
    of_unlisted = _params(litellm, MODEL, provider)
    listed = (model for model, entry in litellm.model_cost.items() if _is_chat_of(entry, name))
    of_any = of_unlisted.union(*(_params(litellm, model.removeprefix(f"{name}/"), provider) for model in listed))
    return {
        "url": (url or "").rstrip("/") or None,
        "url_variables": [each for each in asked if each.endswith(("_BASE", "_URL", "_HOST"))],
        "key_variables": [each for each in asked if each.endswith(("_KEY", "_TOKEN", "_AI_TOKEN"))],
        "default_key": key,
        "takes_tools": "tools" in of_unlisted,
        "takes_stream_options": "stream_options" in of_unlisted,
        "refused": [each for each in REFUSABLE if each not in of_any],
        **IN_CALLS.get(name, {}),
    }


def _params(litellm: Any, model: str, provider: str) -> set[str]:
    # None: litellm has no list, and sends what an OpenAI model takes.
    params = litellm.get_supported_openai_params(model, custom_llm_provider=provider)
    return set(params or litellm.get_supported_openai_params("gpt-4o", custom_llm_provider="openai"))


def _is_chat_of(entry: Mapping[str, Any], name: str) -> bool:
    return entry.get("litellm_provider") == name and entry.get("mode") == "chat"


@contextmanager
def _recorded_variables() -> Iterator[list[str]]:
    """The names of the variables that the block asks for, none of which is set."""
    asked: list[str] = []

    def absent(_: object, name: str) -> str:
        if name not in asked:
            asked.append(name)
        raise KeyError(name)

    with patch.object(type(os.environ), "__getitem__", absent):
        yield asked


def written(found: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in found.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    Path(providers.TABLE).write_text(written(rows()))
