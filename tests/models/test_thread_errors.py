"""Errors whose messages quote values that a client sent."""

from models.thread_errors import MAX_PRINTED_IDS, ToolOutputsMismatch


def test_mismatch_names_both_sets_of_ids() -> None:
    error = ToolOutputsMismatch(["call_a", "call_b"], ["call_a"])

    assert error.message == "Expected tool outputs for call_ids ['call_a', 'call_b'], got ['call_a']"


def test_mismatch_limits_number_and_length_of_ids() -> None:
    error = ToolOutputsMismatch(["call_a"], [f"call_{'x' * 1_000_000}"] * (MAX_PRINTED_IDS + 7))

    assert error.message.endswith("…'] and 7 more")
    assert len(error.message) < 100 * MAX_PRINTED_IDS
