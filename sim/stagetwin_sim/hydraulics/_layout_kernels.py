"""What the networks' kernel is given: who is joined to whom, and what is remembered."""

# mypy: ignore-errors

from __future__ import annotations

import warp as wp

__all__ = [
    "COEFFICIENTS",
    "JUNCTION",
    "MARKS",
    "PIPE",
    "PUMP",
    "RESERVOIR",
    "SHUT",
    "SUPPLY",
    "TANK",
    "VALVE",
    "Layout",
    "Work",
]

PUMP = wp.constant(0)
PIPE = wp.constant(1)
VALVE = wp.constant(2)
TANK = wp.constant(3)
JUNCTION = wp.constant(4)
RESERVOIR = wp.constant(5)
SUPPLY = wp.constant(6)

COEFFICIENTS = wp.constant(10)
"""Numbers that make a branch's law at a moment."""

MARKS = wp.constant(4)
"""Numbers that say how far the search of a network is."""

SHUT = wp.constant(wp.float64(1e10))
"""Slope of a shut branch [m/(m3/s)]: at 30 m a shut valve passes 0.01 l/h."""


@wp.struct
class Layout:
    """The networks of a plan, one after another. Nodes are in order of elimination.

    Attributes:
        free_nodes: how many nodes have a head that is found; those after them have a given one.
        node_start, fixed_start, branch_start, element_start: first of each network, and the end.
        branch_from, branch_to: nodes; -1 is outside, where no head is.
        branch_entry: place of the conductance between its nodes; -1 where only one is free.
        column_start: first entry of each free node; entry_row: the later node.
        fill_start, fill_target: entries that each pair of entries of a node adds to.
        element_kind, element_node, element_other: what an element is, inlet or place, and outlet.
        element_branch, element_parameter, element_state, element_input, element_output: its first.
        input_column, output_column: of the bus.
        net_columns: of residual, iterations and failures of each network.
    """

    free_nodes: int
    node_start: wp.array(dtype=wp.int32)
    fixed_start: wp.array(dtype=wp.int32)
    branch_start: wp.array(dtype=wp.int32)
    element_start: wp.array(dtype=wp.int32)
    branch_from: wp.array(dtype=wp.int32)
    branch_to: wp.array(dtype=wp.int32)
    branch_entry: wp.array(dtype=wp.int32)
    column_start: wp.array(dtype=wp.int32)
    entry_row: wp.array(dtype=wp.int32)
    fill_start: wp.array(dtype=wp.int32)
    fill_target: wp.array(dtype=wp.int32)
    element_kind: wp.array(dtype=wp.int32)
    element_node: wp.array(dtype=wp.int32)
    element_other: wp.array(dtype=wp.int32)
    element_branch: wp.array(dtype=wp.int32)
    element_parameter: wp.array(dtype=wp.int32)
    element_state: wp.array(dtype=wp.int32)
    element_input: wp.array(dtype=wp.int32)
    element_output: wp.array(dtype=wp.int32)
    input_column: wp.array(dtype=wp.int32)
    output_column: wp.array(dtype=wp.int32)
    net_columns: wp.array(dtype=wp.int32)


@wp.struct
class Work:
    """What the kernels remember and what they work on.

    Arrays have the shape (blocks, lanes, entries): a world is a lane of a block, and in memory the
    lanes of an entry are next to each other, for a CPU to take them as one vector. Only `parameter`
    and `failures`, which are seldom touched, have the shape (worlds, entries).

    Attributes:
        lanes: of a block.
        head, temperature: of nodes [m], [K]: saved.
        flow: of branches [m3/s]: saved.
        state, parameter: of elements: saved.
        failures: steps of each network that were not solved: saved.
        loss, slope: of branches, of use again as long as the coefficients stay; 0 makes them anew.
        coefficient, start, change, conductance: of branches, anew in each step.
        ground, right, come: of nodes; mesh: of entries; anew in each step.
        mark: of each network MARKS numbers: iterations done, slope of the content, whether some
            part is stuck, and whether the last step overshot; where a search goes on from.
    """

    lanes: int
    head: wp.array3d(dtype=wp.float64)
    temperature: wp.array3d(dtype=wp.float64)
    flow: wp.array3d(dtype=wp.float64)
    state: wp.array3d(dtype=wp.float64)
    parameter: wp.array2d(dtype=wp.float64)
    failures: wp.array2d(dtype=wp.float64)
    coefficient: wp.array3d(dtype=wp.float64)
    start: wp.array3d(dtype=wp.float64)
    change: wp.array3d(dtype=wp.float64)
    loss: wp.array3d(dtype=wp.float64)
    slope: wp.array3d(dtype=wp.float64)
    conductance: wp.array3d(dtype=wp.float64)
    ground: wp.array3d(dtype=wp.float64)
    right: wp.array3d(dtype=wp.float64)
    come: wp.array3d(dtype=wp.float64)
    mesh: wp.array3d(dtype=wp.float64)
    mark: wp.array3d(dtype=wp.float64)
