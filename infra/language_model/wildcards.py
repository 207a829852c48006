"""The wildcards of a models file, as litellm reads them: `*` stands for any text, `openai/*` for one provider's."""

import re


def matches(pattern: str, model: str) -> bool:
    """Whether `model` is one of the names that `pattern` offers. A pattern without `*` offers none but itself."""
    return _match(pattern, model) is not None


def filled_in(pattern: str, model: str, target: str) -> str:
    """`target` with its wildcards replaced by what those of `pattern` stand for in `model`."""
    match = _match(pattern, model)
    for text in match.groups() if match else ():
        target = target.replace("*", text, 1)
    return target


def _match(pattern: str, model: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(pattern).replace(r"\*", "(.*)"), model, re.DOTALL)
