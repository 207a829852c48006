"""The providers of OpenAI's chat completions, by litellm's prefix for them.

`providers.json` is taken from litellm, by `python -m tests.infra.language_model.chat_completions.litellm_providers`.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import openai_api

TABLE = Path(__file__).with_name("providers.json")
OPENAI, AZURE, OLLAMA, OLLAMA_CHAT = "openai", "azure", "ollama", "ollama_chat"


@dataclass(frozen=True, slots=True)
class Provider:
    """`url` is None if every operator has an own one. The first variable that is set counts.

    `default_key` is sent if there is no key: servers of one's own want none. Models that are not in the price list get
    functions if the provider `takes_tools`. `refused` are parameters that none of its models takes.
    """

    url: str | None
    url_variables: tuple[str, ...] = ()
    key_variables: tuple[str, ...] = ()
    default_key: str | None = None
    takes_tools: bool = True
    takes_stream_options: bool = True
    refused: tuple[str, ...] = ()

    @property
    def needs_key(self) -> bool:
        return bool(self.key_variables) and self.default_key is None

    @property
    def url_of_environment(self) -> str | None:
        return _first_set(self.url_variables) or self.url

    @property
    def key_of_environment(self) -> str | None:
        return _first_set(self.key_variables) or self.default_key


def _listed() -> dict[str, Provider]:
    return {name: Provider(**_with_tuples(row)) for name, row in json.loads(TABLE.read_bytes()).items()}


def _with_tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


def _first_set(variables: Iterable[str]) -> str | None:
    return next((value for name in variables if (value := os.environ.get(name))), None)


_OLLAMA = Provider(
    "http://localhost:11434",
    ("OLLAMA_API_BASE",),
    ("OLLAMA_API_KEY",),
    default_key="ollama",
    refused=("parallel_tool_calls",),
)

PROVIDERS: Mapping[str, Provider] = {
    **_listed(),
    OPENAI: Provider(openai_api.OPENAI_URL, openai_api.URL_VARIABLES, (openai_api.KEY_VARIABLE,)),
    AZURE: Provider(None, ("AZURE_API_BASE",), ("AZURE_API_KEY", "AZURE_OPENAI_API_KEY")),
    OLLAMA: _OLLAMA,
    OLLAMA_CHAT: _OLLAMA,
}
