"""A ReAct answer while it arrives: the final answer is passed on, actions become calls, thoughts are removed."""

from collections.abc import Iterator

from infra.language_model.react.actions import FINAL_ANSWER_ACTION, Action, parse_actions
from infra.language_model.react.final_answer import FinalAnswer
from infra.language_model.react.markers import ACTION, MAX_REACH, SECTION, THOUGHT
from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, ModelRequest, TextDelta


class ReactAnswer:
    """Call `feed` with the text, then `end`. Before the final answer begins, no delta is known until the text ends.

    Once `is_over`, further text of the model is invented, and the call may be closed.
    """

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._text = ""
        self._searched = 0
        self._last_action = 0
        self._is_structured = False
        self._final_answer: FinalAnswer | None = None
        self.is_over = False

    def feed(self, text: str) -> Iterator[ModelDelta]:
        if self._final_answer is None and not self.is_over:
            self._text += text
            # Every marker ends in a colon: a piece without one completes no marker, so long lines stay cheap.
            text = self._read_sections() if ":" in text else ""
        if self._final_answer is not None and (piece := self._final_answer.feed(text)):
            yield TextDelta(piece)

    def end(self, finish: Finish) -> Iterator[ModelDelta]:
        """The rest of the answer; `finish` is the end of the text."""
        actions = self._actions(self._text)
        if self._final_answer is not None:
            yield _finish(finish, FinishReason.STOP)
        elif not actions:
            if said := _without_markers(self._text):
                yield TextDelta(said)
            yield _finish(finish, FinishReason.STOP)
        elif actions[0].name == FINAL_ANSWER_ACTION:
            yield TextDelta(actions[0].arguments)
            yield _finish(finish, FinishReason.STOP)
        else:
            for index, action in enumerate(actions):
                yield CallDelta(index, action.name, action.arguments)
            yield _finish(finish, FinishReason.TOOL_CALLS, is_cut_off=not actions[-1].is_complete)

    def _actions(self, text: str) -> list[Action]:
        actions = parse_actions(text, self._request.functions)
        return actions if self._request.parallel_tool_calls else actions[:1]

    def _read_sections(self) -> str:
        """Read the new part of the text; the returned text belongs to the final answer."""
        while section := SECTION.search(self._text, self._searched):
            self._searched = section.end()
            before = self._text[: section.start()]
            match section.lastgroup:
                case "final_answer" if not self._actions(before):
                    self._final_answer = FinalAnswer(section[0])
                    return self._text[section.end() :]
                case "final_answer":
                    return self._stop_at(before)
                case "observation" if self._is_structured:
                    return self._stop_at(before)
                case "action" if not self._request.parallel_tool_calls and self._actions(before[self._last_action :]):
                    return self._stop_at(before)
                case "action":
                    # With the character before it, which distinguishes a marker within a line.
                    self._last_action = max(section.start() - 1, 0)
            self._is_structured = self._is_structured or section.lastgroup != "observation"
        self._searched = max(self._searched, self._possible_marker_start())
        return ""

    def _possible_marker_start(self) -> int:
        # A marker at the beginning of a line ends with the line's first colon; others are short. So the rest of a long
        # line is not searched again for each of its colons.
        line = self._text.rfind("\n") + 1
        return max(line, len(self._text) - MAX_REACH) if self._text.find(":", line) >= 0 else line

    def _stop_at(self, before: str) -> str:
        self._text = before
        self.is_over = True
        return ""


def _finish(finish: Finish, reason: FinishReason, is_cut_off: bool = True) -> Finish:
    was_cut = finish.reason is FinishReason.CONTENT_FILTER or (finish.reason is FinishReason.LENGTH and is_cut_off)
    return finish if was_cut else Finish(reason, finish.usage)


def _without_markers(text: str) -> str:
    """The text of an answer without an action: its one thought, or all of it."""
    thought = THOUGHT.match(text.lstrip())
    said = text.lstrip()[thought.end() :] if thought else text
    dangling = ACTION.search(said)
    return (said[: dangling.start()] if dangling else said).strip().strip("*").strip() if thought or dangling else said
