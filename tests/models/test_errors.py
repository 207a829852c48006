"""Errors whose texts print what a client sent."""

from models.errors import MAX_PRINTED_IDS, ToolOutputsMismatch


def test_mismatch_prints_both_sets() -> None:
    error = ToolOutputsMismatch(["call_a", "call_b"], ["call_a"])

    assert error.message == "Expected tool outputs for call_ids ['call_a', 'call_b'], got ['call_a']"


def test_mismatch_prints_so_many_ids_and_so_much_of_each() -> None:
    error = ToolOutputsMismatch(["call_a"], [f"call_{'x' * 1_000_000}"] * (MAX_PRINTED_IDS + 7))

    assert error.message.endswith("…'] and 7 more")
    assert len(error.message) < 100 * MAX_PRINTED_IDS
