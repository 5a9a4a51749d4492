"""From the twin's columns over the pipe to the board: every type, exactly as the stage has it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stagetwin.gateway import wire
from stagetwin.gateway._rows import value_rows
from stagetwin.gateway._store import Store
from stagetwin.service._feed import Feed
from stagetwin.sync import SectionKind
from stagetwin.values import plain
from tests.stages.plants import Plant, prim, telemetry
from tests.stages.plants import plant as plant_of

MATRIX = [2.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 7, 8, 9, 1]
TURNED = [0.0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 1e4 + 0.123456789, 2, 3, 1]

VALUES: dict[str, tuple[str, list[Any]]] = {
    "real": ("double", [0.1, 1e300, -5e-324]),
    "single": ("float", [0.5, 3.25]),
    "whole": ("int64", [2**53 + 1, -(2**63), 5]),
    "large": ("uint64", [2**64 - 1, 7]),
    "small": ("uchar", [255, 0]),
    "flag": ("bool", [True, False]),
    "word": ("token", ["running", "ärger", ""]),
    "text": ("string", ["a\nb", "\u2028"]),
    "place": ("point3d", [[1e4 + 0.123456789, 2.0, 3.0]]),
    "colour": ("color3f", [[0.25, 0.5, 1.0]]),
    "pair": ("int2", [[2**31 - 1, -(2**31)]]),
    "turn": ("quatd", [[0.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.5, 0.5]]),
    "matrix": ("matrix4d", [MATRIX, TURNED]),
    "row": ("double[]", [[1.0, 2.5], []]),
    "tags": ("string[]", [["a", "b"]]),
    "points": ("float3[]", [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]),
}

INSTANCER = """
rel prototypes = </Plant/Fleet/Car>
int[] protoIndices = [0, 0, 0]
point3f[] positions = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
def Cube "Car"
{
}
"""


class Sent:
    """A feed and what stands at the other end of its pipe."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.feed = Feed(plant.twin)
        self.store = Store()
        self.bind()

    def bind(self) -> None:
        self.store.take_table(
            wire.decode(wire.encode(wire.Kind.TABLE, self.feed.bind(1))[5:], wire.Table)
        )

    def send(self) -> wire.State:
        state: wire.State = wire.decode(
            wire.encode(wire.Kind.STATE, self.feed.state())[5:], wire.State
        )
        self.store.take_state(state)
        return state

    def rows(self, **wanted: Any) -> dict[str, dict[str, Any]]:
        board = self.store.board
        rows = asyncio.run(value_rows(board, board.select(**wanted)))
        return {row["path"]: row for row in rows}

    def values(self) -> dict[str, Any]:
        """What a client would have, by path, from a snapshot."""
        board = self.store.board
        selection = board.select()
        out: dict[str, Any] = {}
        for section in board.delta(selection, 0).sections:
            values = section.values
            if values is None:
                continue
            listed = values if isinstance(values, list) else values.tolist()
            for row, value in zip(section.rows.tolist(), listed, strict=True):
                out[board.channels[int(selection.channels[row])]["path"]] = value
        return out


@pytest.fixture
def sent(live: Callable[[str], Plant]) -> Sent:
    """A plant with a signal of every type."""
    signals = [telemetry(name, kind, name) for name, (kind, _) in VALUES.items()]
    sent = Sent(live(plant_of(prim("P", *signals))))
    sent.plant.tick()
    sent.send()
    return sent


@pytest.mark.parametrize("name", VALUES)
def test_values_arrive_exactly(sent: Sent, name: str) -> None:
    path = f"/Plant/P.{name}"
    assert sent.values().get(path) is None
    for value in VALUES[name][1]:
        sent.plant.tell(name, value)
        state = sent.send()
        assert len(np.frombuffer(state.rows, np.int32)) == 1
        expected = plain(sent.plant.twin.value_of(sent.plant.index(path)))
        if name == "matrix":
            expected = [number for row in expected for number in row]
        got = sent.values()[path]
        if name == "matrix" and value is TURNED:
            # A rigid one travels as a pose: position and quaternion.
            assert got[:3] == TURNED[12:15]
            assert got[3:] == pytest.approx([0, 0, math.sqrt(0.5), math.sqrt(0.5)])
        else:
            assert got == expected
            assert type(got) is type(expected) or name == "flag"


def test_what_did_not_change_is_not_sent(sent: Sent) -> None:
    sent.plant.tick()
    assert not sent.feed.stirred
    sent.plant.tell("real", 1.0)
    assert sent.feed.stirred
    sent.send()
    assert not sent.feed.stirred
    # The time of what stays as it is goes out once a second.
    for _ in range(5):
        sent.plant.tell("real", 1.0)
    assert not sent.feed.stirred
    sent.plant.tick(1.1)
    sent.plant.tell("real", 1.0)
    assert sent.feed.stirred


def test_what_changes_twice_before_it_is_sent_is_sent_once_as_it_is(sent: Sent) -> None:
    for value in range(50):
        sent.plant.tell("real", float(value))
        sent.plant.tell("word", f"w{value}")
    state = sent.send()
    assert len(np.frombuffer(state.rows, np.int32)) == 2
    assert sent.values() == {"/Plant/P.real": 49.0, "/Plant/P.word": "w49"}


def test_quality_and_staleness_are_sent(sent: Sent) -> None:
    sent.plant.tell("real", 1.0)
    sent.send()
    assert sent.rows()["/Plant/P.real"]["quality"] == "good"
    sent.plant.tick(60.0)
    sent.send()
    row = sent.rows()["/Plant/P.real"]
    assert (row["quality"], row["value"]) == ("stale", 1.0)


def test_instances_move_together(live: Callable[[str], Plant]) -> None:
    fleet = prim(
        "Fleet",
        telemetry("place", address="car/{instance}/place", target="/Plant/Fleet.positions"),
        telemetry("turn", address="car/{instance}/turn", target="/Plant/Fleet.orientations"),
        INSTANCER + "quath[] orientations = [(1, 0, 0, 0), (1, 0, 0, 0), (1, 0, 0, 0)]",
        type_name="PointInstancer",
    )
    sent = Sent(live(plant_of(fleet)))
    assert [str(p) for p in sent.plant.twin.table.problems] == []
    sent.feed.moves = True
    sent.plant.tell("car/1/place", [5.0, 6.0, 7.0])
    sent.plant.tell("car/2/turn", [0.0, 0.0, 1.0, 0.0])
    sent.send()
    board = sent.store.board
    frame = board.delta(board.select(moves=True, poses=False), 0)
    (section,) = frame.sections
    assert section.kind is SectionKind.INSTANCER
    assert np.asarray(section.values).tolist() == [
        [0, 0, 0, 0, 0, 0, 1],
        [5, 6, 7, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 1, 0],
    ]
    # As channels they are there too, for those with a stage of their own.
    (place,) = [v for p, v in sent.values().items() if v == [5.0, 6.0, 7.0]]
    assert place


def test_movers_are_composed_of_all_their_ops(live: Callable[[str], Plant]) -> None:
    arm = prim(
        "Arm",
        telemetry("angle", address="angle", target="/Plant/Arm.xformOp:rotateZ"),
        "double3 xformOp:translate = (10000.125, 0, 0)",
        "float xformOp:rotateZ = 0",
        'uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateZ"]',
    )
    sent = Sent(live(plant_of(arm)))
    sent.plant.tell("angle", 90.0)
    assert not sent.send().movers  # nobody wants them
    sent.feed.moves = True
    sent.feed.all_moved()
    sent.send()
    board = sent.store.board
    angle, section = board.delta(board.select(moves=True, poses=False), 0).sections
    # The angle stays a value that people read; a matrix would be left out.
    assert angle.kind is SectionKind.FLOAT32
    assert section.kind is SectionKind.MOVER_POSE
    expected = [10000.125, 0, 0, 0, 0, math.sqrt(0.5), math.sqrt(0.5)]
    assert np.asarray(section.values)[0] == pytest.approx(expected)


def test_another_table_keeps_what_stays(sent: Sent) -> None:
    sent.plant.tell("real", 1.5)
    sent.send()
    before = sent.store.board.select()
    sent.bind()
    assert sent.store.board.select().number == before.number
    assert sent.values()["/Plant/P.real"] == 1.5
