"""Elements and the nodes between them, as the arrays of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from stagetwin_sim.hydraulics._elements import Element
from stagetwin_sim.hydraulics._elimination import eliminate

__all__ = ["Assembly", "ElementPlan", "assemble", "networks_of"]

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class ElementPlan:
    """One element of a network.

    Attributes:
        place: prim path and model name, as `PRIM.NAME`.
        element: what it is.
        node: where its inlet is, or where it is itself.
        other: where its outlet is; the same for a place.
        parameters: in order.
        inputs, outputs: columns of the bus, in order.
    """

    place: str
    element: Element
    node: int
    other: int
    parameters: Sequence[float]
    inputs: Sequence[int]
    outputs: Sequence[int]


def networks_of(elements: Sequence[ElementPlan]) -> list[list[ElementPlan]]:
    """Return the elements by network, in the order of each network's first."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for each in elements:
        parent[root(each.other)] = root(each.node)
    found: dict[int, list[ElementPlan]] = {}
    for each in elements:
        found.setdefault(root(each.node), []).append(each)
    return list(found.values())


@dataclass
class Assembly:
    """The arrays of the kernel, and how many of what there are.

    Attributes:
        arrays: by name, as in Layout.
        elements: in the order of the kernel.
        nets: index of the network of each.
        free_nodes, nodes, branches, entries, states: how many.
        parameters: of all elements.
        parameter, state: first of each element.
    """

    arrays: dict[str, Indices] = field(default_factory=dict)
    elements: list[ElementPlan] = field(default_factory=list)
    nets: list[int] = field(default_factory=list)
    free_nodes: int = 0
    nodes: int = 0
    branches: int = 0
    entries: int = 0
    states: int = 0
    parameters: list[float] = field(default_factory=list)
    parameter: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)


def assemble(networks: Sequence[Sequence[ElementPlan]]) -> Assembly:
    """Return the arrays of networks."""
    a = Assembly()
    node_start, fixed_start, branch_start, element_start = [0], [0], [0], [0]
    fill_start, targets = [0], list[int]()
    branch_from, branch_to, branch_entry = list[int](), list[int](), list[int]()
    column_start, rows = [0], list[int]()
    columns: dict[str, list[int]] = {"input": [], "output": []}
    first: dict[str, list[int]] = {"branch": [], "input": [0], "output": [0]}
    kinds, here, there = list[int](), list[int](), list[int]()
    fixed_count = 0
    free_total = sum(len(_free_nodes(network)) for network in networks)
    for number, network in enumerate(networks):
        free = _free_nodes(network)
        local = {node: i for i, node in enumerate(free)}
        edges = [
            (local[e.node], local[e.other])
            for e in network
            if e.node in local and e.other in local and e.node != e.other
        ]
        schedule = eliminate(len(free), edges)
        base, entry_base = node_start[-1], len(rows)
        where = {free[node]: base + i for i, node in enumerate(schedule.order)}
        for node in _fixed_nodes(network):
            where[node] = free_total + fixed_count
            fixed_count += 1
        for column in schedule.columns:
            rows.extend(base + row for row in column)
            column_start.append(len(rows))
        targets.extend(entry_base + target for target in schedule.targets)
        fill_start.append(len(targets))
        for e in network:
            a.elements.append(e)
            a.nets.append(number)
            kinds.append(e.element.code)
            i, j = where[e.node], where[e.other]
            here.append(i)
            there.append(j)
            first["branch"].append(len(branch_from))
            for start, end in _branches(e, i, j):
                branch_from.append(start)
                branch_to.append(end)
                pair = (min(start, end) - base, max(start, end) - base)
                known = schedule.entries.get(pair, -1) if min(start, end) >= 0 else -1
                branch_entry.append(entry_base + known if known >= 0 else -1)
            a.parameter.append(len(a.parameters))
            a.parameters.extend(e.parameters)
            a.state.append(a.states)
            a.states += e.element.states
            for what, given in (("input", e.inputs), ("output", e.outputs)):
                columns[what].extend(given)
                first[what].append(len(columns[what]))
        node_start.append(base + len(free))
        fixed_start.append(free_total + fixed_count)
        branch_start.append(len(branch_from))
        element_start.append(len(kinds))
    fixed_start[0] = free_total
    a.free_nodes, a.nodes = free_total, free_total + fixed_count
    a.branches, a.entries = len(branch_from), len(rows)
    values: dict[str, list[int]] = {
        "node_start": node_start,
        "fixed_start": fixed_start,
        "branch_start": branch_start,
        "element_start": element_start,
        "branch_from": branch_from,
        "branch_to": branch_to,
        "branch_entry": branch_entry,
        "column_start": column_start,
        "entry_row": rows,
        "fill_start": fill_start,
        "fill_target": targets,
        "element_kind": kinds,
        "element_node": here,
        "element_other": there,
        "element_branch": first["branch"],
        "element_parameter": a.parameter,
        "element_state": a.state,
        "element_input": first["input"],
        "element_output": first["output"],
        "input_column": columns["input"],
        "output_column": columns["output"],
    }
    # An array of Warp holds at least one number.
    a.arrays = {name: np.array(v or [0], np.int32) for name, v in values.items()}
    return a


def _fixed_nodes(network: Sequence[ElementPlan]) -> list[int]:
    return list(dict.fromkeys(e.node for e in network if e.element.branches == 0))


def _free_nodes(network: Sequence[ElementPlan]) -> list[int]:
    fixed = set(_fixed_nodes(network))
    ends = (node for e in network for node in (e.node, e.other))
    return [node for node in dict.fromkeys(ends) if node not in fixed]


def _branches(e: ElementPlan, node: int, other: int) -> list[tuple[int, int]]:
    """Return from where to where the branches of an element go; -1 is outside."""
    if e.element.name == "supply":
        return [(-1, node)]
    if e.element.two_ended:
        # After the branch through it those to the outside, at its outlet.
        return [(node, other), *[(other, -1)] * (e.element.branches - 1)]
    return [(node, -1)] * e.element.branches
