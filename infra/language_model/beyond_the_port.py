"""The fields of a `ChatBody` for models that get them from here, and not with the body as it is."""

from collections.abc import Callable
from typing import Any

from infra.language_model.errors import PromptRejected
from models.language_model import ChatBody, ModelRequest

ANSWER_KEEPS_ITS_FORM = frozenset(
    {
        *("frequency_penalty", "presence_penalty", "logit_bias", "seed", "stop", "user", "prediction", "verbosity"),
        *("safety_identifier", "prompt_cache_key", "prompt_cache_retention", "store", "metadata"),
    }
)
IN_NO_FORM = frozenset({"tool_choice", "functions", "function_call"})
"""The request says these, but for choices of custom tools, which litellm refuses, and forms that OpenAI has not."""

CUSTOM_TOOLS = "tools"
"""The request says all tools but custom ones."""


def parameters_beyond(request: ModelRequest, takes: Callable[[str], bool]) -> dict[str, Any]:
    """The fields that only the body has. Raises `PromptRejected` for one that the model does not take."""
    if request.chat is None:
        return {}
    for name in request.chat.only_in_body:
        if name in IN_NO_FORM or name not in request.chat.fields or not takes(name):
            raise not_taken(name, request.model)
        # ReAct's stop text: an answer that goes on past it contains invented results. And it reads one text.
        if request.stop is not None and (name == "stop" or name not in ANSWER_KEEPS_ITS_FORM):
            raise PromptRejected(
                f"Unsupported parameter: '{name}' is not supported together with 'tools' with the model "
                f"'{request.model}', which calls functions in text."
            )
    return {name: request.chat.fields[name] for name in request.chat.only_in_body}


def not_taken(name: str, model: str, or_else: str = "") -> PromptRejected:
    return PromptRejected(f"Unsupported parameter: '{name}' is not supported with the model '{model}'{or_else}.")


def custom_part(request: ModelRequest) -> str:
    """The place of a custom tool, or of a call of one; empty if there is none."""
    if request.chat is None:
        return ""
    return next((name for name in request.chat.beyond if name == CUSTOM_TOOLS or name.endswith(".tool_calls")), "")


def changes_answer(body: ChatBody) -> bool:
    """Whether the answer may have more than the port can say."""
    return not ANSWER_KEEPS_ITS_FORM.issuperset(body.only_in_body)
