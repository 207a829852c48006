"""The wildcards of a models file, as litellm reads them: `*` stands for any text, `openai/*` for one provider's."""

import re
from collections.abc import Iterable


def matches(pattern: str, model: str) -> bool:
    """Whether `model` is one of the names that `pattern` offers. A pattern without `*` offers none but itself."""
    return _match(pattern, model) is not None


def most_specific(patterns: Iterable[str], model: str) -> str | None:
    """The pattern by which `model` is served, of those that offer it: as litellm's Router has it, the longest."""
    offering = (pattern for pattern in patterns if matches(pattern, model))
    return max(offering, key=lambda pattern: (len(_regex(pattern)), pattern.count("*")), default=None)


def filled_in(pattern: str, model: str, target: str) -> str:
    """`target` with its wildcards replaced by what those of `pattern` stand for in `model`."""
    match = _match(pattern, model)
    for text in match.groups() if match else ():
        target = target.replace("*", text, 1)
    return target


def _match(pattern: str, model: str) -> re.Match[str] | None:
    return re.fullmatch(_regex(pattern), model, re.DOTALL)


def _regex(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "(.*)")
