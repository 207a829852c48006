"""How long a provider may keep a call waiting: OpenAI's own limits, which its SDK has too."""

from datetime import timedelta

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=600)
"""The longest silence of a provider, before its first word or between two."""
