"""The proxies of addresses, from the environment."""

import pytest

from infra.language_model.chat_completions import routes
from infra.language_model.chat_completions.routes import route_to


@pytest.fixture(autouse=True)
def _environment_of_one_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    monkeypatch.setenv("http_proxy", "HTTP://proxy.test:3128")
    routes.route_to.cache_clear()


@pytest.mark.parametrize(
    ("without", "url"),
    [
        ("::1", "http://[::1]:8000/v1"),
        ("[::1]", "http://[::1]:8000/v1"),
        ("::1", "http://[::1]/v1"),
        ("10.0.0.1", "http://ann:pass@10.0.0.1:8000/v1"),
        ("a.test, model.test:8000", "http://MODEL.test:8000/v1"),
        (".test", "http://model.test/v1"),
        ("*", "http://model.test/v1"),
    ],
)
def test_hosts_of_no_proxy_are_reached_directly(monkeypatch: pytest.MonkeyPatch, without: str, url: str) -> None:
    monkeypatch.setenv("no_proxy", without)

    assert route_to(url).proxy is None


@pytest.mark.parametrize("without", ["", "::1", "test", "model.test:80", "10.0.0.1"])
def test_other_hosts_are_reached_by_the_proxy(monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    monkeypatch.setenv("no_proxy", without)

    assert route_to("http://tested:8000/v1").proxy == "http://proxy.test:3128"
