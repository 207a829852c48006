import re

import pytest
from pydantic import TypeAdapter, ValidationError

from models.ids import Prefix, ThreadId, derived_id, new_id

THREAD_ID = TypeAdapter(ThreadId)


@pytest.mark.parametrize("prefix", Prefix)
def test_ids_match_openais_pattern(prefix: Prefix) -> None:
    form = re.compile(rf"{prefix}_[a-zA-Z0-9]{{24}}")

    assert form.fullmatch(new_id(prefix))
    assert form.fullmatch(derived_id(prefix, "origin", 1))


def test_new_ids_differ() -> None:
    assert len({new_id(Prefix.RUN) for _ in range(1000)}) == 1000


def test_derived_ids_are_equal_only_for_equal_origins() -> None:
    origins: list[tuple[str | int, ...]] = [("run", 1, 2), ("run", 1, 3), ("run", 12), ("run1", 2), ("run", "1", 2, 0)]

    # An activity that a server of another version repeats writes the same rows.
    assert derived_id(Prefix.STEP, "run", 1, 2) == "step_N8JNkpRCaSsMLBF6Olxw4yP5"
    assert len({derived_id(Prefix.STEP, *origin) for origin in origins}) == len(origins)
    assert derived_id(Prefix.STEP, "run")[-24:] != derived_id(Prefix.MESSAGE, "run")[-24:]


def test_generated_ids_are_valid() -> None:
    own = new_id(Prefix.THREAD)

    assert THREAD_ID.validate_python(own) == own


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", "id_prefix"),
        ("undefined", "id_prefix"),
        ("msg_abc", "id_prefix"),
        ("Thread_abc", "id_prefix"),
        ("thread_\0", "id_characters"),
        ("thread_a b", "id_characters"),
        ("thread_abc\n", "id_characters"),
        ("thread_" + "x" * 58, "string_too_long"),
        (1, "string_type"),
    ],
)
def test_invalid_thread_id_is_rejected(value: object, kind: str) -> None:
    with pytest.raises(ValidationError) as refused:
        THREAD_ID.validate_python(value)

    assert [error["type"] for error in refused.value.errors()] == [kind]
