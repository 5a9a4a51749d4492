"""What models expect, from the predicted layer to a mirror: for those who ask, and may read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pxr import UsdGeom

from stagetwin.gateway import wire
from stagetwin.gateway._store import Store
from stagetwin.live import LAYER_NAMES, POSE_OP, Expected, Placed
from stagetwin.scene import convert_stage, driven_properties
from stagetwin.service._feed import Feed
from stagetwin.sync import Mirror
from tests.stages.plants import (
    HEADER,
    Plant,
    asset,
    connection,
    full_path,
    prim,
    stage_of,
    telemetry,
)
from tests.stages.simulation.modelled import model

FLOW = {end: full_path("/Plant/P.flow", end) for end in ("predicted", "residual", "residualSigma")}
COUNT = full_path("/Plant/P.count", "predicted")
HEAD = "/Plant/P.twin:model:m:out:head"
BOX = f"/Plant/Yard/Box.{POSE_OP}"
OUTPUTS = [*FLOW.values(), COUNT, HEAD]


def text() -> str:
    pump = prim(
        "P",
        asset("p"),
        telemetry("flow", address="flow", unit="m3/h"),
        telemetry("count", "int", "count"),
        model("m", writes=[full_path("/Plant/P.flow")]),
    )
    yard = prim(
        "Yard",
        prim("Box", type_name="Cube"),
        "double3 xformOp:translate = (100, 0, 0)\n"
        'uniform token[] xformOpOrder = ["xformOp:translate"]\n',
    )
    other = prim("Q", asset("q"), telemetry("flow", address="other"))
    plant = prim("Plant", asset(connection="line"), pump, yard, other)
    return HEADER + connection("line", "soft://line") + plant


class Shown:
    """A twin whose models say something, a gateway's store, and a mirror of it."""

    def __init__(self, plant: Plant) -> None:
        self.plant, self.layer = plant, plant.twin.predicted
        self.feed, self.store = Feed(plant.twin), Store()
        self.stage = stage_of(text())
        self.mirror = Mirror(self.stage)
        self.wanted: dict[str, Any] = {"expected": True}

    def table(self) -> None:
        table = wire.encode(wire.Kind.TABLE, self.feed.bind(1))
        self.store.take_table(wire.decode(table[5:], wire.Table))
        selection = self.store.board.select(**self.wanted)
        self.mirror.channels(json.loads(self.store.board.message(selection)))

    def models(self) -> None:
        """Have models give something, and tell of it."""
        outputs = [Expected(path) for path in OUTPUTS]
        self.layer.bind(outputs, [Placed("/Plant/Yard/Box", reset=True)])
        self.table()
        self.feed.want(False, True)

    def say(self, *values: float, x: float = math.nan) -> None:
        matrix = np.full((1, 16), math.nan)
        if x == x:
            matrix[0] = np.eye(4).reshape(16)
            matrix[0, 12] = x
        index = np.arange(len(values), dtype=np.int32)
        self.layer.write(index, np.array(values), 1_700_000_000.0)
        self.layer.place(np.zeros(1, np.int32), matrix)

    def deliver(self) -> int:
        state = wire.encode(wire.Kind.STATE, self.feed.state())
        self.store.take_state(wire.decode(state[5:], wire.State))
        data = self.store.board.encoded(self.store.board.select(**self.wanted), self.mirror.tick)
        return self.mirror.apply(data) if data else 0

    def get(self, path: str) -> Any:
        attr = self.stage.GetAttributeAtPath(path)
        return attr.Get() if attr else None


@pytest.fixture
def shown(live: Callable[[str], Plant]) -> Shown:
    shown = Shown(live(text()))
    shown.models()
    return shown


def test_what_models_expect_reaches_a_mirror(shown: Shown) -> None:
    shown.deliver()
    assert shown.get(FLOW["predicted"]) is None
    shown.say(20.0, -1.5, 0.5, 7.0, 31.25, x=3.0)
    assert shown.feed.stirred
    shown.deliver()
    assert [shown.get(path) for path in OUTPUTS] == [20.0, -1.5, 0.5, 7, 31.25]
    assert str(shown.stage.GetAttributeAtPath(COUNT).GetTypeName()) == "int"
    assert shown.mirror.problems == {}
    # It stands where the model says, whatever its parent does.
    box = UsdGeom.Xformable.Get(shown.stage, "/Plant/Yard/Box")
    assert box.ComputeLocalToWorldTransform(0).ExtractTranslation() == (3, 0, 0)
    # What is measured is not touched by it.
    assert shown.get(full_path("/Plant/P.flow", "quality")) == "stale"
    assert not shown.feed.stirred
    shown.mirror.detach()
    assert shown.get(FLOW["predicted"]) is None
    assert box.GetLocalTransformation().ExtractTranslation() == (0, 0, 0)


def test_what_is_withdrawn_is_shown_no_more(shown: Shown) -> None:
    shown.say(20.0, -1.5, 0.5, 7.0, 31.25, x=3.0)
    shown.deliver()
    shown.mirror.doubt()
    assert shown.get(FLOW["predicted"]) is None
    shown.mirror.doubt(False)
    assert shown.get(FLOW["predicted"]) == 20.0
    shown.layer.withdraw()
    shown.deliver()
    assert [shown.get(path) for path in OUTPUTS] == [None] * 5
    box = UsdGeom.Xformable.Get(shown.stage, "/Plant/Yard/Box")
    assert box.ComputeLocalToWorldTransform(0).ExtractTranslation() == (100, 0, 0)
    # Who comes now is told no old value.
    stage = stage_of(text())
    late = Mirror(stage)
    selection = shown.store.board.select(expected=True)
    late.channels(json.loads(shown.store.board.message(selection)))
    late.apply(shown.store.board.encoded(selection, 0))
    assert late.applied == 1
    assert stage.GetAttributeAtPath(HEAD).Get() is None


def test_who_does_not_ask_is_sent_what_was_always_sent(shown: Shown) -> None:
    board = shown.store.board
    plain = [row["path"] for row in json.loads(board.message(board.select()))["channels"]]
    assert plain == ["/Plant/P.flow", "/Plant/P.count", "/Plant/Q.flow"]
    number = board.select().number
    shown.deliver()
    tick = board.tick
    shown.say(20.0, -1.5, 0.5, 7.0, 31.25)
    shown.deliver()
    assert board.delta(board.select(), tick).sections == []
    shown.layer.bind([])
    assert shown.feed.expected.outdated
    shown.table()
    assert board.select().number == number
    # Where nobody asks, the service sends nothing of it.
    shown.models()
    shown.feed.want(False, False)
    shown.deliver()
    shown.say(21.0)
    assert not shown.feed.stirred


def test_it_is_read_by_the_rights_of_its_prim(shown: Shown) -> None:
    board = shown.store.board

    def expected(*within: str) -> set[str]:
        rows = json.loads(board.message(board.select(within=within, expected=True)))["channels"]
        return {row["path"] for row in rows if row.get("expected")}

    assert expected("/Plant/P") == set(OUTPUTS)
    assert expected("/Plant/Q") == set()
    assert expected("/") == {*OUTPUTS, BOX}
    unit = {row["path"]: row["unit"] for row in board.channels}
    assert (unit[FLOW["residual"]], unit[HEAD]) == ("m3/h", "")


def test_a_placed_body_moves_for_viewers_without_usd(shown: Shown) -> None:
    shown.feed.want(True, False)
    shown.deliver()
    shown.say(x=3.0)
    assert shown.feed.stirred
    shown.deliver()
    board = shown.store.board
    sections = board.delta(board.select(moves=True, values=False), 0).sections
    (section,) = sections
    # In its parent's space, which stands at 100.
    assert np.asarray(section.values)[0, :3].tolist() == [-97, 0, 0]
    assert not shown.feed.stirred


def test_a_placed_body_is_a_mover_of_the_scene(shown: Shown) -> None:
    twin = shown.plant.twin
    driven = driven_properties(twin.table, ["/Plant/Yard/Box"])
    live = [getattr(twin.layers, name) for name in LAYER_NAMES]
    design = convert_stage(twin.stage, driven=driven, live=live)
    (row,) = design.manifest["movers"]
    assert row["matrix"][12:15] == [0, 0, 0]
    shown.say(x=3.0)
    moved = convert_stage(twin.stage, driven=driven, live=live)
    (row,) = moved.manifest["movers"]
    assert (row["path"], row["matrix"][12:15]) == ("/Plant/Yard/Box", [-97, 0, 0])
    # Models are made of the design: where a body is now is no reason to send them again.
    assert moved.glbs.keys() == design.glbs.keys()


def test_a_table_that_names_what_is_no_models_own_is_refused(shown: Shown) -> None:
    rows = [
        {"path": "a", "prim": "/Plant/P", "signal": "a", "type": "string", "expected": "output",
         "target": "/Plant/P.note"},
        {"path": "b", "prim": "/Plant/P", "signal": "b", "type": "double", "expected": "output",
         "target": "/Plant/Q.b"},
        {"path": "c", "prim": "/Nowhere", "signal": "c", "type": "double", "expected": "output",
         "target": "/Nowhere.c"},
    ]  # fmt: skip
    shown.mirror.channels({"table": 9, "channels": rows})
    problems = shown.mirror.problems
    assert "nothing that a model gives" in problems["a"]
    assert "no property of /Plant/P" in problems["b"]
    assert "no prim /Nowhere" in problems["c"]
