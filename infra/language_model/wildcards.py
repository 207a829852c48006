"""The wildcards of a models file, as litellm reads them: `*` matches any text, `openai/*` one provider's names."""

import re
from collections.abc import Iterable


def matches(pattern: str, model: str) -> bool:
    """Whether `pattern` offers the name `model`. A pattern without `*` offers only itself."""
    return _match(pattern, model) is not None


def most_specific(patterns: Iterable[str], model: str) -> str | None:
    """The pattern that serves `model`: like litellm's Router, the longest of those that match."""
    offering = (pattern for pattern in patterns if matches(pattern, model))
    return max(offering, key=lambda pattern: (len(_regex(pattern)), pattern.count("*")), default=None)


def filled_in(pattern: str, model: str, target: str) -> str:
    """`target` with its wildcards replaced by the matches of those of `pattern` in `model`."""
    match = _match(pattern, model)
    for text in match.groups() if match else ():
        target = target.replace("*", text, 1)
    return target


def _match(pattern: str, model: str) -> re.Match[str] | None:
    return re.fullmatch(_regex(pattern), model, re.DOTALL)


def _regex(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "(.*)")
