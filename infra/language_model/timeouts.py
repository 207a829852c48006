"""The time limits of a call: OpenAI's own, which its SDK has too."""

from datetime import timedelta

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=600)
"""The longest silence of a provider, before its first word or between two."""
