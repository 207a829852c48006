"""What a turn's request says of the code interpreter: the names of the files that its code finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from infra.database import interpreter_files, sandbox_files, sandbox_sessions
from infra.database.engine import Database
from infra.database.sandbox_files import KeptFile
from infra.database.turns import Begun
from models.language_model import Function
from models.placed_files import names_of
from models.tool_calls import ToolKind
from models.tool_formats import code_interpreter


@dataclass(frozen=True)
class CodePrompt:
    """`made` are the files that the thread's code has made or changed, by name: the answer may link to them."""

    functions: tuple[Function, ...]
    made: Mapping[str, KeptFile] = field(default_factory=dict)


async def with_files(database: Database, begun: Begun, functions: tuple[Function, ...]) -> CodePrompt:
    """The functions, of which the code interpreter's names the thread's files."""
    if not any(function.kind is ToolKind.CODE_INTERPRETER for function in functions):
        return CodePrompt(functions)
    names, made = await database.read(_files, begun)
    return CodePrompt(tuple(_naming(function, names) for function in functions), made)


def _files(connection: Connection, begun: Begun) -> tuple[Sequence[str], Mapping[str, KeptFile]]:
    run = begun.run
    attached = interpreter_files.of_run(connection, begun.project_id, run)
    made = sandbox_files.of_thread(connection, run.thread_id)
    session = sandbox_sessions.find(connection, run.thread_id)
    names = names_of(attached, session.placed if session else {}, made).values()
    return list(dict.fromkeys([*names, *made])), made


def _naming(function: Function, names: Sequence[str]) -> Function:
    is_code = function.kind is ToolKind.CODE_INTERPRETER
    return code_interpreter.offered(function.name, names) if is_code else function
