"""Boards: columns in, and for each client what changed since it was told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from pxr import Gf, Sdf

from stagetwin.sync import (
    SectionKind,
)
from stagetwin.sync._columns import wire_kind
from stagetwin.values import value_type
from tests.stages.sync.boards import NOW, asked, board_of, put, row
from tests.stages.test_values import EVERY_TYPE


def test_a_snapshot_has_everything_and_a_delta_what_changed() -> None:
    board = board_of(row("/A.x"), row("/A.n", "int64"), row("/B.b", "bool"), row("/B.t", "token"))
    chosen = board.select()
    put(board, 5, {0: 1.5, 1: 2**63 - 1, 3: "open"})
    snapshot = {0: 1.5, 1: 2**63 - 1, 2: None, 3: "open"}
    assert asked(board, chosen, 0) == {("channel", i): v for i, v in snapshot.items()}
    assert asked(board, chosen, 5) == {}
    assert board.encoded(chosen, 5) == b""
    put(board, 6, {2: 1.0})
    assert asked(board, chosen, 5) == {("channel", 2): 1}
    assert asked(board, chosen, 4) == {("channel", i): v for i, v in {**snapshot, 2: 1}.items()}


def test_the_same_value_again_costs_its_time_alone() -> None:
    board = board_of(
        row("/A.x"), row("/A.t", "string"), row("/A.v", "double3"), row("/A.m", "matrix4d")
    )
    chosen = board.select()
    values = {0: 1.5, 1: "a", 2: [1, 2, 3], 3: np.eye(4).tolist()}
    put(board, 5, values)
    put(board, 6, values)
    assert asked(board, chosen, 5) == {("channel", i): None for i in range(4)}
    frame = board.delta(chosen, 5)
    (section,) = frame.sections
    assert frame.source_times(section).tolist() == pytest.approx([NOW + 5.5] * 4)
    put(board, 7, {1: "b", 2: [1, 2, 4]})
    assert asked(board, chosen, 6) == {("channel", 1): "b", ("channel", 2): [1, 2, 4]}


def test_a_time_or_quality_alone_leaves_the_value() -> None:
    board = board_of(row("/A.x"), row("/A.t", "string"))
    chosen = board.select()
    put(board, 5, {0: 1.5, 1: "a"})
    board.update(6, NOW, np.array([0, 1]), qualities=np.array([2, 3], np.uint8))
    (section,) = board.delta(chosen, 5).sections
    assert section.kind is SectionKind.NONE
    assert np.asarray(section.qualities).tolist() == [2, 3]
    assert asked(board, chosen, 0) == {("channel", 0): 1.5, ("channel", 1): "a"}


def test_news_of_a_tick_that_was_told_already_are_sent() -> None:
    board = board_of(row("/A.x"))
    chosen = board.select()
    put(board, 5, {0: 1.0})
    told_until = board.tick
    put(board, 5, {0: 2.0})
    assert asked(board, chosen, told_until) == {("channel", 0): 2.0}
    board.update(4, NOW)
    assert board.tick == told_until + 1


def test_a_selection_numbers_its_own_rows() -> None:
    board = board_of(
        row("/A.x"), row("/A/P.y"), row("/AB.z"), row("/C.pose", "matrix4d", pose=True)
    )
    put(board, 2, {0: 1.0, 1: 2.0, 2: 3.0})
    assert asked(board, board.select(["/A"]), 0) == {("channel", 0): 1.0, ("channel", 1): 2.0}
    assert asked(board, board.select(["/A.x", "/AB"]), 0) == {
        ("channel", 0): 1.0,
        ("channel", 1): 3.0,
    }
    assert asked(board, board.select(["/"], within=["/AB"]), 0) == {("channel", 0): 3.0}
    assert asked(board, board.select(["/A"], within=["/AB"]), 0) == {}
    assert asked(board, board.select(["/A"], within=[]), 0) == {}
    assert asked(board, board.select(["/"], values=False), 0) == {}
    assert board.select(poses=False).channels.tolist() == [0, 1, 2]
    assert board.select(["/A"]) is board.select(["/A", "/A"])
    assert board.selection(board.select(["/A"]).number) is board.select(["/A"])
    assert board.selection(1) is None


def test_a_table_is_known_by_its_lists() -> None:
    rows = [row("/A.x"), row("/A.y")]
    one, two = board_of(*rows, epoch=3), board_of(*rows, epoch=4)
    assert one.select().number == two.select().number
    assert one.select(["/A.x"]).number != one.select().number
    message = json.loads(one.message(one.select()))
    number = one.select().number
    assert message == {
        "op": "channels",
        "epoch": 3,
        "table": number,
        "channels": rows,
        "movers": [],
        "instancers": [],
    }
    again = json.loads(one.message(one.select(), resumed=True))
    assert again == {"op": "channels", "epoch": 3, "table": number, "resumed": True}


def test_equal_clients_share_one_encoding() -> None:
    board = board_of(row("/A.x"))
    chosen = board.select()
    put(board, 2, {0: 1.0})
    first = board.encoded(chosen, 1)
    assert board.encoded(chosen, 1) is first
    put(board, 3, {0: 1.0})
    assert board.encoded(chosen, 1) is not first


def test_another_table_keeps_what_stays() -> None:
    kept = [row("/A.x"), row("/A.t", "string"), row("/A.m", "matrix4d")]
    board = board_of(*kept, row("/A.gone"), row("/A.typed"))
    board.table(
        [*kept, row("/A.gone"), row("/A.typed")],
        movers=[{"path": "/A"}, {"path": "/B"}],
        instancers=[{"path": "/F", "count": 2}],
    )
    pose = Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(1, 2, 3))
    flat = [pose[i, j] for i in range(4) for j in range(4)]
    put(
        board,
        5,
        {0: 1.0, 1: "a", 2: flat, 3: 4.0, 4: 5.0},
        movers=np.array([1]),
        matrices=np.array([flat]),
        instances={0: np.arange(14).reshape(2, 7)},
    )
    board.table(
        [row("/A.new"), *reversed(kept), row("/A.typed", "float")],
        movers=[{"path": "/B"}],
        instancers=[{"path": "/F", "count": 2}, {"path": "/G", "count": 1}],
    )
    after = asked(board, board.select(moves=True), 0)
    assert after["channel", 0] is None
    assert after["channel", 1][:3] == [1, 2, 3]
    assert (after["channel", 2], after["channel", 3], after["channel", 4]) == ("a", 1.0, None)
    assert after["mover", 0] == [1, 2, 3, 0, 0, 0, 1]
    assert after["instances", 0] == np.arange(14.0).reshape(2, 7).tolist()
    assert ("instances", 1) not in after


def test_what_a_type_cannot_hold_is_counted_and_nothing_else_is_lost() -> None:
    board = board_of(
        row("/A.v", "double3"), row("/A.w", "double3"), row("/A.n", "int64"), row("/A.x")
    )
    chosen = board.select()
    put(board, 2, {0: [1, 2, 3], 1: [4, 5, 6], 2: 7})
    put(board, 3, {0: [1, 2], 1: [7, 8, 9], 2: 2**70, 3: 1.0})
    assert board.faults == 2
    assert "/A.n" in board.fault
    wanted = {0: [1, 2, 3], 1: [7, 8, 9], 2: 7, 3: 1.0}
    assert asked(board, chosen, 0) == {("channel", i): v for i, v in wanted.items()}


def test_vectors_may_come_as_columns() -> None:
    board = board_of(row("/A.v", "float3"), row("/A.x"), row("/A.q", "quatf"))
    board.update(
        2,
        NOW,
        np.array([0, 1, 2]),
        np.array([math.nan, 5.0, math.nan]),
        columns=[
            (np.array([0]), np.array([[1.0, 2, 3]])),
            (np.array([2]), np.array([[0.0, 0, 0, 1]])),
        ],
    )
    wanted = {("channel", 0): [1, 2, 3], ("channel", 1): 5.0, ("channel", 2): [0, 0, 0, 1]}
    assert asked(board, board.select(), 0) == wanted


def test_a_rigid_matrix_is_a_pose_and_another_a_matrix() -> None:
    board = board_of(row("/A.m", "matrix4d"), row("/B.m", "matrix4d"))
    pose = Gf.Matrix4d(1).SetRotate(Gf.Rotation(Gf.Vec3d(1, 2, 3), 50))
    pose.SetTranslateOnly(Gf.Vec3d(10_000.123456789, -1, 2))
    flat = [pose[i, j] for i in range(4) for j in range(4)]
    put(board, 2, {0: flat, 1: [2 * flat[0], *flat[1:]]})
    kinds = {int(s.rows[0]): s.kind for s in board.delta(board.select(), 0).sections}
    assert kinds == {0: SectionKind.POSE, 1: SectionKind.MATRIX}
    put(board, 3, {0: [2 * flat[0], *flat[1:]], 1: flat})
    kinds = {int(s.rows[0]): s.kind for s in board.delta(board.select(), 2).sections}
    assert kinds == {0: SectionKind.MATRIX, 1: SectionKind.POSE}


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_type_has_a_way(name: str) -> None:
    kind, width = wire_kind(name)
    known = value_type(name)
    assert known is not None
    if name.endswith("[]") or name in ("uint64", "string", "token", "asset"):
        assert kind is SectionKind.JSON
    else:
        numbers = np.asarray(Sdf.ValueTypeNames.Find(name).arrayType.type.pythonClass(1)).size
        assert width == (1 if name == "timecode" else numbers)
        assert kind is not SectionKind.JSON
