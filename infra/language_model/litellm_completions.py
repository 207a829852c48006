"""litellm's answers as pieces of OpenAI's chat completions, without what litellm and its providers add."""

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

ENVELOPE = ("system_fingerprint", "service_tier")
"""Without the id, of which litellm invents one for each chunk."""

MESSAGE = ("role", "content", "refusal", "annotations", "audio", "images")
"""`images` are no part of OpenAI's messages, but the only place for those that were asked for by `modalities`."""


def completion_of(response: Any, has_functions: bool) -> Json:
    """A whole answer; to a request in the form before tools if it `has_functions`."""
    choices = [
        {**_choice(choice, has_functions), "message": _whole_message(choice.message, has_functions)}
        for choice in response.choices
    ]
    return {**_envelope(response), "choices": choices}


def chunk_of(chunk: Any, has_functions: bool) -> Json:
    """One piece of a stream, with one choice at most."""
    choices = [
        {**_choice(choice, has_functions), "delta": _message(choice.delta, has_functions)}
        for choice in chunk.choices[:1]
    ]
    # The usage of litellm comes with a choice that says nothing.
    said = [choice for choice in choices if choice["delta"] or choice["logprobs"] or choice["finish_reason"]]
    return {**_envelope(chunk), "choices": said}


def chunks_of(completion: Mapping[str, Any]) -> Iterator[Json]:
    """A whole answer as a stream: each choice in one piece, then its end, and the usage last."""
    head = {name: value for name, value in completion.items() if name not in ("choices", "usage")}
    for choice in completion["choices"]:
        calls = choice["message"].get("tool_calls")
        numbered = {"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]} if calls else {}
        said = {"index": choice["index"], "delta": {**choice["message"], **numbered}, "logprobs": choice["logprobs"]}
        yield {**head, "choices": [{**said, "finish_reason": None}]}
        yield {**head, "choices": [{**said, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}]}
    yield {**head, "choices": [], "usage": completion.get("usage")}


def _envelope(response: Any) -> Json:
    given = {name: getattr(response, name, None) for name in ENVELOPE}
    usage = getattr(response, "usage", None)
    return {
        **{name: value for name, value in given.items() if value is not None},
        **({"usage": _usage(usage)} if usage else {}),
    }


def _choice(choice: Any, has_functions: bool) -> Json:
    logprobs, reason = getattr(choice, "logprobs", None), choice.finish_reason
    return {
        "index": choice.index,
        "logprobs": {"refusal": None, **_dumped(logprobs)} if logprobs else None,
        # litellm's word is that of tools.
        "finish_reason": "function_call" if has_functions and reason == "tool_calls" else reason,
    }


def _whole_message(message: Any, has_functions: bool) -> Json:
    whole = {"content": None, "refusal": None, **_message(message, has_functions)}
    for call in whole.get("tool_calls", ()):
        call.pop("index", None)
    return whole


def _message(message: Any, has_functions: bool) -> Json:
    given = _dumped(message)
    # litellm has empty lists where a provider says nothing.
    said = {name: given[name] for name in MESSAGE if given.get(name) not in (None, [])}
    calls = [_call(call) for call in given.get("tool_calls") or ()]
    if calls and not has_functions:
        said["tool_calls"] = calls
    # The form before tools has one call, the first.
    elif calls and not calls[0].get("index"):
        said["function_call"] = calls[0]["function"]
    return said


def _call(call: Mapping[str, Any]) -> Json:
    named = {name: call[name] for name in ("index", "id", "type") if call.get(name) is not None}
    if custom := call.get("custom"):
        return {**named, "custom": {name: custom[name] for name in ("name", "input") if custom.get(name) is not None}}
    return {**named, "function": _function(call.get("function") or {})}


def _function(function: Mapping[str, Any]) -> Json:
    return {name: function[name] for name in ("name", "arguments") if function.get(name) is not None}


def _usage(usage: Any) -> Json:
    """The counts that every other answer has."""
    given = _dumped(usage)
    prompt, completion = ((given.get(f"{part}_tokens_details") or {}) for part in ("prompt", "completion"))
    return {
        **{name: given.get(name) or 0 for name in ("prompt_tokens", "completion_tokens", "total_tokens")},
        "prompt_tokens_details": {"cached_tokens": prompt.get("cached_tokens") or 0},
        "completion_tokens_details": {"reasoning_tokens": completion.get("reasoning_tokens") or 0},
    }


def _dumped(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else value.model_dump()
