"""A simulator's end of the line, and the columns that travel on it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stagetwin.simulation import Line, _line, find_simulator, known_kinds, wire

Kind = wire.Kind


class Ends:
    """A line between two pipes.

    Attributes:
        line: the simulator's end.
        into: where the service writes.
        out: where it reads.
    """

    def __init__(self) -> None:
        source, into = os.pipe()
        out, sink = os.pipe()
        self.into: BinaryIO = os.fdopen(into, "wb", buffering=0)
        self.out: BinaryIO = os.fdopen(out, "rb")
        self._source, self._sink = os.fdopen(source, "rb"), os.fdopen(sink, "wb")
        self.line = Line(self._source, self._sink)

    def read(self) -> tuple[Kind, bytes]:
        size, kind = wire.HEADER.unpack(self.out.read(wire.HEADER.size))
        return Kind(kind), self.out.read(size)

    def close(self) -> None:
        if not self.into.closed:
            self.into.close()
        self.line.close()
        for thread in threading.enumerate():
            if thread.name.startswith("line-"):
                thread.join(5)
        for end in (self._sink, self.out, self._source):
            end.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.close()


def test_frames_come_in_order_and_the_end_stays_the_end(ends: Ends) -> None:
    for number in (1, 2):
        ends.into.write(wire.encode(Kind.ASK, wire.Ask(number, "x")))
    asked = [ends.line.take(10) for _ in range(2)]
    numbers = [wire.decode(frame[1], wire.Ask).number for frame in asked if frame is not None]
    assert numbers == [1, 2]
    assert ends.line.take(0) is None
    assert not ends.line.ended
    ends.into.close()
    assert ends.line.take(10) is None
    assert ends.line.take() is None
    assert ends.line.ended


def test_a_cancellation_is_known_while_work_goes_on(ends: Ends) -> None:
    ends.into.write(wire.encode(Kind.CANCEL, wire.Cancel(7)))
    ends.into.write(wire.encode(Kind.ASK, wire.Ask(8, "x")))
    assert ends.line.take(10) is not None  # the one after it has come
    assert ends.line.cancelled(7)
    assert not ends.line.cancelled(8)


def test_half_a_frame_is_the_end(ends: Ends) -> None:
    ends.into.write(wire.encode(Kind.ASK, wire.Ask(1, "x"))[:-3])
    ends.into.close()
    assert ends.line.take(10) is None
    assert ends.line.ended


def test_it_says_that_it_lives_until_it_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEARTBEAT", 0.01)
    monkeypatch.setattr(_line, "STUCK_AFTER", 0.05)
    ends = Ends()
    try:
        assert ends.read() == (Kind.ALIVE, b"")
        with ends.line.busy(1000.0):
            for _ in range(20):  # longer than it may take nothing
                assert ends.read()[0] is Kind.ALIVE
        ends.line._limit = 0.0  # stuck since long
        while True:  # what was on its way; then this, and no sign of life before it
            ends.line.say(Kind.PROGRESS, wire.Progress(1, 0.5, "x"))
            kind, _ = ends.read()
            if kind is Kind.PROGRESS:
                break
        ends.line.take(0)
        while ends.read()[0] is not Kind.ALIVE:
            pass
    finally:
        ends.close()


@given(
    hnp.arrays(np.float64, st.integers(0, 50), elements=st.floats(allow_nan=True)),
    st.sampled_from([Kind.VALUES, Kind.PREDICTED, Kind.POSES]),
    st.integers(0, 2**32 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_columns_come_out_as_they_went_in(
    values: np.ndarray, kind: Kind, table: int, time: float
) -> None:
    index = np.arange(len(values))[::-1]
    numbers = np.repeat(values[:, None], 16, axis=1) if kind is Kind.POSES else values
    quality = index % 4 if kind is Kind.VALUES else ()
    frame = wire.encode_columns(kind, table, time, index, numbers, quality)  # type: ignore[arg-type]
    size, number = wire.HEADER.unpack(frame[: wire.HEADER.size])
    assert (size, number) == (len(frame) - wire.HEADER.size, kind)
    columns = wire.decode_columns(frame[wire.HEADER.size :])
    assert (columns.table, columns.time) == (table, time)
    np.testing.assert_array_equal(columns.index, index)
    np.testing.assert_array_equal(columns.values, numbers)
    assert columns.quality.tolist() == list(quality)
    if len(values):
        with pytest.raises(ValueError, match="bytes"):
            wire.decode_columns(frame[wire.HEADER.size : -1])


def test_columns_that_differ_in_length_are_refused() -> None:
    with pytest.raises(ValueError, match="columns differ"):
        wire.encode_columns(Kind.PREDICTED, 1, 0.0, [0, 1], [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="columns differ"):
        wire.encode_columns(Kind.VALUES, 1, 0.0, [0], [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no columns"):
        wire.decode_columns(b"\0")


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_columns_of_no_time_are_refused(time: float) -> None:
    """They would never be withdrawn, whatever happens to who sent them."""
    frame = wire.encode_columns(wire.Kind.PREDICTED, 1, time, [0], [1.0])
    with pytest.raises(ValueError, match="of a finite time"):
        wire.decode_columns(frame[wire.HEADER.size :])


def test_what_is_installed_is_found_without_loading_it() -> None:
    assert find_simulator() == "stagetwin_sim.host"
    assert find_simulator("nobody's") is None
    assert {"pump", "synthetic"} <= set(known_kinds())
