"""Fields that litellm must pass on or refuse, and may not drop, whichever deployment or fallback gets the call.

litellm drops a field without a word where the operator's `drop_params` says so, where it knows that the model lacks it
(Gemini's penalties), and where it translates the call to OpenAI's Responses API (`n`, `stop`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

# litellm maps the fields deep within the call, once for each deployment and fallback that it tries.
_kept: ContextVar[Collection[str]] = ContextVar("kept_fields", default=())

CHANGED_BY_MAPPING = ("tools", "functions", "response_format")
"""litellm changes them in place."""


class FieldNotTaken(Exception):
    """The model that got the call does not take a field of it."""

    status_code = 400

    def __init__(self, name: str) -> None:
        super().__init__(f"Unsupported parameter: '{name}' cannot be passed on.")
        self.name = name


@contextmanager
def keeping(names: Collection[str]) -> Iterator[None]:
    """litellm raises `FieldNotTaken` within the block for one of these fields that it would drop."""
    token = _kept.set(names)
    try:
        yield
    finally:
        _kept.reset(token)


def refuse_to_drop_kept_fields() -> None:
    import litellm
    from litellm import main
    from litellm.completion_extras.litellm_responses_transformation import transformation

    # Errors of these types reach the caller as they are.
    module: Any = litellm
    module.LITELLM_EXCEPTION_TYPES.append(FieldNotTaken)
    calls: Any = main
    calls.get_optional_params = _comparing(calls.get_optional_params)
    bridge: Any = transformation.LiteLLMResponsesTransformationHandler
    bridge._map_optional_params_to_responses_api_request = _translating(
        bridge._map_optional_params_to_responses_api_request
    )


def _comparing(parameters_of: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def compared(**given: Any) -> dict[str, Any]:
        kept = _kept.get()
        for name in kept:
            # litellm lists the field, and left it out or took it for its own before this mapping.
            if given.get(name) is None:
                raise FieldNotTaken(name)
        copies = [_copy(given) for _ in kept]
        parameters = parameters_of(**given)
        for name, copy in zip(kept, copies, strict=True):
            if _has_another_form(name, copy) or parameters_of(**{**copy, name: None}) == parameters:
                raise FieldNotTaken(name)
        return parameters

    return compared


def _has_another_form(name: str, given: Mapping[str, Any]) -> bool:
    # Claude's own searches would be calls of a function that the client does not have, and their sources be missing.
    return name == "web_search_options" and "claude" in given["model"]


def _copy(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **{name: deepcopy(given[name]) for name in CHANGED_BY_MAPPING if given.get(name)}}


def _translating(translate: Callable[..., None]) -> Callable[..., None]:
    def translated(bridge: Any, parameters: dict[str, Any], request: Any) -> None:
        for name in _kept.get():
            alone: dict[str, Any] = {}
            translate(bridge, {name: parameters.get(name)}, alone)
            if name in parameters and not alone:
                raise FieldNotTaken(name)
        translate(bridge, parameters, request)

    return translated
