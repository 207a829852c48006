from pathlib import Path

import pytest

from infra.language_model.catalogue import InvalidCatalogue, ModelCatalogue
from infra.language_model.litellm_loading import load_litellm
from infra.language_model.litellm_router import open_router
from infra.language_model.scripted import SCRIPTED_MODEL

OLD_AND_NEW = """
model_list:
  - model_name: gpt-4-turbo
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
  - model_name: gpt-4-turbo
    litellm_params: {model: azure/eu, api_base: https://eu.test}
    model_info: {base_model: azure/gpt-4o, max_input_tokens: 1000}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, drop_params: true}
  - model_name: ollama/*
    litellm_params: {model: ollama_chat/*}
router_settings:
  model_group_alias: {gpt-4: gpt-4-turbo, shown: {model: claude}, secret: {model: claude, hidden: true}}
  fallbacks: [{gpt-4-turbo: [claude]}]
  timeout: 60
litellm_settings:
  context_window_fallbacks: [{gpt-4-turbo: [claude, ollama/llama3]}]
  drop_params: true
"""


def load(folder: Path, text: str) -> ModelCatalogue:
    path = folder / "models.yaml"
    path.write_text(text)
    return ModelCatalogue.load(path)


def test_every_name_is_offered_without_file() -> None:
    catalogue = ModelCatalogue.load(None)

    assert catalogue.is_open
    assert catalogue.names() == [SCRIPTED_MODEL]
    assert catalogue.offers("gpt-4o")
    assert catalogue.offers(SCRIPTED_MODEL)
    assert not catalogue.offers("")
    assert [served.name for served in catalogue.served_by("gpt-4o")] == ["gpt-4o"]


def test_file_lists_models_once_and_aliases(tmp_path: Path) -> None:
    catalogue = load(tmp_path, OLD_AND_NEW)

    assert not catalogue.is_open
    assert catalogue.names() == ["gpt-4-turbo", "claude", "gpt-4", "shown", SCRIPTED_MODEL]
    assert catalogue.wildcards() == ["ollama/*"]


@pytest.mark.parametrize(
    "model", ["gpt-4-turbo", "claude", "gpt-4", "secret", "ollama/llama3", "ollama/", SCRIPTED_MODEL]
)
def test_file_offers_names_aliases_and_wildcard_matches(tmp_path: Path, model: str) -> None:
    assert load(tmp_path, OLD_AND_NEW).offers(model)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4-turbo-2024", "claud", "xollama/llama3", "ollama", "", "*"])
def test_file_offers_nothing_else(tmp_path: Path, model: str) -> None:
    assert not load(tmp_path, OLD_AND_NEW).offers(model)


def test_star_offers_everything(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "model_list: [{model_name: '*', litellm_params: {model: 'openai/*'}}]")

    assert catalogue.offers("anything/at.all")
    assert catalogue.names() == [SCRIPTED_MODEL]


def test_scripted_model_can_be_switched_off(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("model_list: [{model_name: '*', litellm_params: {model: 'openai/*'}}]")

    for catalogue in (
        ModelCatalogue.load(None, has_scripted=False),
        ModelCatalogue.load(tmp_path / "models.yaml", has_scripted=False),
    ):
        assert catalogue.names() == []
        assert not catalogue.offers(SCRIPTED_MODEL)
        assert catalogue.offers("gpt-4o")


@pytest.mark.parametrize("model", ["http://127.0.0.1", "oobabooga/http://temporal:7233/", "huggingface/https://x"])
def test_url_as_name_is_offered_only_if_listed(tmp_path: Path, model: str) -> None:
    star = "model_list: [{model_name: '*', litellm_params: {model: '*'}}"
    listed = f"{star}, {{model_name: '{model}', litellm_params: {{model: '{model}'}}}}]"

    assert not ModelCatalogue().offers(model)
    assert not load(tmp_path, f"{star}]").offers(model)
    assert load(tmp_path, listed).offers(model)


def test_name_resolves_to_its_entry(tmp_path: Path) -> None:
    catalogue = load(tmp_path, OLD_AND_NEW)

    names = {model: [served.name for served in catalogue.served_by(model)] for model in ["gpt-4", "ollama/llama3", "x"]}

    assert names == {"gpt-4": ["openai/gpt-4o", "azure/gpt-4o"], "ollama/llama3": ["ollama_chat/llama3"], "x": []}


OVERLAPPING = """
model_list:
  - {model_name: "*", litellm_params: {model: "ollama_chat/*"}, model_info: {supports_function_calling: false}}
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*", api_key: k}}
  - {model_name: "anthropic/claude-*", litellm_params: {model: "bedrock/claude-*", aws_region_name: r}}
"""


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize("model", ["gpt-4o", "anthropic/opus", "anthropic/claude-opus"])
def test_overlapping_wildcards_resolve_as_in_router(tmp_path: Path, model: str) -> None:
    catalogue = load(tmp_path, OVERLAPPING)
    router = open_router(load_litellm(), catalogue.deployments or (), catalogue)

    [chosen] = router.pattern_router.route(model) or []

    [served] = catalogue.served_by(model)
    assert served.name == chosen["litellm_params"]["model"]
    assert served.info.supports_function_calling == chosen["model_info"].get("supports_function_calling")


def test_router_settings_are_read_from_both_sections(tmp_path: Path) -> None:
    catalogue = load(tmp_path, OLD_AND_NEW)

    assert catalogue.drop_params
    assert catalogue.router_settings == {
        "model_group_alias": {
            "gpt-4": "gpt-4-turbo",
            "shown": {"model": "claude", "hidden": False},
            "secret": {"model": "claude", "hidden": True},
        },
        "fallbacks": [{"gpt-4-turbo": ["claude"]}],
        "context_window_fallbacks": [{"gpt-4-turbo": ["claude", "ollama/llama3"]}],
        "timeout": 60,
    }


ENTRY = "model_list: [{model_name: a, litellm_params: {model: openai/b}}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected litellm's form"),
        ("[1]", "expected litellm's form"),
        ("[1", "is not YAML"),
        ("model_list: []", "model_list: names no model"),
        ("model_list: 3", "model_list: Input should be a valid list"),
        ("model_list: [{model_name: a}]", "model_list[0].litellm_params: Field required"),
        ("model_list: [{litellm_params: {model: b}}]", "model_list[0].model_name: Field required"),
        (
            "model_list: [{model_name: a, litellm_params: {model: b}, x: 1}]",
            "model_list[0].x: Holdfast does not use this",
        ),
        ("model_list: [{model_name: a, litellm_params: {model: b, num_retries: 2}}]", "itself repeats calls"),
        ("model_list: [{model_name: holdfast/scripted, litellm_params: {model: b}}]", "the name of the built-in model"),
        (f"{ENTRY}\ngeneral_settings: {{master_key: x}}", "general_settings: Holdfast does not use this; remove it"),
        (f"{ENTRY}\nrouter_settings: {{num_retries: 2}}", "router_settings.num_retries: Holdfast itself repeats calls"),
        (f"{ENTRY}\nlitellm_settings: {{cache: true}}", "litellm_settings.cache: Holdfast does not use this"),
        (f"{ENTRY}\nrouter_settings: {{fallbacks: [{{a: [c]}}]}}", "'c' is the target of a fallback or alias but not"),
        (f"{ENTRY}\nrouter_settings: {{fallbacks: [{{a: [a], b: [a]}}]}}", "each item names one model"),
        (f"{ENTRY}\nrouter_settings: {{model_group_alias: {{x: c}}}}", "'c' is the target of a fallback or alias"),
    ],
)
def test_unusable_file_is_rejected_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidCatalogue) as caught:
        load(tmp_path, text)

    message = str(caught.value)
    assert message.startswith(f"HOLDFAST_MODELS={tmp_path / 'models.yaml'}")
    assert problem in message
    assert "\n" not in message


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match=r"HOLDFAST_MODELS=.*none\.yaml cannot be read: No such file"):
        ModelCatalogue.load(tmp_path / "none.yaml")


def test_binary_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(InvalidCatalogue, match="it is not UTF-8 text"):
        ModelCatalogue.load(tmp_path / "models.yaml")
