"""A property of any run: the database replays the events that its stream emitted, with the same numbers."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, pairwise
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from activities.run_finalization import finalize_run
from activities.turn_stream import TurnStream
from infra.clock import now_ms
from infra.database import (
    assistants,
    messages,
    prompts,
    run_events,
    run_finalization,
    run_steps,
    runs,
    sandbox_sessions,
    threads,
    tool_results,
    turns,
)
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.run_finalization import Partial
from infra.database.tool_results import CallTiming
from infra.database.turns import Begun
from infra.event_stream.in_process import InProcessEventStream
from infra.event_stream.publishing import publish
from infra.ports import EventBatch
from models.answers import Answer
from models.assistants import CreateAssistantRequest
from models.cited_text import CitedText
from models.code_cells import SandboxSession
from models.events import MESSAGE_DELTA, Event, NumberedEvent, call_delta, numbered
from models.finalization import Finalization
from models.ids import new_file_id
from models.language_model import CallDelta, Finish, FinishReason, ModelDelta, RefusalDelta, TextDelta, TokenUsage
from models.linked_files import LinkedText
from models.lists import PageRequest
from models.messages import CreateMessageRequest
from models.run_events import created
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, Run, RunStatus, ToolOutput
from models.threads import CreateThreadRequest
from models.tool_calls import (
    CodeRun,
    SearchHit,
    SearchHits,
    ServerResult,
    ToolCall,
    ToolKind,
    WebPassage,
    WebPassages,
    WebSource,
)
from models.tool_formats.file_search import FileSearchFormat
from models.tool_formats.format import ToolFormat
from models.tool_formats.formats import FORMATS
from models.tools import (
    CodeInterpreterTool,
    FileSearchTool,
    FunctionDefinition,
    FunctionTool,
    Tool,
    WebRetrievalTool,
)
from models.turn_attempts import TurnAttempt
from models.turns import ServerCall, ToolCallInput, TurnInput, TurnOutcome
from tests.database import new_sqlite_database, writing

PROJECT = "default"
WEATHER = FunctionTool(type="function", function=FunctionDefinition(name="weather"))
TOOLS: list[Tool] = [
    WEATHER,
    FileSearchTool(type="file_search"),
    WebRetrievalTool(type="web_retrieval"),
    CodeInterpreterTool(type="code_interpreter"),
]
ALL = 100_000

PIECES = st.lists(st.text("ab \N{GRINNING FACE}\ud83d\ude00\0", min_size=1, max_size=4), min_size=1, max_size=5)
WORDS = PIECES.map(lambda pieces: [TextDelta(piece) for piece in pieces])
REFUSALS = PIECES.map(lambda pieces: [RefusalDelta(piece) for piece in pieces])


# Cut anywhere, also within escapes and halves of a character.
CODE = st.tuples(
    st.sampled_from(['{"code": "a\\n\\ud83d\\ude00é"}', '{"code": "\ud83d\ude00\\u00', '{"x": "a"}', "a\n", "{1}"]),
    st.lists(st.integers(0, 30), max_size=6),
).map(lambda drawn: cut(*drawn))


@st.composite
def calls(draw: st.DrawFn) -> list[ModelDelta]:
    deltas: list[ModelDelta] = []
    for index in range(draw(st.integers(1, 3))):
        names = ["weather", "file_search", "web_retrieval", "python", "no such"]
        deltas.append(CallDelta(index, name=draw(st.sampled_from(names))))
        deltas += [CallDelta(index, arguments=piece) for piece in draw(st.just([]) | PIECES | CODE)]
    return deltas


LINK = "sandbox:/mnt/data/a.csv"
MARKED_PARTS = ["【0:0†a.txt】", "[0:0]", "【9:9】", "`", "【重】", "\ud83d", "So ", LINK]

# Cut into pieces at any place. Which of them are markers of results depends on the calls of earlier turns.
MARKED = st.tuples(
    st.lists(
        st.sampled_from(["【0:0†a.txt】", "[0:0]", "【9:9】", "`", "【重】", "\ud83d", "So ", LINK]),
        min_size=1,
        max_size=6,
    ).map("".join),
    st.lists(st.integers(0, 40), max_size=6),
).map(lambda drawn: [TextDelta(piece) for piece in cut(*drawn)])


def cut(text: str, places: Sequence[int]) -> list[str]:
    borders = sorted({0, len(text), *(min(place, len(text)) for place in places)})
    return [text[begin:end] for begin, end in pairwise(borders)]


ANSWERS = st.one_of(
    WORDS,
    MARKED,
    MARKED,
    REFUSALS,
    calls(),
    st.tuples(MARKED, REFUSALS, MARKED).map(lambda parts: [*parts[0], *parts[1], *parts[2]]),
    st.tuples(MARKED, calls()).map(lambda parts: [*parts[0], *parts[1]]),
    st.tuples(calls(), MARKED).map(lambda parts: [*parts[0], *parts[1]]),
    st.tuples(WORDS, REFUSALS).map(lambda parts: [*parts[0], *parts[1]]),
    st.tuples(WORDS, calls()).map(lambda parts: [*parts[0], *parts[1]]),
    st.tuples(calls(), WORDS).map(lambda parts: [*parts[0], *parts[1]]),
    st.just([]),
)
FINISHES = st.sampled_from([FinishReason.STOP, FinishReason.STOP, FinishReason.LENGTH])
ENDS = st.sampled_from([RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.EXPIRED, RunStatus.INCOMPLETE])


@dataclass(frozen=True)
class Turn:
    """An answer, and what happens to it: committed, or cut short after some pieces by its attempt or from outside.

    `runs_calls` is how many of its server calls get a result before the run ends; None: all of them. Its code shows
    `shown_logs` before its result, which has `images`.
    """

    deltas: Sequence[ModelDelta]
    finish: FinishReason
    cancels_before_commit: bool
    cut_after: int | None
    end: RunStatus
    by_attempt: bool
    submits: bool
    runs_calls: int | None = None
    last_call_first: bool = False
    shown_logs: Sequence[str] = ()
    images: int = 0


TURNS = st.builds(
    Turn,
    ANSWERS,
    FINISHES,
    cancels_before_commit=st.booleans(),
    cut_after=st.none() | st.none() | st.integers(0, 6),
    end=ENDS,
    by_attempt=st.booleans(),
    submits=st.booleans() | st.just(True),
    runs_calls=st.none() | st.none() | st.integers(0, 2),
    last_call_first=st.booleans(),
    shown_logs=st.lists(st.sampled_from(["a\n", "\N{GRINNING FACE}"]), max_size=3),
    images=st.integers(0, 2),
)


def answered(*deltas: ModelDelta) -> Turn:
    """A turn that is committed and whose calls are answered."""
    return Turn(deltas, FinishReason.STOP, False, None, RunStatus.FAILED, by_attempt=False, submits=True)


SESSION = SandboxSession("thread", 1, "http://sandbox")
EMPTY_TEXT = {"type": "text", "text": {"value": "", "annotations": []}}
CALL = CallDelta(0, name="weather")
BLANK_ARGUMENTS = answered(CALL, CallDelta(0, arguments=" "), CallDelta(0, arguments=" "))
BLANKS_AROUND = answered(CALL, *(CallDelta(0, arguments=piece) for piece in (" ", " {}", " ")))
SEARCH = CallDelta(0, name="file_search", arguments='{"queries": ["a"]}')
SEARCH_AND_CALL = answered(SEARCH, CallDelta(1, name="weather"))
UNKNOWN = CallDelta(0, name="no such", arguments='{"a": 1}')
UNKNOWN_AND_CALL = answered(UNKNOWN, CallDelta(1, name="weather"))
WORDS_AFTER_A_SEARCH = answered(SEARCH, TextDelta("Well"))
HIT = SearchHit("file-1", "a.txt", 0.5, "Some text.", page=2)
HITS = SearchHits((HIT,))
PAGES = WebPassages((WebPassage("https://a.example/b", "B", "Some text.", WebSource.PAGE),), ("It goes on.",))
WEB = CallDelta(0, name="web_retrieval", arguments='{"url": "https://a.example/b"}')
CITED = [TextDelta(piece) for piece in ("\ud83d", "\ude00 So【0", ":0†a.txt】", "【0:0】【9:9】 ", "and [0:0†x].")]
MARKERS = answered(*CITED)
MARKERS_AROUND_A_REFUSAL = answered(TextDelta("【0:0"), RefusalDelta("【0:0】"), TextDelta("【0:0】"))
MARKERS_CUT_SHORT = replace(answered(*CITED, *CITED), cut_after=2)
PYTHON = CallDelta(0, name="python", arguments='{"code": "1')
CODE_IN_PIECES = answered(PYTHON, CallDelta(0, arguments="\\ud83d"), CallDelta(0, arguments='\\ude00"}'))
TWO_CODES = answered(PYTHON, CallDelta(0, arguments='"}'), CallDelta(1, name="python"), CallDelta(2, name="weather"))
CODE_SHOWN = replace(CODE_IN_PIECES, shown_logs=("a\n", "b"), images=2)
CODES_SHOWN = replace(TWO_CODES, shown_logs=("a\n", "b"), images=2)
LINKED = answered(*(TextDelta(piece) for piece in ("\ud83d", f"\ude00 {LINK[:9]}", f"{LINK[9:]}.", f" {LINK}")))
REFUSED = RefusalDelta("No.")
HALF_BEFORE_A_CALL = answered(TextDelta("\ud83d"), CALL)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return Database(create_engine(new_sqlite_database(tmp_path_factory.mktemp("replays")), Limits()))


@pytest.mark.any_database
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=st.lists(TURNS, min_size=1, max_size=4), with_thread=st.booleans(), last_end=ENDS)
@example(script=[BLANK_ARGUMENTS, BLANKS_AROUND], with_thread=False, last_end=RunStatus.FAILED)
@example(
    script=[answered(CALL), replace(answered(CALL), submits=False)], with_thread=True, last_end=RunStatus.INCOMPLETE
)
@example(script=[HALF_BEFORE_A_CALL], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[UNKNOWN_AND_CALL, answered(UNKNOWN)], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[CODE_SHOWN, LINKED], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[replace(CODES_SHOWN, last_call_first=True), LINKED], with_thread=True, last_end=RunStatus.FAILED)
@example(script=[replace(CODES_SHOWN, runs_calls=1)], with_thread=False, last_end=RunStatus.CANCELLED)
@example(script=[replace(CODES_SHOWN, runs_calls=0)], with_thread=False, last_end=RunStatus.CANCELLED)
@example(
    script=[CODE_SHOWN, replace(LINKED, cut_after=2, by_attempt=True)],
    with_thread=False,
    last_end=RunStatus.FAILED,
)
@example(
    script=[CODE_SHOWN, answered(TextDelta("So"), *TWO_CODES.deltas), answered(REFUSED)],
    with_thread=False,
    last_end=RunStatus.FAILED,
)
@example(script=[SEARCH_AND_CALL, answered(SEARCH)], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[WORDS_AFTER_A_SEARCH, answered(TextDelta("Done"))], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(SEARCH), MARKERS], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(WEB), MARKERS], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(WEB), MARKERS_AROUND_A_REFUSAL], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(WEB), MARKERS_CUT_SHORT], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(SEARCH), MARKERS_AROUND_A_REFUSAL], with_thread=False, last_end=RunStatus.FAILED)
@example(script=[answered(SEARCH), MARKERS_CUT_SHORT], with_thread=False, last_end=RunStatus.FAILED)
@example(
    script=[answered(SEARCH), replace(MARKERS_CUT_SHORT, by_attempt=True)], with_thread=False, last_end=RunStatus.FAILED
)
@example(script=[answered(SEARCH), answered(SEARCH, *CITED), MARKERS], with_thread=False, last_end=RunStatus.FAILED)
def test_the_replay_equals_the_stream(
    database: Database, script: Sequence[Turn], with_thread: bool, last_end: RunStatus
) -> None:
    asyncio.run(Scenario(database).play(script, with_thread, last_end))


@pytest.mark.any_database
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=TURNS, second=TURNS)
def test_the_replay_leaves_out_only_what_was_aborted(database: Database, first: Turn, second: Turn) -> None:
    asyncio.run(Scenario(database).play_aborted(first, second))


class _WithResultDeltas(FileSearchFormat):
    """As of a kind whose results are streamed: the order in which calls end decides about the numbers."""

    def result_deltas(self, step_id: str, call: ToolCall) -> Sequence[Event]:
        return [call_delta(step_id, call.position, {"type": call.kind, "piece": piece}) for piece in ("a", "b")]


@pytest.mark.any_database
@pytest.mark.parametrize("last_call_first", [False, True])
@pytest.mark.parametrize("runs_calls", [None, 1])
def test_the_replay_has_the_deltas_of_results(
    database: Database, monkeypatch: pytest.MonkeyPatch, last_call_first: bool, runs_calls: int | None
) -> None:
    monkeypatch.setitem(cast(dict[ToolKind, ToolFormat], FORMATS), ToolKind.FILE_SEARCH, _WithResultDeltas())
    searches = (CallDelta(0, name="file_search"), CallDelta(1, name="weather"), CallDelta(2, name="file_search"))
    turn = replace(answered(*searches), last_call_first=last_call_first, runs_calls=runs_calls)

    asyncio.run(Scenario(database).play([turn, answered(TextDelta("Done"))], False, RunStatus.FAILED))


@dataclass
class Scenario:
    """One run on a new thread, and a stream of its own."""

    database: Database
    stream: InProcessEventStream = field(default_factory=lambda: InProcessEventStream(timedelta(minutes=1)))
    execution: str = field(default_factory=lambda: uuid4().hex)
    tokens: count = field(default_factory=lambda: count(1))  # type: ignore[type-arg]

    async def play(self, script: Sequence[Turn], with_thread: bool, last_end: RunStatus) -> None:
        run = await self._create(with_thread)
        for number, turn in enumerate(script):
            begun, attempt, answers = await self._begin(run, number)
            goes_on = await self._answer(begun, attempt, answers, turn)
            await self._compare(run)
            if not goes_on:
                break
        await self._finalize(run, last_end)
        await self._compare(run)
        whole = await self._replayed(run)
        for after in (3, 7, whole[-1].number - 2):
            assert await self._replayed(run, after) == [event for event in whole if event.number > after]

    async def play_aborted(self, first: Turn, second: Turn) -> None:
        run = await self._create(with_thread=False)
        _, _, answers = await self._begin(run, 0)
        cited = CitedText({(0, 0): HIT})
        for delta in first.deltas:
            for each in cited.cite(delta):
                await answers.emit(each)
        begun, attempt, answers = await self._begin(run, 0)
        await self._answer(begun, attempt, answers, second)
        await self._compare(run)
        await self._finalize(run, RunStatus.FAILED)
        await self._compare(run)

    async def _compare(self, run: Run) -> None:
        """The replay has every event of the stream but those of answers that were aborted, and so not kept."""
        kept = await self.database.read(_kept_ids, run)
        stream = await self._emitted(run)
        _check_messages(stream)
        emitted = [each for each in stream if not _is_of_answer(each) or _id_of(each) in kept]
        replayed = await self._replayed(run)
        assert _names(replayed) == _names(emitted)
        assert _without_start(replayed) == _without_start(emitted)

    async def _create(self, with_thread: bool) -> Run:
        with writing(self.database) as connection:
            hello = CreateMessageRequest(role="user", content="Hello")
            assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m", tools=TOOLS))
            thread = threads.create(connection, PROJECT, CreateThreadRequest(messages=[hello]))
            spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
            run = runs.create(connection, PROJECT, thread.id, spec, with_thread=with_thread)
        await publish(self.stream, run.id, EventBatch(0, created(run, thread if with_thread else None)))
        return run

    async def _begin(self, run: Run, number: int) -> tuple[Begun, TurnAttempt, TurnStream]:
        token = next(self.tokens)
        begun = await self.database.write(turns.begin, TurnInput(run.id, number), self.execution, token)
        assert isinstance(begun, Begun)
        attempt = TurnAttempt(self.execution, number, 1, token, now_ms(), begun.last_message_at)
        return begun, attempt, await TurnStream.open(self.database, self.stream, begun, attempt)

    async def _answer(self, begun: Begun, attempt: TurnAttempt, stream: TurnStream, turn: Turn) -> bool:
        """Returns whether the run goes on with another turn."""
        run = begun.run
        past = await self.database.read(prompts.past_turns, run.id, attempt.turn)
        cited = CitedText({number: hit for turn in past for number, hit in turn.sources.items()})
        linked = LinkedText(["a.csv"], new_file_id)
        answer = Answer(image_ids=prompts.unseen_images(past))
        stream.image_ids = answer.image_ids
        for index, delta in enumerate([*turn.deltas, Finish(turn.finish, TokenUsage(1, 2))]):
            if index == turn.cut_after:
                await self._cut_short(run, attempt, answer, stream, turn)
                return False
            for each in cited.cite(delta):
                for piece in linked.link(each):
                    answer.add(piece)
                    await stream.emit(piece)
        position = await stream.finish()
        if turn.cancels_before_commit:
            await self.database.write(runs.begin_cancelling, PROJECT, run.thread_id, run.id)
        committed = await self.database.write(turns.commit, begun, attempt, answer, position)
        assert committed is not None
        await publish(self.stream, run.id, committed.events)
        status = await self._run_tools(run, turn, committed.outcome)
        if status is RunStatus.REQUIRES_ACTION and turn.submits:
            await self._submit(run)
            return True
        return status is RunStatus.IN_PROGRESS

    async def _result(self, call: ToolCallInput, kind: ToolKind, turn: Turn) -> ServerResult:
        match kind:
            case ToolKind.CODE_INTERPRETER:
                return await self._show_code(call, turn)
            case ToolKind.WEB_RETRIEVAL:
                return PAGES
        return HITS

    async def _run_tools(self, run: Run, turn: Turn, outcome: TurnOutcome) -> RunStatus:
        """Returns the run's status after the server's calls, which is `in_progress` if the next turn follows."""
        status, calls = outcome.status, outcome.server_calls[:: -1 if turn.last_call_first else 1]
        for call in calls[: turn.runs_calls]:
            number = await self.database.read(_turn_of, run)
            this = ToolCallInput(run.id, number, call.id)
            result = await self._result(this, call.kind, turn)
            stored = await self.database.write(tool_results.store_result, this, result, CallTiming(1, now_ms()))
            await publish(self.stream, run.id, stored.events)
            await self._compare(run)
            status = stored.state.status
        if turn.runs_calls is not None and turn.runs_calls < len(calls):
            await self._show_unfinished(run, turn, calls[turn.runs_calls])
            return RunStatus.FAILED
        return status

    async def _show_unfinished(self, run: Run, turn: Turn, call: ServerCall) -> None:
        """The run ends while this call runs."""
        number = await self.database.read(_turn_of, run)
        await self._result(ToolCallInput(run.id, number, call.id), call.kind, turn)
        await self._compare(run)

    async def _show_code(self, call: ToolCallInput, turn: Turn) -> CodeRun:
        await self.database.write(sandbox_sessions.begin_cell, call.call_id, SESSION, "Restarted. ", {})
        logs = "Restarted. " if turn.shown_logs else ""
        for text in turn.shown_logs:
            logs += text
            await publish(self.stream, call.run_id, await self.database.write(tool_results.show_logs, call, logs))
            # An attempt that joins the cell shows what was shown before.
            again = await self.database.write(tool_results.show_logs, call, logs[:-1])
            assert again.events == ()
        return CodeRun(f"{logs}end" if turn.images != 1 else logs, tuple(new_file_id() for _ in range(turn.images)))

    async def _cut_short(self, run: Run, attempt: TurnAttempt, answer: Answer, stream: TurnStream, turn: Turn) -> None:
        if not turn.by_attempt:
            await self._finalize(run, turn.end)
            return
        finalization = Finalization(run.id, turn.end, by=self.execution)
        position = await stream.finish()
        partial = Partial(attempt, answer)
        finalized = await self.database.write(run_finalization.finalize, finalization, position, partial)
        await publish(self.stream, run.id, finalized.events)

    async def _submit(self, run: Run) -> None:
        asked = await self.database.read(runs.load, PROJECT, run.thread_id, run.id)
        assert asked.required_action is not None
        called = asked.required_action.submit_tool_outputs.tool_calls
        outputs = [ToolOutput(tool_call_id=call.id, output="sunny") for call in called]
        answered = await self.database.write(runs.accept_outputs, PROJECT, run.thread_id, run.id, outputs)
        await publish(self.stream, run.id, answered.events)

    async def _finalize(self, run: Run, status: RunStatus) -> None:
        await finalize_run(self.database, self.stream, Finalization(run.id, status, by=self.execution))

    async def _replayed(self, run: Run, after: int = -1) -> list[NumberedEvent]:
        replay = await self.database.read(run_events.replay_after, run.id, after)
        assert replay is not None
        return replay.events

    async def _emitted(self, run: Run) -> list[NumberedEvent]:
        batch = await self.stream.read(run.id, -1, timedelta(), ALL)
        return numbered(batch.first, batch.events)


def _turn_of(connection: Connection, run: Run) -> int:
    return runs.state_of(connection, run.id).turn


def _kept_ids(connection: Connection, run: Run) -> set[str]:
    page = PageRequest(limit=100)
    steps = run_steps.list_page(connection, PROJECT, run.id, page)
    kept = messages.list_page(connection, PROJECT, run.thread_id, page, run.id)
    return {each.id for each in (*steps.data, *kept.data)}


def _check_messages(stream: Sequence[NumberedEvent]) -> None:
    """The deltas of each message that was closed make up its content, citations included. Aborted ones too."""
    said: dict[str, dict[int, dict[str, Any]]] = {}
    for event in (each.event for each in stream):
        data = json.loads(event.data)
        if event.name == MESSAGE_DELTA:
            for part in data["delta"]["content"]:
                _accumulate(said.setdefault(data["id"], {}), part)
        elif event.name in ("thread.message.completed", "thread.message.incomplete"):
            content = [part for part in data["content"] if part != EMPTY_TEXT]
            assert [part for _, part in sorted(said.get(data["id"], {}).items())] == content


def _accumulate(parts: dict[int, dict[str, Any]], delta: dict[str, Any]) -> None:
    if delta["type"] == "image_file":
        assert delta["index"] not in parts
        parts[delta["index"]] = {"type": "image_file", "image_file": delta["image_file"]}
        return
    if delta["type"] == "refusal":
        part = parts.setdefault(delta["index"], {"type": "refusal", "refusal": ""})
        part["refusal"] += delta["refusal"]
        return
    part = parts.setdefault(delta["index"], {"type": "text", "text": {"value": "", "annotations": []}})
    text = part["text"]
    for annotation in delta["text"].get("annotations", ()):
        assert annotation.pop("index") == len(text["annotations"])
        text["annotations"].append(annotation)
        # Text after calls is one delta.
        assert annotation["text"] in delta["text"]["value"]
    text["value"] += delta["text"]["value"]
    for annotation in text["annotations"]:
        assert text["value"][annotation["start_index"] : annotation["end_index"]] == annotation["text"]


def _is_of_answer(event: NumberedEvent) -> bool:
    return event.event.name.startswith(("thread.message.", "thread.run.step."))


def _id_of(event: NumberedEvent) -> str:
    return str(json.loads(event.event.data)["id"])


def _without_start(events: Sequence[NumberedEvent]) -> list[dict[str, Any]]:
    """A resumed run has a new `started_at`, which the replay of its earlier events shows as well."""
    return [{**json.loads(each.event.data), "started_at": None} for each in events]


def _names(events: Sequence[NumberedEvent]) -> list[tuple[int, str]]:
    return [(each.number, each.event.name) for each in events]
