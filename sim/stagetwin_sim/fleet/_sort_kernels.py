"""Who is near whom: agents of each world sorted by the cells of a grid.

Counting sort. Within a cell the order is left to chance on a GPU; all that reads it takes the
nearest first and breaks ties by number, so that results do not depend on it.
"""
# mypy: ignore-errors

from __future__ import annotations

import warp as wp

from stagetwin_sim.fleet._options_kernels import MotionOptions, VehicleKind, enclosing_radius
from stagetwin_sim.fleet._state_kernels import FleetState, PeopleState

__all__ = ["Grid", "cell_column", "cell_row", "count_cells", "sort_people", "sort_vehicles"]

wp.set_module_options({"enable_backward": False})


@wp.struct
class Grid:
    """Cells that cover a floor; what is outside counts to the cells at its edge.

    Attributes:
        x, y: of its lower left corner [m].
        inverse: 1 / length of a cell [1/m].
        columns, rows: of cells.
    """

    x: wp.float32
    y: wp.float32
    inverse: wp.float32
    columns: wp.int32
    rows: wp.int32


@wp.func
def cell_column(grid: Grid, x: wp.float32) -> wp.int32:
    """Return the column of a place."""
    return wp.int32(wp.clamp((x - grid.x) * grid.inverse, 0.0, wp.float32(grid.columns - 1)))


@wp.func
def cell_row(grid: Grid, y: wp.float32) -> wp.int32:
    """Return the row of a place."""
    return wp.int32(wp.clamp((y - grid.y) * grid.inverse, 0.0, wp.float32(grid.rows - 1)))


@wp.kernel
def count_cells(
    # in:
    grid: Grid,
    x: wp.array2d(dtype=wp.float32),
    y: wp.array2d(dtype=wp.float32),
    first: wp.int32,
    entries: wp.int32,
    # out:
    cells: wp.array(dtype=wp.int32),
    ranks: wp.array(dtype=wp.int32),
    counts: wp.array(dtype=wp.int32),
):
    """Find everyone's cell and rank in it; over (worlds, agents).

    `first` is the number of the first of them among the `entries` of a world.
    """
    world, i = wp.tid()
    column = cell_column(grid, x[world, i])
    row = cell_row(grid, y[world, i])
    cell = (world * grid.rows + row) * grid.columns + column
    slot = world * entries + first + i
    cells[slot] = cell
    ranks[slot] = wp.atomic_add(counts, cell, 1)


@wp.kernel
def sort_vehicles(
    # in:
    cells: wp.array(dtype=wp.int32),
    ranks: wp.array(dtype=wp.int32),
    starts: wp.array(dtype=wp.int32),
    options: MotionOptions,
    types: wp.array2d(dtype=wp.int32),
    kinds: wp.array(dtype=VehicleKind),
    fleet: FleetState,
    # out:
    bodies: wp.array(dtype=wp.vec4),
    sizes: wp.array(dtype=wp.float32),
    numbers: wp.array(dtype=wp.int32),
):
    """Lay vehicles out by cell; over (worlds, vehicles).

    `bodies` are places and velocities, `sizes` radii, negative of those who do not give way; who
    moves freely is larger by what its drive cannot track.
    """
    world, i = wp.tid()
    own = world * options.entries + i
    slot = starts[cells[own]] + ranks[own]
    bodies[slot] = wp.vec4(
        fleet.x[world, i], fleet.y[world, i], fleet.vx[world, i], fleet.vy[world, i]
    )
    radius = enclosing_radius(
        fleet.length[world, i],
        fleet.width[world, i],
        kinds[types[world, i]].centre,
        options.discs,
    )
    yields = fleet.mode[world, i] == 2 and fleet.arrived[world, i] == 0
    if yields:
        radius = radius + options.tracking_error
    # Who stands can do no more than turn: it does not give way before it moves.
    if options.discs == 0 and wp.abs(fleet.v[world, i]) < options.giving:
        yields = False
    sizes[slot] = wp.where(yields, radius, -radius)
    numbers[slot] = i


@wp.kernel
def sort_people(
    # in:
    cells: wp.array(dtype=wp.int32),
    ranks: wp.array(dtype=wp.int32),
    starts: wp.array(dtype=wp.int32),
    options: MotionOptions,
    people: PeopleState,
    # out:
    bodies: wp.array(dtype=wp.vec4),
    sizes: wp.array(dtype=wp.float32),
    numbers: wp.array(dtype=wp.int32),
):
    """Lay people out by cell, as `sort_vehicles`; over (worlds, people)."""
    world, i = wp.tid()
    own = world * options.entries + options.vehicles + i
    slot = starts[cells[own]] + ranks[own]
    bodies[slot] = wp.vec4(
        people.x[world, i], people.y[world, i], people.vx[world, i], people.vy[world, i]
    )
    sizes[slot] = -people.radius[world, i]
    numbers[slot] = options.vehicles + i
