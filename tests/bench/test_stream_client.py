"""The bench detects streams that differ from the model's."""

import pytest

from tests.bench.stream_client import Received, StreamWrong

LINE = b'data: {"delta":{"content":[{"index":0,"type":"text","text":{"value":"%d:1000 "}}]}}'


def test_delays_are_computed_from_stamps() -> None:
    received = Received()

    received.add(LINE % 0, 1500)
    received.add(LINE % 1, 3000)

    assert (received.at, received.delays) == ([1500, 3000], [500, 2000])


@pytest.mark.parametrize("number", [3, 0, 1], ids=["lost", "out of order", "twice"])
def test_unexpected_chunk_is_detected(number: int) -> None:
    received = Received()
    received.add(LINE % 0, 1500)
    received.add(LINE % 1, 1500)

    with pytest.raises(StreamWrong):
        received.add(LINE % number, 1500)
