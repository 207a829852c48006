"""A run whose first turn called tools."""

from dataclasses import dataclass

from infra.clock import now_ms
from infra.database import assistants, runs, threads, tool_calls, tool_results, turns
from infra.database.engine import Database
from infra.database.tool_results import CallTiming, Stored
from infra.database.turns import Begun, Committed
from models.answers import Answer
from models.assistants import CreateAssistantRequest
from models.language_model import CallDelta, Finish, FinishReason, TokenUsage
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, Run
from models.step_events import StreamPosition
from models.threads import CreateThreadRequest
from models.tool_calls import SearchHit, SearchHits, ServerResult, ToolCall
from models.tools import CodeInterpreterTool, FileSearchTool, FunctionDefinition, FunctionTool, Tool
from models.turn_attempts import TurnAttempt
from models.turns import ToolCallInput, TurnInput
from tests.database import reading, writing
from tests.infra.database.conftest import PROJECT

EXECUTION = "execution"
HITS = SearchHits((SearchHit("file-1", "a.txt", 0.5, "Some text."),))
TIMING = CallTiming(1, 1_000)
TOOLS: list[Tool] = [
    FunctionTool(type="function", function=FunctionDefinition(name="weather")),
    FileSearchTool(type="file_search"),
    CodeInterpreterTool(type="code_interpreter"),
]


@dataclass(frozen=True)
class BegunTurn:
    """The first turn of a run, which the model has answered with calls of these names."""

    database: Database
    begun: Begun
    attempt: TurnAttempt
    answer: Answer

    @classmethod
    def of(cls, database: Database, *names: str) -> "BegunTurn":
        with writing(database) as connection:
            assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m", tools=TOOLS))
            thread = threads.create(connection, PROJECT, CreateThreadRequest())
            spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
            run = runs.create(connection, PROJECT, thread.id, spec)
            begun = turns.begin(connection, TurnInput(run.id, 0), EXECUTION, 1)
        assert isinstance(begun, Begun)
        answer = Answer()
        for index, name in enumerate(names):
            answer.add(CallDelta(index, name=name, arguments="{}"))
        answer.add(Finish(FinishReason.TOOL_CALLS, TokenUsage(1, 2)))
        return cls(database, begun, TurnAttempt(run.id, 0, 1, 1, now_ms()), answer)

    @property
    def run(self) -> Run:
        return self.begun.run

    def commit(self) -> Committed | None:
        position = StreamPosition(self.begun.next_event)
        with writing(self.database) as connection:
            return turns.commit(connection, self.begun, self.attempt, self.answer, position)


@dataclass(frozen=True)
class CalledTools:
    database: Database
    run: Run

    @classmethod
    def of(cls, database: Database, *names: str) -> "CalledTools":
        turn = BegunTurn.of(database, *names)
        assert turn.commit() is not None
        return cls(database, turn.run)

    @property
    def calls(self) -> list[ToolCall]:
        with reading(self.database) as connection:
            return list(tool_calls.of_turn(connection, self.run.id, 0))

    def input(self, position: int) -> ToolCallInput:
        return ToolCallInput(self.run.id, 0, self.calls[position].id)

    def store(self, position: int, result: ServerResult = HITS) -> Stored:
        this = self.input(position)
        with writing(self.database) as connection:
            return tool_results.store_result(connection, this, result, TIMING)
