"""Who and what is near: the nearest agents, and the nearest edges that face a place."""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._sort_kernels import Grid, cell_column, cell_row

__all__ = ["MAX_NEIGHBOURS", "MAX_WALLS", "Layout", "nearest_agents", "nearest_walls"]

wp.set_module_options({"enable_backward": False})

MAX_NEIGHBOURS = 10
"""Neighbours that one agent avoids at most."""

MAX_WALLS = 16
"""Edges of obstacles that one agent avoids at most."""


@wp.struct
class Layout:
    """Static obstacles on the device, of all layouts.

    Attributes:
        grid: cells that say which edges are near.
        ends: of an edge, the obstacle to its left [m].
        ways: directions of the edges before and after it.
        bends: bit 0 and 1: convex at its first and second end.
        starts: of a cell's edges in `near`, one run of cells for each layout.
        near: numbers of edges.
    """

    grid: Grid
    ends: wp.array(dtype=wp.vec4)
    ways: wp.array(dtype=wp.vec4)
    bends: wp.array(dtype=wp.int32)
    starts: wp.array(dtype=wp.int32)
    near: wp.array(dtype=wp.int32)


@wp.func
def nearest_agents(
    grid: Grid,
    starts: wp.array(dtype=wp.int32),
    bodies: wp.array(dtype=wp.vec4),
    numbers: wp.array(dtype=wp.int32),
    world: wp.int32,
    own: wp.int32,
    x: wp.float32,
    y: wp.float32,
    reach: wp.float32,
    most: wp.int32,
    distances: wp.array(dtype=wp.float32),
    slots: wp.array(dtype=wp.int32),
) -> wp.int32:
    """Find the nearest others within reach, nearest first, of equals the lower number.

    Args:
        own: slot of the one who looks.
        reach: [m].
        most: how many at most.
        distances, slots: the findings, squared [m2] and as places in `bodies`.

    Returns:
        How many were found.
    """
    count = wp.int32(0)
    limit = reach * reach
    first_column = cell_column(grid, x - reach)
    last_column = cell_column(grid, x + reach)
    first_row = cell_row(grid, y - reach)
    last_row = cell_row(grid, y + reach)
    for row in range(first_row, last_row + 1):
        begin = (world * grid.rows + row) * grid.columns
        for slot in range(starts[begin + first_column], starts[begin + last_column + 1]):
            body = bodies[slot]
            dx = body[0] - x
            dy = body[1] - y
            square = dx * dx + dy * dy
            if square <= limit and slot != own:
                full = count == most
                at = count
                if full:
                    at = most - 1
                better = wp.bool(True)
                if full:
                    # As far as the last one: the lower number stays.
                    better = square < distances[at]
                    if square == distances[at]:
                        better = numbers[slot] < numbers[slots[at]]
                elif square >= reach * reach:
                    better = False
                if better:
                    moving = wp.bool(True)
                    while moving and at > 0:
                        before = distances[at - 1]
                        ahead = square < before
                        if square == before:
                            ahead = numbers[slot] < numbers[slots[at - 1]]
                        if ahead:
                            distances[at] = before
                            slots[at] = slots[at - 1]
                            at = at - 1
                        else:
                            moving = False
                    distances[at] = square
                    slots[at] = slot
                    if not full:
                        count = count + 1
                    if count == most:
                        limit = distances[most - 1]
    return count


@wp.func
def nearest_walls(
    layout: Layout,
    which: wp.int32,
    x: wp.float32,
    y: wp.float32,
    reach: wp.float32,
    distances: wp.array(dtype=wp.float32),
    edges: wp.array(dtype=wp.int32),
) -> wp.int32:
    """Find the nearest edges within reach that face a place; as `nearest_agents`."""
    count = wp.int32(0)
    limit = reach * reach
    cell = (
        which * layout.grid.rows + cell_row(layout.grid, y)
    ) * layout.grid.columns + cell_column(layout.grid, x)
    for i in range(layout.starts[cell], layout.starts[cell + 1]):
        number = layout.near[i]
        ends = layout.ends[number]
        ex = ends[2] - ends[0]
        ey = ends[3] - ends[1]
        px = x - ends[0]
        py = y - ends[1]
        # Only from its free side, its right, is an edge seen.
        if ex * py - ey * px < 0.0:
            t = wp.clamp((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
            dx = px - t * ex
            dy = py - t * ey
            square = dx * dx + dy * dy
            if square < limit:
                at = count
                if count == MAX_WALLS:
                    at = MAX_WALLS - 1
                else:
                    count = count + 1
                moving = wp.bool(True)
                while moving and at > 0:
                    # Cells name edges in order: of equals the lower number came first.
                    if square < distances[at - 1]:
                        distances[at] = distances[at - 1]
                        edges[at] = edges[at - 1]
                        at = at - 1
                    else:
                        moving = False
                distances[at] = square
                edges[at] = number
                if count == MAX_WALLS:
                    limit = distances[MAX_WALLS - 1]
    return count
