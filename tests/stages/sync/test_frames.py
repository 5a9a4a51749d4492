"""Frames and poses: nothing lost on the wire, and two frames as one."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pxr import Gf

from stagetwin import FrameError
from stagetwin.sync import (
    NO_TIME,
    Frame,
    Section,
    SectionKind,
    decode_frame,
    encode_frame,
)
from stagetwin.sync._merge import merge_frames
from stagetwin.sync._poses import are_rigid, matrices_of, poses_of
from tests.stages.sync.boards import NOW, board_of, put, row, told

# -- poses

FINITE = st.floats(-1e6, 1e6)


@given(st.tuples(FINITE, FINITE, FINITE), st.tuples(*[st.floats(-1, 1)] * 4))
def test_a_pose_is_its_matrix(place: tuple[float, ...], spin: tuple[float, ...]) -> None:
    x, y, z, w = spin
    turn = Gf.Quatd(w, x, y, z)
    if turn.GetLength() < 1e-3:
        return
    turn = turn.GetNormalized()
    matrix = Gf.Matrix4d(1).SetRotate(turn)
    matrix.SetTranslateOnly(Gf.Vec3d(*place))
    flat = np.array([[matrix[i, j] for i in range(4) for j in range(4)]])
    assert are_rigid(flat).tolist() == [True]
    pose = poses_of(flat)
    assert pose[0, :3].tolist() == list(place)
    own = Gf.Quatd(pose[0, 6], *pose[0, 3:6])
    assert abs(Gf.Dot(own, turn)) == pytest.approx(1, abs=1e-12)
    assert pose[0, 6] >= 0
    assert np.abs(matrices_of(pose) - flat).max() < 1e-9
    short = np.concatenate((pose[:, :3], pose[:, 3:].astype(np.float32)), axis=1)
    back = matrices_of(short).reshape(4, 4)
    assert back[3, :3].tolist() == list(place)
    assert np.abs(back[:3, :3] - flat.reshape(4, 4)[:3, :3]).max() < 5e-7


def test_what_is_not_rigid_is_no_pose() -> None:
    one = np.eye(4)
    scaled, mirrored, sheared, projective = (one.copy() for _ in range(4))
    scaled[0, 0] = 1.00001
    mirrored[0, 0] = -1
    sheared[0, 1] = 1e-6
    projective[0, 3] = 1e-12
    endless = one.copy()
    endless[3, 0] = math.inf
    several = np.stack([one, scaled, mirrored, sheared, projective, endless]).reshape(-1, 16)
    assert are_rigid(several).tolist() == [True, False, False, False, False, False]
    assert matrices_of(np.zeros((1, 7))).tolist() == np.eye(4).reshape(1, 16).tolist()


# -- frames


@given(st.binary(max_size=200))
def test_what_is_no_frame_is_a_frame_error(data: bytes) -> None:
    for text in (data, b"STF1" + data):
        try:
            decode_frame(text)
        except FrameError:
            continue
        assert text[:4] == b"STF1"


def test_every_cut_of_a_frame_is_torn() -> None:
    board = board_of(row("/A.x"), row("/A.t", "string"), row("/A.m", "matrix4d"))
    put(board, 2, {0: 1.0, 1: "abc", 2: np.eye(4).tolist()})
    data = board.encoded(board.select(), 0)
    decode_frame(data)
    for length in range(len(data)):
        with pytest.raises(FrameError):
            decode_frame(data[:length])


# -- two frames as one

CHANGE = st.tuples(
    st.dictionaries(st.integers(0, 5), st.integers(-5, 5), max_size=4),
    st.sets(st.integers(0, 5), max_size=3),
)


@given(st.lists(CHANGE, min_size=1, max_size=8), st.booleans())
def test_merged_frames_say_what_one_would(
    changes: list[tuple[dict[int, int], set[int]]], from_nothing: bool
) -> None:
    rows = [row("/A.x"), row("/A.y"), row("/A.n", "int64"), row("/A.t", "string")]
    rows += [row("/A.v", "double2"), row("/A.m", "matrix4d")]
    board = board_of(*rows)
    board.table(rows, movers=[{"path": "/A"}], instancers=[{"path": "/F", "count": 1}])
    chosen = board.select(moves=True)
    start = 0 if from_nothing else 1
    made = {
        0: float,
        1: float,
        2: int,
        3: str,
        4: lambda n: [n, 1.0],
        5: lambda n: (np.eye(4) * (1 if n < 0 else 2)).tolist(),
    }
    merged = board.delta(chosen, 0) if from_nothing else None
    since = 1
    for tick, (values, touched) in enumerate(changes, start=2):
        moves = {"movers": np.array([0]), "matrices": np.eye(4).reshape(1, 16) * (1 + tick % 2)}
        moves |= {"instances": {0: np.full((1, 7), tick)}}
        put(board, tick, {i: made[i](n) for i, n in values.items()}, **(moves if values else {}))
        if touched:
            rest = np.array(sorted(touched))
            codes = np.full(len(rest), tick % 4, np.uint8)
            board.update(tick, NOW + tick, rest, qualities=codes, times=np.full(len(rest), NOW))
        frame = decode_frame(encode_frame(board.delta(chosen, since)))
        merged = frame if merged is None else merge_frames(merged, frame)
        since = tick
    assert merged is not None
    whole = board.delta(chosen, start)
    assert (merged.since, merged.tick, merged.time) == (start, whole.tick, whole.time)
    numbers = [(s.kind >= 16, *s.rows.tolist()) for s in merged.sections]
    assert sum(len(rows) - 1 for rows in numbers) == len(told(merged))  # none twice
    assert told(merged) == told(whole)
    assert columns(merged) == columns(whole)
    assert len({(s.kind, np.shape(s.values)[1:]) for s in merged.sections}) == len(merged.sections)


def columns(frame: Frame) -> dict[int, tuple[float, int, int]]:
    found = {}
    for section in frame.sections:
        if section.times is None:
            continue
        status = np.zeros(len(section.rows)) if section.status is None else section.status
        times = np.round(frame.source_times(section), 3)
        assert section.qualities is not None
        for number, *told_of in zip(
            section.rows.tolist(), times, section.qualities, status, strict=True
        ):
            when, quality, code = told_of
            found[number] = (-1.0 if math.isnan(when) else float(when), int(quality), int(code))
    return found


def test_a_frame_after_a_gap_or_of_another_table_is_taken_as_it_is() -> None:
    def frame(since: int, tick: int, table: int = 1) -> Frame:
        return Frame(
            table,
            0,
            tick,
            since,
            NOW,
            [Section(SectionKind.FLOAT64, np.array([0]), np.array([1.0]))],
        )

    older = frame(3, 5)
    for newer in (frame(6, 8), frame(5, 8, table=2), frame(0, 8), frame(3, 8), frame(2, 8)):
        assert merge_frames(older, newer) is newer
    assert merge_frames(older, frame(4, 8)).since == 3


def test_times_survive_ten_thousand_merges() -> None:
    section = Section(
        SectionKind.FLOAT64,
        np.array([0, 1]),
        np.array([1.0, 2.0]),
        np.array([-1234, NO_TIME], "<i4"),
        np.zeros(2, np.uint8),
    )
    merged = Frame(1, 0, 1, 0, NOW, [section])
    for tick in range(2, 10_002):
        merged = merge_frames(merged, Frame(1, 0, tick, tick - 1, NOW + tick / 60, []))
    (kept,) = merged.sections
    times = merged.source_times(kept)
    assert times[0] == pytest.approx(NOW - 1.234, abs=1e-4)
    assert math.isnan(times[1])


def test_a_few_bytes_ask_for_no_memory() -> None:
    header = struct.pack("<4sIQQdII", b"STF1", 1, 1, 0, 0.0, 0, 1)
    for kind, flags in ((0, 1), (0, 5), (1, 1), (3, 5), (5, 1), (6, 1), (18, 1)):
        section = struct.pack("<BBHIII", kind, flags, 1, 2**24, 0, 2)
        with pytest.raises(FrameError, match=r"ends within a section|says nothing"):
            decode_frame(header + section)


@pytest.mark.parametrize("text", ["[" * 5000, "[NaN]", "[Infinity]", "[1,", "{}"])
def test_a_text_section_that_is_no_json_is_refused(text: str) -> None:
    header = struct.pack("<4sIQQdII", b"STF1", 1, 1, 0, 0.0, 0, 1)
    section = struct.pack("<BBHIII", 5, 1, 0, 1, 0, len(text))
    with pytest.raises(FrameError):
        decode_frame(header + section + text.encode())
