from models.chat_completion_answers import ChatCompletion
from models.language_model import CallDelta, Finish, FinishReason, PassedOn, TokenUsage

CHOICES = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
FINISH = Finish(FinishReason.STOP, TokenUsage(prompt_tokens=3, completion_tokens=2))


def test_usage_that_the_provider_omits_is_counted() -> None:
    completion = ChatCompletion("chatcmpl-ours", 7, "m")

    completion.read(PassedOn({"id": "chatcmpl-theirs", "created": 5, "choices": CHOICES, "usage": None}))
    completion.read(FINISH)

    whole, chunk = completion.whole(), completion.usage_chunk()
    assert (whole["id"], whole["usage"]["total_tokens"]) == ("chatcmpl-theirs", 5)
    assert (chunk["id"], chunk["created"], chunk["usage"]) == ("chatcmpl-theirs", 5, whole["usage"])


def test_functions_of_the_form_before_tools_have_one_call() -> None:
    completion = ChatCompletion("chatcmpl-ours", 7, "m", has_functions=True)
    deltas = (CallDelta(0, "f", "{"), CallDelta(0, None, "}"), CallDelta(1, "g", "{}"))
    end_of_calls = Finish(FinishReason.TOOL_CALLS, TokenUsage())

    chunks = [*map(completion.read, deltas), completion.read(end_of_calls)]

    *called, end = (chunk["choices"][0] for chunk in chunks if chunk)
    pieces = [{"name": "f", "arguments": "{"}, {"arguments": "}"}]
    assert [each["delta"] for each in called] == [{"function_call": piece} for piece in pieces]
    [choice] = completion.whole()["choices"]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]
    assert (choice["finish_reason"], end["finish_reason"]) == ("function_call", "function_call")
