"""Reasoning that fits into the answer: Claude's effort stands for a number of tokens, which must be below `max_tokens`.

A run's limit on tokens leaves less to each turn. A prompt whose reasoning does not fit is refused as invalid.
"""

from collections.abc import Mapping
from typing import Any

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""Each with a larger budget than the one before."""


def budgets_of(constants: Any) -> Mapping[str, int]:
    """The tokens that each effort stands for, from litellm's constants, which settings of its own may change."""
    return {
        effort: getattr(constants, f"DEFAULT_REASONING_EFFORT_{effort.upper()}_THINKING_BUDGET") for effort in EFFORTS
    }


def with_affordable_effort(parameters: Mapping[str, Any], budgets: Mapping[str, int]) -> Mapping[str, Any]:
    """The parameters of a call with the largest effort, up to the wanted one, whose budget is below `max_tokens`.

    None fits: the model answers without reasoning. Of an effort that is no number of tokens nothing changes.
    """
    effort, limit = parameters.get("reasoning_effort"), parameters.get("max_tokens")
    wanted = "low" if effort == "minimal" else str(effort)
    if limit is None or wanted not in budgets or budgets[wanted] < limit:
        return parameters
    affordable = [each for each in EFFORTS[: EFFORTS.index(wanted)] if budgets[each] < limit]
    without = {name: value for name, value in parameters.items() if name != "reasoning_effort"}
    return {**without, "reasoning_effort": affordable[-1]} if affordable else without
