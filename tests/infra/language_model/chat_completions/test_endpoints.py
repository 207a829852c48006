"""The models that are called directly, with their URLs and parameters."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import InvalidCatalogue, ModelCatalogue
from infra.language_model.chat_completions import endpoints
from infra.language_model.chat_completions.endpoints import LITELLMS_VARIABLES, DirectModels
from infra.language_model.chat_completions.providers import PROVIDERS
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
        "gemini/gemini-2.5-pro",
        "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "groq/responses/gpt-oss",
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


AZURE = {"model": "azure/own", "api_base": "https://own.azure.test/", "api_key": "k", "api_version": "2024-10-21"}


def azures(info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    return {"model_name": "a", "litellm_params": {**AZURE, **params}, "model_info": info or {}}


def test_azures_deployments_have_their_own_address_and_header(tmp_path: Path) -> None:
    endpoint = opened(tmp_path, azures({"base_model": "azure/gpt-5-mini"})).endpoint("a")

    url = "https://own.azure.test/openai/deployments/own/chat/completions?api-version=2024-10-21"
    assert (endpoint.url, endpoint.model, endpoint.base_model) == (url, "own", "gpt-5-mini")
    assert endpoint.headers["api-key"] == "k"
    assert "authorization" not in endpoint.headers


@pytest.mark.parametrize(
    "entry",
    [
        azures(api_version="v1"),
        azures(api_version="preview"),
        azures(api_base="https://own.azure.test/openai/v1"),
        azures(api_base="https://own.azure.test/openai/deployments/own"),
        azures(api_key=None),
        azures(azure_ad_token="t"),
        azures(tenant_id="t"),
        azures(model="azure/mistral-large"),
        azures({"base_model": "gpt-5.4"}),
    ],
)
def test_other_forms_of_azure_use_litellm(tmp_path: Path, entry: dict[str, Any]) -> None:
    assert not opened(tmp_path, entry).serves("a")


def test_azures_address_key_and_version_may_come_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_API_BASE", "https://own.azure.test")
    monkeypatch.setenv("AZURE_API_KEY", "k")
    monkeypatch.setenv("AZURE_API_VERSION", "2024-06-01")

    endpoint = DirectModels(ModelCatalogue(), PRICE_LIST).endpoint("azure/own")

    assert endpoint.url == "https://own.azure.test/openai/deployments/own/chat/completions?api-version=2024-06-01"
    assert endpoint.headers["api-key"] == "k"


@pytest.mark.parametrize("prefix", ["ollama", "ollama_chat"])
@pytest.mark.parametrize(
    ("base", "url"),
    [
        (None, "http://localhost:11434/v1/chat/completions"),
        ("http://own.test:11434", "http://own.test:11434/v1/chat/completions"),
        ("http://own.test:11434/v1/", "http://own.test:11434/v1/chat/completions"),
    ],
)
def test_ollama_is_called_by_its_chat_completions(tmp_path: Path, prefix: str, base: str | None, url: str) -> None:
    params = {"model": f"{prefix}/llama3.1:8b", "api_base": base}

    endpoint = opened(tmp_path, {"model_name": "a", "litellm_params": params}).endpoint("a")

    assert (endpoint.url, endpoint.model) == (url, "llama3.1:8b")


@pytest.mark.parametrize(
    ("model", "url", "sent"),
    [
        ("groq/llama-3.3-70b-versatile", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile"),
        ("openrouter/moonshotai/kimi-k2", "https://openrouter.ai/api/v1", "moonshotai/kimi-k2"),
        ("mistral/mistral-large-latest", "https://api.mistral.ai/v1", "mistral-large-latest"),
    ],
)
def test_providers_address_and_key_are_known(monkeypatch: pytest.MonkeyPatch, model: str, url: str, sent: str) -> None:
    for variable in PROVIDERS[model.partition("/")[0]].key_variables:
        monkeypatch.setenv(variable, "sk-1")

    endpoint = DirectModels(ModelCatalogue(), PRICE_LIST).endpoint(model)

    assert (endpoint.url, endpoint.model) == (f"{url}/chat/completions", sent)
    assert endpoint.headers["authorization"] == "Bearer sk-1"


def test_missing_key_of_provider_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)

    with pytest.raises(ProviderRefused, match="Missing credentials: set GROQ_API_KEY"):
        DirectModels(ModelCatalogue(), PRICE_LIST).endpoint("groq/llama-3.3-70b-versatile")


@pytest.mark.parametrize(
    ("model", "takes_tools"),
    [("groq/unknown", True), ("perplexity/unknown", False), ("hosted_vllm/unknown", True)],
)
def test_functions_are_for_providers_that_take_them(
    monkeypatch: pytest.MonkeyPatch, model: str, takes_tools: bool
) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://own.test/v1")

    assert DirectModels(ModelCatalogue(), PRICE_LIST).takes_tools(model) is takes_tools


def test_missing_key_is_reported() -> None:
    with pytest.raises(ProviderRefused, match="The call of 'gpt-4o' failed: Missing credentials: set OPENAI_API_KEY"):
        DirectModels(ModelCatalogue(), PRICE_LIST).endpoint("gpt-4o")


@pytest.mark.parametrize("prefix", ["openai", "groq"])
def test_entry_sets_url_and_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("THE_KEY", "sk-1")
    monkeypatch.setenv("THE_URL", "http://own.test/v2")
    models = opened(
        tmp_path,
        entry(
            model=f"{prefix}/mine",
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


def test_key_of_environment_goes_to_an_entry_of_openais_prefix_without_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "sk-of-environment")

    endpoint = opened(tmp_path, entry(api_key=None)).endpoint("a")

    assert endpoint.url == "http://own.test/v1/chat/completions"
    assert endpoint.headers["authorization"] == "Bearer sk-of-environment"


@pytest.mark.parametrize(
    ("params", "router_settings", "of_stream", "of_whole"),
    [
        ({"timeout": 9}, {"timeout": 60}, 9, 9),
        ({}, {"timeout": 60}, 60, 60),
        ({"timeout": 9}, {"stream_timeout": 30}, 30, 9),
        ({"stream_timeout": 0, "timeout": 9}, {}, 9, 9),
        ({"stream_timeout": 3}, {}, 3, 600),
    ],
)
def test_timeouts_have_routers_precedence(
    tmp_path: Path, params: dict[str, Any], router_settings: dict[str, Any], of_stream: float, of_whole: float
) -> None:
    models = opened(tmp_path, entry(**params), router_settings=router_settings)

    endpoints = [models.endpoint("a"), models.endpoint("a", is_streamed=False)]

    assert [each.read_seconds for each in endpoints] == [of_stream, of_whole]


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
        {"model": "anthropic/x"},
        {"model": "azure/x"},
        {"api_version": "2024-10-21"},
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


@pytest.mark.parametrize(
    ("keys", "are_all"),
    [
        ([KEY_VARIABLE], True),
        ([], True),
        (["GROQ_API_KEY", "AZURE_API_KEY"], True),
        (["TEMPORAL_API_KEY", "HOLDFAST_API_KEY"], True),
        (["ANTHROPIC_API_KEY"], False),
    ],
)
def test_need_for_litellm_follows_from_keys_without_file(
    monkeypatch: pytest.MonkeyPatch, keys: list[str], are_all: bool
) -> None:
    monkeypatch.setattr("os.environ", dict.fromkeys(keys, "k"))

    assert DirectModels(ModelCatalogue(), PRICE_LIST).are_all is are_all


def test_ways_of_few_models_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_REMEMBERED", 3)
    models = DirectModels(ModelCatalogue(), PRICE_LIST)

    ways = [models.serves(f"{prefix}/{number}") for number in range(5) for prefix in ("openai", "anthropic")]

    assert ways == [True, False] * 5
    assert len(models._found) <= 3
