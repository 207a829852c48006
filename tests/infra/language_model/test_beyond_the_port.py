import pytest

from infra.language_model.beyond_the_port import parameters_beyond
from infra.language_model.errors import PromptRejected
from infra.language_model.react.prompt import as_text
from models.chat_completions import CreateChatCompletionRequest
from models.language_model import ModelRequest
from tests.holdfast import function_tool


def asked(**fields: object) -> ModelRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stop": "END", "seed": 7, **fields}
    return CreateChatCompletionRequest.model_validate(body).model_request()


def test_stop_text_of_react_is_not_replaced() -> None:
    request = asked(tools=[function_tool("get_weather")])

    with pytest.raises(PromptRejected, match="'stop' is not supported together with 'tools' with the model 'm'"):
        parameters_beyond(as_text(request), lambda name: True)

    assert parameters_beyond(request, lambda name: True) == {"stop": "END", "seed": 7}


def test_stop_text_is_sent_where_react_has_none() -> None:
    assert parameters_beyond(as_text(asked()), lambda name: True) == {"stop": "END", "seed": 7}
