from models.answers import Answer
from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.runs import RunStatus

USAGE = TokenUsage(prompt_tokens=3, completion_tokens=2)


def answer_of(*deltas: ModelDelta) -> Answer:
    answer = Answer()
    for delta in deltas:
        answer.add(delta)
    return answer


def test_text_deltas_are_joined() -> None:
    answer = answer_of(TextDelta("Hel"), TextDelta("lo"), Finish(FinishReason.STOP, USAGE))

    assert (answer.text, answer.usage, answer.run_status) == ("Hello", USAGE, RunStatus.COMPLETED)


def test_call_deltas_are_joined_by_index() -> None:
    answer = answer_of(
        CallDelta(0, "add", '{"a"'),
        CallDelta(1, "now"),
        CallDelta(0, None, ": 1}"),
        Finish(FinishReason.TOOL_CALLS, USAGE),
    )

    assert [(call.name, call.arguments) for call in answer.calls] == [("add", '{"a": 1}'), ("now", "{}")]
    assert answer.run_status is RunStatus.REQUIRES_ACTION


def test_answer_out_of_tokens_is_incomplete_despite_calls() -> None:
    answer = answer_of(CallDelta(0, "add", '{"a'), Finish(FinishReason.LENGTH, USAGE))

    assert answer.run_status is RunStatus.INCOMPLETE


def test_refusal_is_separate_from_text() -> None:
    answer = answer_of(TextDelta("Well."), RefusalDelta("I "), RefusalDelta("can't."), Finish(FinishReason.STOP, USAGE))

    assert (answer.text, answer.refusal, answer.run_status) == ("Well.", "I can't.", RunStatus.COMPLETED)


def test_refusal_alone_counts_as_content() -> None:
    assert answer_of(RefusalDelta("No.")).has_words
    assert not answer_of(CallDelta(0, "add")).has_words


def test_filtered_answer_has_content_filter_reason() -> None:
    assert answer_of(Finish(FinishReason.CONTENT_FILTER, USAGE)).is_filtered
    assert not answer_of(TextDelta("Hello")).is_filtered
