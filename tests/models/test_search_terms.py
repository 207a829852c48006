"""What keyword search looks for in a query."""

import pytest

from models.search_terms import MAX_TERMS, search_terms


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("How do I reset the Password?", [("reset",), ("password",)]),
        ("torque of AX-4410/B", [("torque",), ("ax", "4410", "b")]),
        ("version 3.2.1", [("version",), ("3", "2", "1")]),
        ("vacation/holiday, holiday", [("vacation",), ("holiday",)]),
        ("don't open the company\u2019s door", [("don",), ("open",), ("company",), ("door",)]),
        ('" OR 1=1 NEAR(a b) * -x ^y col:z', [("1", "1"), ("near",), ("b",), ("x",), ("y",), ("col",), ("z",)]),
        ("Grüße 漢字", [("grüße",), ("漢字",)]),
        ("to be or not to be", []),
        ("?!", []),
        ("", []),
    ],
)
def test_terms_are_the_words_that_mean_something(query: str, terms: list[tuple[str, ...]]) -> None:
    assert search_terms(query) == terms


def test_number_of_terms_is_bounded() -> None:
    assert len(search_terms(" ".join(f"word{number}" for number in range(500)))) == MAX_TERMS
