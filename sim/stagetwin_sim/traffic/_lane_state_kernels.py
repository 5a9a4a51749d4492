"""What is reserved on lanes, as structures that kernels take whole."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = ["LaneRoutes", "LaneState", "NetTable"]

wp.set_module_options({"enable_backward": False})


@wp.struct
class NetTable:
    """Cells and which of them meet: those of cell c are meets[begin[c]:begin[c + 1]]."""

    begin: wp.array(dtype=wp.int32)
    meets: wp.array(dtype=wp.int32)


@wp.struct
class LaneRoutes:
    """Routes one after another.

    Attributes:
        begin, count: steps of each route.
        length: of each [m].
        cell: of each step.
        enter, leave: between which distances the centre is in it [m].
        rest: whether a batch may end with it.
        gate: the first step of each route that the grid at its end must have opened; as many as
            there are steps where it ends elsewhere.
    """

    begin: wp.array(dtype=wp.int32)
    count: wp.array(dtype=wp.int32)
    length: wp.array(dtype=wp.float32)
    cell: wp.array(dtype=wp.int32)
    enter: wp.array(dtype=wp.float32)
    leave: wp.array(dtype=wp.float32)
    rest: wp.array(dtype=wp.int32)
    gate: wp.array(dtype=wp.int32)


@wp.struct
class LaneState:
    """What vehicles hold; shape (worlds, vehicles) where nothing else is said.

    Attributes:
        route: number; -1 where it drives none.
        command: 1 takes `ordered` as its route, 2 gives everything back, 3 takes it but for later,
            4 begins to drive it; 0 once it is done.
        ordered: number of a route.
        driven: 0 while it does not drive its route yet.
        gate: 1 once it is the next to enter the grid at the end of its route, 2 once it may.
        low, high: steps of the route that it holds, from and up to.
        go: up to which of these it may drive.
        rest: cell on which it will rest; -1 for none.
        asked: tick since which it waits for a batch.
        waits_for: the vehicle that it waits for; -1 for none.
        waits_at: the cell that it waits for.
        resting: 1 where that vehicle rests there, 0 where it is to go first.
        reported: progress as control knows it [m].
        order: vehicles by how long they have waited.
        reports, grants: messages under way, -1 for a lost one, shape (worlds, vehicles, delays).
        queue, stamps: who is queued at a cell, -1 for a free slot, and when it came,
            shape (worlds, cells x QUEUE).
        rests: who rests on a cell, -1 for nobody, shape (worlds, cells).
        stamp: the latest, shape (worlds,).
        waiting, caused: how long vehicles have stood on a cell, and for a cell, for the sake of
            others [s], shape (worlds, cells).
        passed: vehicles that have left a cell behind, likewise.
        lost: messages, shape (worlds,).
        full: batches refused because a queue was full, shape (worlds,).
    """

    route: wp.array2d(dtype=wp.int32)
    command: wp.array2d(dtype=wp.int32)
    ordered: wp.array2d(dtype=wp.int32)
    driven: wp.array2d(dtype=wp.int32)
    gate: wp.array2d(dtype=wp.int32)
    low: wp.array2d(dtype=wp.int32)
    high: wp.array2d(dtype=wp.int32)
    go: wp.array2d(dtype=wp.int32)
    rest: wp.array2d(dtype=wp.int32)
    asked: wp.array2d(dtype=wp.int32)
    waits_for: wp.array2d(dtype=wp.int32)
    waits_at: wp.array2d(dtype=wp.int32)
    resting: wp.array2d(dtype=wp.int32)
    reported: wp.array2d(dtype=wp.float32)
    order: wp.array2d(dtype=wp.int32)
    reports: wp.array3d(dtype=wp.float32)
    grants: wp.array3d(dtype=wp.float32)
    queue: wp.array2d(dtype=wp.int32)
    stamps: wp.array2d(dtype=wp.int32)
    rests: wp.array2d(dtype=wp.int32)
    waiting: wp.array2d(dtype=wp.float32)
    caused: wp.array2d(dtype=wp.float32)
    passed: wp.array2d(dtype=wp.int32)
    stamp: wp.array(dtype=wp.int32)
    lost: wp.array(dtype=wp.int32)
    full: wp.array(dtype=wp.int32)
