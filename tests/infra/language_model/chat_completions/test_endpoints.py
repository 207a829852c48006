"""The models that are called directly, with their URLs and parameters."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import InvalidCatalogue, ModelCatalogue
from infra.language_model.chat_completions.endpoints import LITELLMS_VARIABLES, DirectModels
from infra.language_model.errors import ProviderRefused
from infra.language_model.litellm_files import bundled_price_list
from infra.openai_api import KEY_VARIABLE, ORGANIZATION_VARIABLES, PROJECT_VARIABLE, URL_VARIABLES

OWN = {"model": "openai/mine", "api_base": "http://own.test/v1/", "api_key": "k"}
PRICE_LIST = bundled_price_list()


@pytest.fixture(autouse=True)
def _no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY_VARIABLE, *URL_VARIABLES, *ORGANIZATION_VARIABLES, PROJECT_VARIABLE, *LITELLMS_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def opened(folder: Path, *deployments: dict[str, Any], **sections: Any) -> DirectModels:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": list(deployments), **sections}))
    return DirectModels(ModelCatalogue.load(path), PRICE_LIST)


def entry(name: str = "a", info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {**OWN, **params}, "model_info": info or {}}


@pytest.mark.parametrize(
    "model", ["gpt-4o", "openai/gpt-4o", "openai/anything", "gpt-5-mini", "o3-mini", "gpt-5.4-mini"]
)
def test_openais_models_are_called_directly_without_file(monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-of-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy.test/v1")

    endpoint = DirectModels(ModelCatalogue(), PRICE_LIST).endpoint(model)

    assert endpoint.url == "http://proxy.test/v1/chat/completions"
    assert endpoint.model == model.removeprefix("openai/")
    assert endpoint.headers["authorization"] == "Bearer sk-of-environment"
    assert (endpoint.connect_seconds, endpoint.read_seconds) == (5, 600)


def test_openais_models_use_its_url_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv(PROJECT_VARIABLE, "proj-1")

    endpoint = DirectModels(ModelCatalogue(), PRICE_LIST).endpoint("gpt-4o")

    assert endpoint.url == "https://api.openai.com/v1/chat/completions"
    assert endpoint.headers["openai-organization"] == "org-1"
    assert endpoint.headers["openai-project"] == "proj-1"


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5",
        "anthropic/claude-sonnet-4-5",
        "azure/gpt-4o",
        "groq/llama-3.3-70b-versatile",
        "no-such-model",
        "gpt-3.5-turbo-instruct",
        "o1-pro",
        "openai/o1-pro",
        "openai/responses/gpt-4o",
        "gpt-5.4",
        "openai/gpt-5.4-mini",
        "text-embedding-3-small",
    ],
)
def test_other_models_use_litellm_without_file(model: str) -> None:
    assert not DirectModels(ModelCatalogue(), PRICE_LIST).serves(model)


def test_missing_key_is_reported() -> None:
    with pytest.raises(ProviderRefused, match="The call of 'gpt-4o' failed: Missing credentials: set OPENAI_API_KEY"):
        DirectModels(ModelCatalogue(), PRICE_LIST).endpoint("gpt-4o")


def test_entry_sets_url_and_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-1")
    monkeypatch.setenv("THE_URL", "http://own.test/v2")
    models = opened(
        tmp_path,
        entry(
            api_key="os.environ/THE_KEY",
            api_base="os.environ/THE_URL",
            organization="org-1",
            timeout=9,
            stream_timeout=3,
            extra_headers={"X-Team": "red"},
        ),
        router_settings={"timeout": 60, "stream_timeout": 30, "model_group_alias": {"old": "a"}},
    )

    endpoint = models.endpoint("old")

    assert (endpoint.url, endpoint.model) == ("http://own.test/v2/chat/completions", "mine")
    assert endpoint.headers["authorization"] == "Bearer sk-1"
    assert endpoint.headers["openai-organization"] == "org-1"
    assert endpoint.headers["x-team"] == "red"
    assert (endpoint.connect_seconds, endpoint.read_seconds) == (3, 3)
    assert "sk-1" not in repr(endpoint)


@pytest.mark.parametrize(
    ("params", "router_settings", "seconds"),
    [
        ({"timeout": 9}, {"timeout": 60}, 9),
        ({}, {"timeout": 60}, 60),
        ({"timeout": 9}, {"stream_timeout": 30}, 30),
        ({"stream_timeout": 0, "timeout": 9}, {}, 9),
    ],
)
def test_timeouts_have_routers_precedence(
    tmp_path: Path, params: dict[str, Any], router_settings: dict[str, Any], seconds: float
) -> None:
    assert opened(tmp_path, entry(**params), router_settings=router_settings).endpoint("a").read_seconds == seconds


@pytest.mark.parametrize(
    ("pattern", "target", "asked", "sent"),
    [
        ("*", "openai/*", "llama", "llama"),
        ("*", "openai/*", "openai/x", "openai/x"),
        ("own/*", "openai/meta/*", "own/llama", "meta/llama"),
    ],
)
def test_wildcards_are_substituted(tmp_path: Path, pattern: str, target: str, asked: str, sent: str) -> None:
    assert opened(tmp_path, entry(pattern, model=target)).endpoint(asked).model == sent


@pytest.mark.parametrize(
    "params",
    [
        {"model": "hosted_vllm/x"},
        {"model": "azure/x"},
        {"model": "mine"},
        {"rpm": 3},
        {"tpm": 3},
        {"weight": 2},
        {"mock_response": "Hi"},
        {"temperature": 0},
        {"drop_params": True},
        {"custom_llm_provider": "openai"},
        {"timeout": "os.environ/LIMIT"},
        {"extra_headers": {"x": 1}},
        {"api_base": "http://own.test/v1?api-version=1"},
    ],
)
def test_entry_with_unsupported_parameter_uses_litellm(tmp_path: Path, params: dict[str, Any]) -> None:
    models = opened(tmp_path, entry(**params), entry("b"))

    assert not models.serves("a")
    assert models.serves("b")
    assert not models.are_all


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fallbacks", [{"a": ["b"]}]),
        ("default_fallbacks", ["b"]),
        ("allowed_fails", 1),
        ("cooldown_time", 3),
        ("routing_strategy", "least-busy"),
        ("enable_pre_call_checks", True),
    ],
)
def test_router_settings_require_litellm(tmp_path: Path, setting: str, value: Any) -> None:
    assert not opened(tmp_path, entry(), entry("b"), router_settings={setting: value}).serves("a")


def test_drop_params_requires_litellm(tmp_path: Path) -> None:
    assert not opened(tmp_path, entry(), litellm_settings={"drop_params": True}).serves("a")


def test_several_entries_of_one_name_require_litellm(tmp_path: Path) -> None:
    models = opened(tmp_path, entry(), entry(api_base="http://other.test/v1"), entry("b"))

    assert not models.serves("a")
    assert models.serves("b")
    assert not models.are_all


def test_model_info_does_not_require_litellm(tmp_path: Path) -> None:
    known = {"id": "1", "base_model": "gpt-4o", "max_input_tokens": 5, "supports_function_calling": False}

    assert opened(tmp_path, entry(info=known)).are_all
    assert not opened(tmp_path, entry(info={"mode": "responses"})).are_all


@pytest.mark.parametrize("name", LITELLMS_VARIABLES)
def test_litellms_connection_variables_require_litellm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "False")

    assert not opened(tmp_path, entry()).serves("a")


def test_unset_variable_is_rejected_at_startup(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match="environment variables that are not set: NO_SUCH_KEY"):
        opened(tmp_path, entry(api_key="os.environ/NO_SUCH_KEY"))


@pytest.mark.parametrize(("keys", "are_all"), [([KEY_VARIABLE], True), ([], True), (["ANTHROPIC_API_KEY"], False)])
def test_need_for_litellm_follows_from_keys_without_file(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], are_all: bool
) -> None:
    monkeypatch.setattr("os.environ", dict.fromkeys(keys, "k"))

    assert DirectModels(ModelCatalogue(), PRICE_LIST).are_all is are_all
