"""Actions of operators on many things, one after the other, and their results as text or JSON."""

import getpass
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import Progress

from cli.ops_client import Refused
from cli.output import say
from models.ops_runs import MAX_NAME_LENGTH


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
    console = Console(stderr=True)
    is_shown = console.is_terminal and not output.as_json and len(ids) > 1
    taken = 0
    with Progress(console=console, disable=not is_shown, transient=True) as progress:
        for each in progress.track(ids, description=done):
            taken += _act(each, act, output)
    if not output.as_json:
        say(f"{done} {taken} of {len(ids)} {things}.")
    return taken == len(ids)


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
