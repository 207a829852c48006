"""To whom the state of an answer may go back."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.vendors import vendor, vendor_of

OWN = {"model": "openai/mine", "api_base": "http://own.test/v1"}
OTHER = {"model": "openai/mine", "api_base": "http://other.test/v1"}
CLAUDE = {"model": "anthropic/claude-sonnet-4-5"}


def catalogue(folder: Path, *params: dict[str, Any], **sections: Any) -> ModelCatalogue:
    path = folder / "models.yaml"
    entries = [{"model_name": "a", "litellm_params": each} for each in params]
    entries += [{"model_name": name, "litellm_params": CLAUDE} for name in ("b", "*")]
    path.write_text(yaml.safe_dump({"model_list": entries, **sections}))
    return ModelCatalogue.load(path)


@pytest.mark.parametrize(
    ("url", "known_as"),
    [
        (None, "openai"),
        ("https://own.test/v1", "openai@own.test"),
        ("https://OWN.test:8443/v1/chat/completions?x=1", "openai@own.test:8443"),
        ("https://user:password@own.test/v1", "openai@own.test"),
        ("http://[::1]:80/v1", "openai@[::1]:80"),
    ],
)
def test_vendor_is_a_provider_at_a_host_without_secrets(url: str | None, known_as: str) -> None:
    assert vendor("openai", url) == known_as


@pytest.mark.parametrize(
    ("params", "known_as"),
    [
        ([OWN], "openai@own.test"),
        ([OWN, {**OWN, "api_base": "http://own.test/v2"}], "openai@own.test"),
        ([{"model": "openai/mine", "base_url": "os.environ/THE_URL"}], "openai@own.test"),
        ([CLAUDE, CLAUDE], "anthropic"),
        ([OWN, OTHER], None),
        ([OWN, {"model": "openai/mine"}], None),
        ([OWN, CLAUDE], None),
    ],
)
def test_deployments_of_one_name_share_state_only_at_one_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: list[dict[str, Any]], known_as: str | None
) -> None:
    monkeypatch.setenv("THE_URL", "http://own.test/v1")

    assert vendor_of(catalogue(tmp_path, *params), "a") == known_as


def test_vendor_without_file_is_the_provider() -> None:
    assert vendor_of(ModelCatalogue(), "anthropic/claude-sonnet-4-5") == "anthropic"


@pytest.mark.parametrize(
    ("asked", "settings"),
    [
        ("a", {"fallbacks": [{"a": ["b"]}]}),
        ("a", {"context_window_fallbacks": [{"a": ["b"]}]}),
        ("a", {"content_policy_fallbacks": [{"a": ["b"]}]}),
        ("a", {"fallbacks": [{"*": ["b"]}]}),
        ("a", {"default_fallbacks": ["b"]}),
        ("old", {"model_group_alias": {"old": "a"}, "fallbacks": [{"a": ["b"]}]}),
        ("old", {"model_group_alias": {"old": "a"}, "fallbacks": [{"old": ["b"]}]}),
        ("openai/x", {"fallbacks": [{"x": ["b"]}]}),
    ],
)
def test_model_with_fallbacks_has_no_vendor(tmp_path: Path, asked: str, settings: dict[str, Any]) -> None:
    assert vendor_of(catalogue(tmp_path, OWN, router_settings=settings), asked) is None


def test_fallbacks_of_another_model_change_nothing(tmp_path: Path) -> None:
    settings = {"fallbacks": [{"a": ["b"]}]}

    assert vendor_of(catalogue(tmp_path, OWN, router_settings=settings), "b") == "anthropic"
