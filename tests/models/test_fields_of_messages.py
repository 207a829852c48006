from typing import Any

from models.chat_completions import CreateChatCompletionRequest
from models.fields_of_messages import fields_beyond

CALLING = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
ANSWERED = [CALLING, {"role": "function", "name": "f", "content": "1"}]


def beyond(*messages: Any) -> dict[str, bool]:
    body = CreateChatCompletionRequest.model_validate({"model": "m", "messages": list(messages)})
    return dict(fields_beyond(body.messages))


def test_fields_have_their_places_and_whether_the_prompt_says_them() -> None:
    texts = [{"type": "text", "text": "a", "prompt_cache_breakpoint": {}}, {"type": "file", "file": {}}]
    custom = {"id": "c", "type": "custom", "custom": {}}

    assert beyond({"role": "user", "content": texts, "name": "ada"}) == {
        "messages[0].name": True,
        "messages[0].content[0].prompt_cache_breakpoint": False,
        "messages[0].content[1]": True,
    }
    assert beyond({"role": "assistant", "audio": {"id": "a"}, "annotations": [{}], "tool_calls": [custom]}) == {
        "messages[0].audio": False,
        "messages[0].annotations": False,
        "messages[0].tool_calls": False,
    }
    said = {**custom, "custom": {"name": "word", "input": "abc"}}
    assert beyond({"role": "assistant", "tool_calls": [said]}) == {"messages[0].tool_calls": True}
    assert beyond({"role": "user", "content": [{"type": "text", "text": "a"}]}) == {}


def test_call_of_the_form_before_tools_is_answered_by_the_message_after_it() -> None:
    call, output = "messages[0].function_call", "messages[1]"
    other = {"role": "function", "name": "g", "content": "1"}

    assert beyond(*ANSWERED) == {call: True, output: True}
    assert beyond(CALLING, other) == {call: False, output: False}
    assert beyond(CALLING) == {call: False}
    assert beyond(other) == {"messages[0]": False}
