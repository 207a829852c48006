import pytest
from pydantic import TypeAdapter, ValidationError

from models.web_domains import Domain, is_in_domains

DOMAIN: TypeAdapter[str] = TypeAdapter(Domain)


@pytest.mark.parametrize(
    ("given", "domain"),
    [("example.com", "example.com"), ("Docs.Example.COM.", "docs.example.com"), ("xn--bcher-kva.example", None)],
)
def test_domain_has_one_form(given: str, domain: str | None) -> None:
    assert DOMAIN.validate_python(given) == (domain or given)


@pytest.mark.parametrize(
    "given", ["", "http://a.example", "a.example/x", "a.example:80", "a b", "-a.example", "*.a", "x" * 64]
)
def test_what_is_no_domain_is_refused(given: str) -> None:
    with pytest.raises(ValidationError):
        DOMAIN.validate_python(given)


@pytest.mark.parametrize(
    ("url", "is_inside"),
    [
        ("https://example.com/a", True),
        ("https://docs.EXAMPLE.com./a", True),
        ("https://example.com.evil.test/", False),
        ("https://evilexample.com/", False),
        ("https://example.com@evil.test/", False),
        ("https://[::1", False),
        ("mailto:a@example.com", False),
    ],
)
def test_url_is_in_a_domain_with_its_subdomains(url: str, is_inside: bool) -> None:
    assert is_in_domains(url, ["example.com"]) == is_inside
