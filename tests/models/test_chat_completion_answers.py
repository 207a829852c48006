from models.chat_completion_answers import ChatCompletion
from models.language_model import Finish, FinishReason, PassedOn, TokenUsage

CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
FINISH = Finish(FinishReason.STOP, TokenUsage(prompt_tokens=3, completion_tokens=2))


def test_usage_that_the_provider_omits_is_counted() -> None:
    completion = ChatCompletion("chatcmpl-ours", 7, "m")

    completion.read(PassedOn({"id": "chatcmpl-theirs", "created": 5, "choices": CHOICES, "usage": None}))
    completion.read(FINISH)

    whole, chunk = completion.whole(), completion.usage_chunk()
    assert (whole["id"], whole["usage"]["total_tokens"]) == ("chatcmpl-theirs", 5)
    assert (chunk["id"], chunk["created"], chunk["usage"]) == ("chatcmpl-theirs", 5, whole["usage"])
