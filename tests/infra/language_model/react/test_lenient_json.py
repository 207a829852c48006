import json

import pytest

from infra.language_model.react.lenient_json import find_object, repaired_object

MEANT = [
    ('{"city": "Rome"}', {"city": "Rome"}),
    ("{'city': 'Rome'}", {"city": "Rome"}),
    ("{'city': \"Rome\"}", {"city": "Rome"}),
    ('{"city": "Rome",}', {"city": "Rome"}),
    ('{"cities": ["Rome", "Oslo", ], }', {"cities": ["Rome", "Oslo"]}),
    ('{city: "Rome", max-days: 3}', {"city": "Rome", "max-days": 3}),
    ("{'ok': True, 'no': False, 'nothing': None}", {"ok": True, "no": False, "nothing": None}),
    ('{"ok": true, "nothing": null}', {"ok": True, "nothing": None}),
    ("{'said': 'it\\'s'}", {"said": "it's"}),
    ("{'said': 'it's fine'}", {"said": "it's fine"}),
    ("{'said': 'a \"quoted\" word'}", {"said": 'a "quoted" word'}),
    ('{"said": "True, or {false}, or [null,]"}', {"said": "True, or {false}, or [null,]"}),
    ('{"a": {"b": {"c": [{"d": 1}]}}}', {"a": {"b": {"c": [{"d": 1}]}}}),
    ('{"text": "two\nlines"}', {"text": "two\nlines"}),
    ('{"city": "Rome"', {"city": "Rome"}),
    ('{"city": "Ro', {"city": "Ro"}),
    ('{"a": [1, 2', {"a": [1, 2]}),
    ('{"a": 1,', {"a": 1}),
    ("{}", {}),
    ("{ }", {}),
]


@pytest.mark.parametrize(("written", "meant"), MEANT)
def test_malformed_object_is_repaired(written: str, meant: object) -> None:
    repaired = repaired_object(written)

    assert repaired is not None
    assert json.loads(repaired) == meant


def test_valid_json_is_unchanged() -> None:
    assert repaired_object('{ "a":1.0 , "b":"\\u00e9" }') == '{ "a":1.0 , "b":"\\u00e9" }'


@pytest.mark.parametrize(
    "written",
    ["Rome", "[1, 2]", '"Rome"', "{{", '{"a" "b"}', "{1: 2 3}", "", pytest.param('{"a":' * 100_000, id="too deep")],
)
def test_ambiguous_text_is_not_repaired(written: str) -> None:
    assert repaired_object(written) is None


@pytest.mark.parametrize(("written", "_"), [pair for pair in MEANT if pair[0].endswith("}")])
def test_object_ends_at_its_closing_brace(written: str, _: object) -> None:
    found = find_object(f"x {written} and }} more", 2)

    assert found.is_closed
    assert found.end == 2 + len(written)


def test_object_without_closing_brace_is_incomplete() -> None:
    found = find_object('{"a": {"b": "}"}', 0)

    assert not found.is_closed
    assert found.end == 16


def test_long_run_of_quotes_is_read_in_time() -> None:
    written = "{" + "'a':'b'," * 20_000

    assert repaired_object(written) is not None
