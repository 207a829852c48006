import pytest

from infra.web.urls import canonical


@pytest.mark.parametrize(
    ("url", "one_form"),
    [
        ("http://A.example", "http://a.example/"),
        (" http://a.example:80/x#y", "http://a.example/x"),
        ("https://a.example?b", "https://a.example/?b"),
        ("http://a.example/ü?q=ö", "http://a.example/%C3%BC?q=%C3%B6"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://a.example:8080/", "http://a.example:8080/"),
        ("ftp://a.example/", None),
        ("mailto:a@b.example", None),
        ("http://user@a.example/", None),
        ("http://", None),
        ("http://[::1", None),
        ("http://a.example/" + "x" * 2048, None),
    ],
)
def test_page_has_one_name(url: str, one_form: str | None) -> None:
    assert canonical(url) == one_form
