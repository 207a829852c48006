"""Translates the errors of litellm and of providers into `ModelCallFailed`."""

from infra.language_model.beyond_the_port import not_taken
from infra.language_model.chat_completions.failures import UnreadableAnswer
from infra.language_model.document_streams import DocumentTooLong, UnfinishedDocument, UnknownDocument
from infra.language_model.errors import AnswerAborted, AnswerTooLarge, ModelCallFailed, ModelStreamBroken
from infra.language_model.failure_facts import causes_of, facts_of
from infra.language_model.failures import failure_of
from infra.language_model.finish_reasons import RETRY_AFTER
from infra.language_model.litellm_kept import FieldNotTaken
from infra.language_model.litellm_loading import UnfinishedAnswer


def translated(error: Exception, model: str, has_begun: bool) -> ModelCallFailed:
    """The `ModelCallFailed` for `error`, raised by a call of `model`. `has_begun`: part of the answer had arrived."""
    if isinstance(error, ModelCallFailed):
        return error
    if isinstance(error, UnfinishedAnswer):
        return _unfinished(model)
    if isinstance(error, UnreadableAnswer):
        return ModelStreamBroken(f"The answer of '{model}' {error}.")
    for cause in causes_of(error):
        match cause:
            case FieldNotTaken(name=name):
                return not_taken(name, model, ", or not with this value or beside the other fields of the request")
            case DocumentTooLong():
                return AnswerTooLarge(f"The answer of '{model}' is too large: it is one JSON document, not a stream.")
            case UnknownDocument():
                said = f"The answer of '{model}' is a JSON document in no known form, and not a stream."
                return AnswerAborted(said, RETRY_AFTER)
            case UnfinishedDocument():
                return _unfinished(model)
    return failure_of(facts_of(error), model, has_begun, getattr(error, "cooldown_time", None))


def _unfinished(model: str) -> ModelStreamBroken:
    return ModelStreamBroken(f"The answer of '{model}' ended without saying that it was complete.")
