"""The fields of a `ChatBody` for models whose answers are read here, and not passed on."""

from collections.abc import Callable
from typing import Any

from infra.language_model.errors import PromptRejected
from models.language_model import ModelRequest

ANSWER_KEEPS_ITS_FORM = frozenset({"frequency_penalty", "presence_penalty", "logit_bias", "seed", "stop", "user"})


def parameters_beyond(request: ModelRequest, takes: Callable[[str], bool]) -> dict[str, Any]:
    """The fields that only the body has. Raises `PromptRejected` for one that the model does not take."""
    if request.chat is None:
        return {}
    for name in request.chat.beyond:
        if name not in ANSWER_KEEPS_ITS_FORM or not takes(name):
            raise PromptRejected(f"Unsupported parameter: '{name}' is not supported with the model '{request.model}'.")
    # One of ReAct's: an answer that goes on past it contains invented results.
    if request.stop is not None and "stop" in request.chat.beyond:
        raise PromptRejected(
            f"Unsupported parameter: 'stop' is not supported together with 'tools' with the model '{request.model}', "
            "which calls functions in text."
        )
    return {name: request.chat.fields[name] for name in request.chat.beyond}
