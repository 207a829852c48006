"""Cohere's wire, of which litellm reads neither calls nor ends: https://docs.cohere.com/v2/docs/streaming"""

from collections.abc import Callable, Mapping
from typing import Any

CALL_EVENTS = ("tool-call-start", "tool-call-delta")


def send_coheres_tool_choice() -> None:
    """litellm accepts the parameter, and does not send it."""
    # This class names the parameters of both versions of the API.
    from litellm.llms.cohere.chat.transformation import CohereChatConfig

    config: Any = CohereChatConfig
    config.map_openai_params = _with_tool_choice(config.map_openai_params)


def ask_cohere_for_one_choice() -> None:
    """litellm sends `n` as `num_generations`, which Cohere's chat API does not have: it would answer once."""
    from litellm.llms.cohere.chat.transformation import CohereChatConfig
    from litellm.llms.cohere.chat.v2_transformation import CohereV2ChatConfig

    configs: tuple[Any, ...] = (CohereChatConfig, CohereV2ChatConfig)
    for config in configs:
        config.get_supported_openai_params = _without_choices(config.get_supported_openai_params)


def read_coheres_events() -> None:
    from litellm.llms.cohere.chat.v2_transformation import CohereV2ChatConfig
    from litellm.llms.openai.chat.gpt_transformation import OpenAIChatCompletionStreamingHandler

    class Events(OpenAIChatCompletionStreamingHandler):  # type: ignore[misc]
        def chunk_parser(self, chunk: dict[str, Any]) -> Any:
            return super().chunk_parser(_chunk(chunk))

    def events(_: Any, streaming_response: Any, sync_stream: bool, json_mode: bool | None = False) -> Events:
        return Events(streaming_response, sync_stream, json_mode)

    config: Any = CohereV2ChatConfig
    config.get_model_response_iterator = events


def _without_choices(supported: Callable[..., list[str]]) -> Callable[..., list[str]]:
    return lambda config, model: [name for name in supported(config, model) if name != "n"]


def _with_tool_choice(map_parameters: Callable[..., Any]) -> Callable[..., Any]:
    def map_openai_params(self: Any, non_default_params: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        mapped = map_parameters(self, non_default_params, *args, **kwargs)
        match non_default_params.get("tool_choice"):
            case "required" | "none" as choice:
                mapped["tool_choice"] = choice.upper()
            case {"function": {"name": name}}:
                # Cohere can be made to call a function, and not which.
                mapped["tools"] = [tool for tool in mapped["tools"] if tool["function"]["name"] == name]
                mapped["tool_choice"] = "REQUIRED"
        return mapped

    return map_openai_params


def _chunk(event: Mapping[str, Any]) -> dict[str, Any]:
    """The chunk of chat completions that says what `event` says."""
    match event:
        case {"type": "content-delta", "delta": {"message": {"content": {"text": str(text)}}}}:
            return _with_choice({"content": text})
        case {"type": kind, "delta": {"message": {"tool_calls": {**call}}}} if kind in CALL_EVENTS:
            return _with_choice({"tool_calls": [{"index": event.get("index") or 0, "type": "function", **call}]})
        case {"type": "message-end", "delta": {"finish_reason": reason}}:
            return {**_with_choice({}, reason), "usage": _usage(event["delta"].get("usage") or {})}
        case {"error": _}:
            return dict(event)
    return _with_choice({})


def _with_choice(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _usage(usage: Mapping[str, Any]) -> dict[str, int]:
    tokens = usage.get("tokens") or {}
    prompt, completion = (int(tokens.get(name) or 0) for name in ("input_tokens", "output_tokens"))
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
