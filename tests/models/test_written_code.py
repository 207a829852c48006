"""The code in the arguments of a call: whatever the model writes, and however it is cut into pieces."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.answers import storable
from models.written_code import CodeReader, code_of, runnable_code

SMILE = "\N{GRINNING FACE}"


def read(*pieces: str) -> list[str]:
    reader = CodeReader()
    return [*map(reader.mend, pieces), reader.rest()]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"code": "print(1)"}', "print(1)"),
        (' {\n "code" :\t"a = \\"b\\"\\n\\tc\\\\d\\/"} ', 'a = "b"\n\tc\\d/'),
        ('{"code":"\\u00e9\\ud83d\\ude00"}', f"é{SMILE}"),
        ('{"code":"\\ud83d-\\ude00\\u0000"}', "\ufffd-\ufffd\ufffd"),
        # Not JSON, but near it.
        ('{"code": "a\nb"}', "a\nb"),
        ('{"code": "\\d\\\\d\\u12\\uzz"}', "\\d\\d\\u12\\uzz"),
        ('{"code": "print(1)', "print(1)"),
        ('{"code": "a\\', "a\\"),
        ('{"code": "a\\u12', "a\\u12"),
        ('{"code": "a"} and more', "a"),
        # Other forms.
        ('{"language": "python", "code": "a"}', "a"),
        ('{"input": "a"}', "a"),
        ('{"code": 1}', ""),
        ('{"a": "b", "c": "d"}', ""),
        ('"print(1)"', "print(1)"),
        ('"a".upper()', '"a".upper()'),
        ("print(1)\n", "print(1)\n"),
        ("  import os\nos", "  import os\nos"),
        ("{1, 2}", "{1, 2}"),
        ("[1, 2]", "[1, 2]"),
        ("{" + " " * 300 + '"code": "a"}', "a"),
        ("", ""),
        (" \n", ""),
        ("{}", ""),
        ("null", "null"),
        ('{"code": ' + "[" * 100_000, '{"code": ' + "[" * 100_000),
    ],
)
def test_code_at_every_border(arguments: str, code: str) -> None:
    assert code_of(arguments) == code
    places = range(len(arguments)) if len(arguments) < 1000 else (9, 500)
    for at in places:
        assert "".join(read(arguments[:at], arguments[at:])) == code
    if len(arguments) < 1000:
        assert "".join(read(*arguments)) == code


CODE = st.text(st.sampled_from('ab"\\/\n\t\0é\ud83d\ude00{}:' + SMILE), max_size=12)


@given(CODE, st.booleans(), st.lists(st.integers(0, 80), max_size=6))
@example("\ud83d\ude00", True, [11, 14, 17, 20])
def test_json_is_decoded_however_it_is_cut(code: str, ascii: bool, places: list[int]) -> None:
    arguments = json.dumps({"code": code}, ensure_ascii=ascii)
    borders = sorted({0, len(arguments), *(min(place, len(arguments)) for place in places)})

    pieces = read(*(arguments[begin:end] for begin, end in pairwise(borders)))

    assert "".join(pieces) == storable(code)
    assert runnable_code(arguments) == (storable(code) if storable(code).strip() else None)


@given(st.text(st.sampled_from('{}":, \n\\u0codeab\ud83d')), st.lists(st.integers(0, 80), max_size=6))
def test_any_text_is_read_alike_however_it_is_cut(arguments: str, places: list[int]) -> None:
    borders = sorted({0, len(arguments), *(min(place, len(arguments)) for place in places)})

    pieces = read(*(arguments[begin:end] for begin, end in pairwise(borders)))

    assert "".join(pieces) == code_of(arguments)


def test_code_is_shown_while_it_is_written() -> None:
    assert read('{"co', 'de": "pri', "nt(1)\\", 'n"', "}") == ["", "pri", "nt(1)", "\n", "", ""]
    assert read("import", " os") == ["import", " os", ""]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"code": "' + "\\n" * 500_000 + '"}',
        '{"code": "' + "\\q" * 200_000,
        "{" + " " * 1_000_000,
        '"' + "a" * 1_000_000,
    ],
    ids=["escapes", "no-escapes", "blanks", "string"],
)
@pytest.mark.parametrize("size", [100, 1_000_000])
def test_long_arguments_take_time_in_proportion(arguments: str, size: int) -> None:
    began = time.process_time()

    read(*(arguments[at : at + size] for at in range(0, len(arguments), size)))

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"code": "print(1)"}', "print(1)"),
        ("```python\nprint(1)\n```", "print(1)"),
        ('{"code": "```\\nprint(1)\\n```\\n"}', "print(1)"),
        ('{"code": "print(1)', None),
        ('{"code": " \\n"}', None),
        ("{}", None),
    ],
)
def test_code_without_its_end_is_not_run(arguments: str, code: str | None) -> None:
    assert runnable_code(arguments) == code
