"""How providers differ from OpenAI in what they take: as litellm knows it, and as their references say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.language_model.chat_completions.providers import AZURE, OPENAI

Body = dict[str, Any]

CHOOSE = "Please select a tool to handle the current issue."
"""Moonshot's own advice in place of a required call."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`required` is the word for a call that must be made; None if there is none, and a message says so.

    Reasoning models have another parameter for the answer's limit if `renames_limits`. `model_path` precedes a bare
    model's name. Unless the provider `takes_parts`, a text in several parts is joined; unless it `takes_effort`, any
    effort of reasoning turns its thoughts on, and `none` turns them off.
    """

    required: str | None = "required"
    takes_strict: bool = True
    takes_parts: bool = True
    takes_effort: bool = True
    renames_limits: bool = False
    model_path: str = ""

    def model(self, name: str) -> str:
        return name if "/" in name else f"{self.model_path}{name}"

    def adapt(self, body: Body) -> None:
        """Change `body`, a request in OpenAI's form, into the provider's."""
        if not self.takes_strict:
            for tool in body.get("tools", ()):
                tool.get("function", {}).pop("strict", None)
        if not self.takes_parts:
            for message in body["messages"]:
                message["content"] = _joined(message.get("content"))
        if not self.takes_effort and (effort := body.pop("reasoning_effort", None)):
            body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
        if body.get("tool_choice") == "required" != self.required:
            self._require_call(body)

    def _require_call(self, body: Body) -> None:
        if self.required is None:
            del body["tool_choice"]
            body["messages"].append({"role": "user", "content": CHOOSE})
        else:
            body["tool_choice"] = self.required


def _joined(content: Any) -> Any:
    if isinstance(content, list) and all(part["type"] == "text" for part in content):
        return "".join(part["text"] for part in content)
    return content


PLAIN = Dialect()
_OPENAIS = Dialect(renames_limits=True)
_MISTRALS = Dialect(required="any")
_OF_TEXTS = Dialect(takes_parts=False)
_LENIENT = Dialect(takes_strict=False)
_UNFORCED = Dialect(required=None)

DIALECTS: Mapping[str, Dialect] = {
    OPENAI: _OPENAIS,
    AZURE: _OPENAIS,
    "mistral": _MISTRALS,
    "codestral": _MISTRALS,
    "deepseek": Dialect(takes_parts=False, takes_effort=False),
    "docker_model_runner": _OF_TEXTS,
    "modelscope": _OF_TEXTS,
    "publicai": _OF_TEXTS,
    "hosted_vllm": _LENIENT,
    "xai": _LENIENT,
    "fireworks_ai": Dialect(takes_strict=False, model_path="accounts/fireworks/models/"),
    "moonshot": _UNFORCED,
    "deepinfra": _UNFORCED,
}
