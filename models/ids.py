"""Object ids: a prefix and alphanumerics, the shape that programs match with `run_([a-zA-Z0-9]+)`."""

import hashlib
import secrets
import string
from enum import StrEnum

ALPHABET = string.ascii_letters + string.digits
BODY_LENGTH = 24


class Prefix(StrEnum):
    ASSISTANT = "asst"
    THREAD = "thread"
    MESSAGE = "msg"
    RUN = "run"
    STEP = "step"
    CALL = "call"


def new_id(prefix: Prefix) -> str:
    """A random id."""
    return f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH))}"


def derived_id(prefix: Prefix, *origin: str | int) -> str:
    """The same id for the same origin, so that an activity that is repeated writes the same rows."""
    number = int.from_bytes(hashlib.sha256("/".join(map(str, (prefix, *origin))).encode()).digest())
    body = ""
    while len(body) < BODY_LENGTH:
        number, digit = divmod(number, len(ALPHABET))
        body += ALPHABET[digit]
    return f"{prefix}_{body}"
