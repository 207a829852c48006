"""The bench notices a stream that is not the model's."""

import pytest

from tests.bench.stream_client import Received, StreamWrong

LINE = b'data: {"delta":{"content":[{"index":0,"type":"text","text":{"value":"%d:1000 "}}]}}'


def test_delays_are_counted_from_the_stamps() -> None:
    received = Received()

    received.add(LINE % 0, 1500)
    received.add(LINE % 1, 3000)

    assert (received.at, received.delays) == ([1500, 3000], [500, 2000])


@pytest.mark.parametrize("number", [3, 0, 1], ids=["lost", "out of order", "twice"])
def test_a_chunk_that_was_not_due_is_noticed(number: int) -> None:
    received = Received()
    received.add(LINE % 0, 1500)
    received.add(LINE % 1, 1500)

    with pytest.raises(StreamWrong):
        received.add(LINE % number, 1500)
