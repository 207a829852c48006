"""The markers of a ReAct answer in the variants of models: in any case, in bold, as headings, numbered."""

import re

_FLAGS = re.IGNORECASE | re.MULTILINE
_OPEN = r"^[ \t>#]*[*_`]{0,3}"
_CLOSE = r"[*_`]{0,3}[ \t]*\d*[ \t]*:"
_THOUGHT = f"{_OPEN}thought{_CLOSE}"
_OBSERVATION = f"{_OPEN}observation(?:[ \\t]+of[^:\\n]*)?{_CLOSE}"
MAX_NAME = 200
"""Characters between an action's marker and its input's, if both are on one line."""

# Models that omit the line breaks still spell the markers as the prompt does.
_ACTION = f"{_OPEN}action{_CLOSE}|(?<=\\s)(?-i:Action:)(?=[^\\n]{{0,{MAX_NAME}}}Action Input:)"
_ACTION_INPUT = f"{_OPEN}action[ _]input{_CLOSE}[*_`]{{0,3}}|(?<=\\s)(?-i:Action Input:)"
_FINAL_ANSWER = f"{_OPEN}final[ _]answer{_CLOSE}|(?<=\\s)(?-i:Final Answer:)"

THOUGHT = re.compile(_THOUGHT, _FLAGS)
ACTION = re.compile(_ACTION, _FLAGS)
ACTION_INPUT = re.compile(_ACTION_INPUT, _FLAGS)
END_OF_ACTIONS = re.compile(f"{_OBSERVATION}|{_FINAL_ANSWER}", _FLAGS)
"""Actions after this are invented: the outputs are not known yet."""

SECTION = re.compile(
    f"(?P<thought>{_THOUGHT})|(?P<action>{_ACTION})|(?P<observation>{_OBSERVATION})|(?P<final_answer>{_FINAL_ANSWER})",
    _FLAGS,
)

MAX_REACH = MAX_NAME + 32
"""Characters of a marker that begins within a line, with the text that must follow it."""
