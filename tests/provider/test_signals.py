"""Signals between the provider's thread and the tests'."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.provider import signals
from tests.provider.signals import Signal, Signals


def test_threads_that_ask_at_once_share_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    both_ask = threading.Barrier(2)

    class MadeByBoth(Signal):
        def __init__(self) -> None:
            both_ask.wait(timeout=30)
            super().__init__()

    monkeypatch.setattr(signals, "Signal", MadeByBoth)
    with ThreadPoolExecutor(2) as threads:
        named = Signals()
        first, second = threads.map(named.__getitem__, ["a", "a"])

    assert first is second is named["a"]
