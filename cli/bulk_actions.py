"""Actions of operators on many things, one after the other, and their results as text or JSON."""

import getpass
import json
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cli.known_values import MAX_NAME_LENGTH
from cli.ops_client import Refused
from cli.output import say


@dataclass(frozen=True)
class Output:
    """JSON lines for programs instead of tables for people."""

    as_json: bool


def author() -> str:
    """The name that the server records with a retry."""
    return f"{getpass.getuser()}@{socket.gethostname()}"[:MAX_NAME_LENGTH]


def act_on_each(words: tuple[str, str], ids: Sequence[str], act: Callable[[str], str], output: Output) -> bool:
    """Returns whether none was refused. `words` are the deed and its objects; `act` returns the status after it."""
    done, things = words
    taken = sum(_act(each, act, output) for each in _with_progress(done, ids, output))
    if not output.as_json:
        say(f"{done} {taken} of {len(ids)} {things}.")
    return taken == len(ids)


def _with_progress(done: str, ids: Sequence[str], output: Output) -> Iterator[str]:
    if not sys.stderr.isatty() or output.as_json or len(ids) < 2:
        yield from ids
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(ids, done, console=Console(stderr=True), transient=True)


def _act(each: str, act: Callable[[str], str], output: Output) -> bool:
    status, reason = None, None
    try:
        status = act(each)
    except Refused as refusal:
        reason = str(refusal)
    if output.as_json:
        say(json.dumps({"id": each, "status": status, "refused": reason}, ensure_ascii=False))
    else:
        say(f"{each}  {status or f'refused: {reason}'}")
    return reason is None
