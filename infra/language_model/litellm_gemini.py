"""Gemini's calls without arguments, which its API sends without the field, and litellm does not read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def read_calls_without_arguments() -> None:
    from litellm.llms.vertex_ai.gemini import vertex_and_google_ai_studio_gemini as gemini

    config: Any = gemini.VertexGeminiConfig
    config._transform_parts = staticmethod(_with_arguments(config._transform_parts))


def _with_arguments(transform: Callable[..., Any]) -> Callable[..., Any]:
    def transform_parts(parts: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        return transform([_completed(part) for part in parts], *args, **kwargs)

    return transform_parts


def _completed(part: Mapping[str, Any]) -> Mapping[str, Any]:
    call = part.get("functionCall")
    return {**part, "functionCall": {"args": {}, **call}} if isinstance(call, Mapping) else part
