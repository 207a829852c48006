"""What litellm reads wrongly on Gemini's wire, or does not know of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def read_calls_without_arguments() -> None:
    """Gemini's API sends these without the field, and litellm does not read them."""
    config = _config()
    config._transform_parts = staticmethod(_with_arguments(config._transform_parts))


def invent_no_endings() -> None:
    """litellm reports "stop" for every chunk without a finish reason: a stream that broke off would be complete."""
    config = _config()
    config._create_streaming_choice = staticmethod(_with_own_ending(config._create_streaming_choice))


def send_top_logprobs() -> None:
    """litellm has Gemini's name for them, `generationConfig.logprobs`, but lists them for Vertex AI only.

    https://ai.google.dev/api/generate-content#generationconfig
    """
    from litellm import GoogleAIStudioGeminiConfig

    config: Any = GoogleAIStudioGeminiConfig
    config.get_supported_openai_params = _with_top_logprobs(config.get_supported_openai_params)


def _with_top_logprobs(supported: Callable[..., list[str]]) -> Callable[..., list[str]]:
    return lambda config, model: [*supported(config, model), "top_logprobs"]


def _config() -> Any:
    from litellm.llms.vertex_ai.gemini import vertex_and_google_ai_studio_gemini as gemini

    return gemini.VertexGeminiConfig


def _with_arguments(transform: Callable[..., Any]) -> Callable[..., Any]:
    def transform_parts(parts: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        return transform([_completed(part) for part in parts], *args, **kwargs)

    return transform_parts


def _completed(part: Mapping[str, Any]) -> Mapping[str, Any]:
    call = part.get("functionCall")
    return {**part, "functionCall": {"args": {}, **call}} if isinstance(call, Mapping) else part


def _with_own_ending(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_choice(*, candidate: Mapping[str, Any], **about: Any) -> Any:
        choice = create(candidate=candidate, **about)
        if not candidate.get("finishReason"):
            choice.finish_reason = None
        return choice

    return create_choice
