"""Parameters of calls that litellm may not drop.

litellm drops a field without a word where the operator's `drop_params` says so, where it knows that the model lacks it
(Gemini's penalties), and where it translates the call to OpenAI's Responses API (`n`, `stop`).
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from infra.language_model.failure_facts import causes_of
from infra.language_model.litellm_kept import FieldNotTaken, kept_of_call

CHANGED_BY_MAPPING = ("tools", "functions", "response_format")
"""litellm changes them in place."""

WITH_CUSTOM_TOOLS = ("openai", "azure")


def refuse_to_drop_kept_fields() -> None:
    import litellm
    from litellm import main
    from litellm.completion_extras.litellm_responses_transformation import transformation

    # Errors of these types reach the caller as they are.
    module: Any = litellm
    module.LITELLM_EXCEPTION_TYPES.append(FieldNotTaken)
    calls: Any = main
    calls.get_optional_params = _comparing(calls.get_optional_params)
    calls.exception_type = _unwrapping(calls.exception_type)
    bridge: Any = transformation.LiteLLMResponsesTransformationHandler
    bridge._map_optional_params_to_responses_api_request = _translating(
        bridge._map_optional_params_to_responses_api_request
    )


def _unwrapping(error_of: Callable[..., Exception]) -> Callable[..., Exception]:
    # Some adapters make a failure of the provider from errors of their connection, and the Router would let the
    # deployment rest for it.
    def unwrapped(*, original_exception: Exception, **given: Any) -> Exception:
        causes = causes_of(original_exception)
        refused = next((cause for cause in causes if isinstance(cause, FieldNotTaken)), None)
        return refused or error_of(original_exception=original_exception, **given)

    return unwrapped


def _comparing(parameters_of: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def compared(**given: Any) -> dict[str, Any]:
        call = kept_of_call()
        # With other providers litellm leaves custom tools out, or fails at them.
        if call.custom and given.get("custom_llm_provider") not in WITH_CUSTOM_TOOLS:
            raise FieldNotTaken(call.custom)
        kept = call.fields
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
        for name in kept_of_call().fields:
            alone: dict[str, Any] = {}
            translate(bridge, {name: parameters.get(name)}, alone)
            if name in parameters and not alone:
                raise FieldNotTaken(name)
        translate(bridge, parameters, request)

    return translated
