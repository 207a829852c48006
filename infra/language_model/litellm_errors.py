"""Translates the errors of litellm and of providers into `ModelCallFailed`."""

from infra.language_model.beyond_the_port import not_taken
from infra.language_model.chat_completions.failures import UnreadableAnswer
from infra.language_model.errors import ModelCallFailed, ModelStreamBroken
from infra.language_model.failure_facts import facts_of
from infra.language_model.failures import failure_of
from infra.language_model.litellm_kept_fields import FieldNotTaken
from infra.language_model.litellm_loading import UnfinishedAnswer


def translated(error: Exception, model: str, has_begun: bool) -> ModelCallFailed:
    """The `ModelCallFailed` for `error`, raised by a call of `model`. `has_begun`: part of the answer had arrived."""
    if isinstance(error, ModelCallFailed):
        return error
    if isinstance(error, FieldNotTaken):
        return not_taken(error.name, model, ", or not with this value or beside the other fields of the request")
    if isinstance(error, UnfinishedAnswer):
        return ModelStreamBroken(f"The answer of '{model}' ended without saying that it was complete.")
    if isinstance(error, UnreadableAnswer):
        return ModelStreamBroken(f"The answer of '{model}' {error}.")
    return failure_of(facts_of(error), model, has_begun, getattr(error, "cooldown_time", None))
