"""Networks for tests, without a stage: elements between numbered nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from hypothesis import strategies as st

from stagetwin_sim.engine import Column, Engine, Plan, PlanBuilder
from stagetwin_sim.hydraulics import ELEMENTS, ElementPlan, HydraulicSystem, hydraulic_plan

SPEED = 2900 * np.pi / 30
"""Rated speed of pumps [rad/s]."""


class Networks:
    """Gathers elements; those called `P` have the columns `/P.in.speed`, `/P.flow`, ..."""

    def __init__(self) -> None:
        self.builder = PlanBuilder()
        self.elements: list[ElementPlan] = []

    def add(
        self,
        kind: str,
        name: str,
        at: int | tuple[int, int],
        inputs: Mapping[str, float] | None = None,
        **parameters: float,
    ) -> Networks:
        element = ELEMENTS[kind]
        given = dict(inputs or {})
        ins = [
            self.builder.column(
                Column(f"/{name}.in.{p.name}", p.unit, given.pop(p.name, p.value), "setpoint")
            )
            for p in element.inputs
        ]
        outs = [
            self.builder.column(Column(f"/{name}.{p.name}", p.unit, role="output"))
            for p in element.outputs
        ]
        node, other = (at, at) if isinstance(at, int) else at
        values = [parameters.pop(p.name, p.value) for p in element.parameters]
        assert not given, given
        assert not parameters, parameters
        self.elements.append(
            ElementPlan(
                place=f"/{name}.h",
                element=element,
                node=node,
                other=other,
                parameters=values,
                inputs=ins,
                outputs=outs,
            )
        )
        return self

    def plan(self, iterations: int | None = None) -> Plan:
        plan = hydraulic_plan(self.elements, self.builder)
        if iterations is not None:
            object.__setattr__(plan, "iterations", iterations)
        self.builder.add(plan)
        return self.builder.build()


def value(engine: Engine, name: str, world: int = 0) -> float:
    """Return what a column holds."""
    return float(engine.read([engine.plan.column(name)])[world, 0])


def put(engine: Engine, name: str, number: float) -> None:
    """Write to a column in all worlds."""
    engine.write([engine.plan.column(name)], [number])


def hydraulics(engine: Engine) -> HydraulicSystem:
    """Return the system of the networks."""
    return cast(HydraulicSystem, engine.systems["hydraulics"])


def imbalance(engine: Engine) -> float:
    """Return the largest sum of flows into a node without a given head, from the bus alone."""
    sums: dict[int, float] = {}
    given = set()
    for e in hydraulics(engine).plan.networks:
        for each in e:
            name = each.place.removesuffix(".h").removeprefix("/")
            flow = value(engine, f"/{name}.flow")
            kind = each.element.name
            if kind == "reservoir":
                given.add(each.node)
            elif kind == "supply":
                sums[each.node] = sums.get(each.node, 0.0) + flow
            elif kind in ("tank", "junction"):
                sums[each.node] = sums.get(each.node, 0.0) - flow
            else:
                leak = value(engine, f"/{name}.leak_flow") if kind == "pipe" else 0.0
                sums[each.node] = sums.get(each.node, 0.0) - flow
                sums[each.other] = sums.get(each.other, 0.0) + flow - leak
    return max((abs(s) for node, s in sums.items() if node not in given), default=0.0)


def held(engine: Engine) -> float:
    """Return what all tanks hold [m3]."""
    return sum(
        value(engine, f"{each.place.removesuffix('.h')}.volume")
        for network in hydraulics(engine).plan.networks
        for each in network
        if each.element.name == "tank"
    )


def brought_in(engine: Engine) -> float:
    """Return what comes into all networks, less what leaves them [m3/s]."""
    total = 0.0
    for network in hydraulics(engine).plan.networks:
        for each in network:
            name, kind = each.place.removesuffix(".h"), each.element.name
            if kind in ("reservoir", "supply"):
                total += value(engine, f"{name}.flow")
            elif kind == "junction":
                total -= value(engine, f"{name}.flow")
            elif kind == "tank":
                total -= value(engine, f"{name}.overflow") + value(engine, f"{name}.leak_flow")
            elif kind == "pipe":
                total -= value(engine, f"{name}.leak_flow")
    return total


def transfer(speed: float = SPEED, opening: float = 1.0) -> Networks:
    """Return a tank, a pump, pipes, a valve and a second tank that it fills."""
    return (
        Networks()
        .add("tank", "A", 0, volume=10.0, height=3.0, start_level=2.0)
        .add("pipe", "S", (0, 1), length=5.0, diameter=0.15, minor_loss=1.5)
        .add("pump", "P", (1, 2), {"speed": speed})
        .add("pipe", "D", (2, 3), length=40.0, minor_loss=4.0)
        .add("valve", "V", (3, 4), {"opening": opening}, kv=80.0)
        .add("tank", "B", 4, volume=10.0, height=3.0, start_level=0.5, elevation=8.0)
    )


_FLOAT = st.floats(0.0, 1.0, allow_subnormal=False)


@st.composite
def random_networks(draw: st.DrawFn) -> Networks:
    """Draw networks of any topology: meshes, dead ends, shut valves, empty and full tanks."""
    nodes = draw(st.integers(2, 9))
    n = Networks()
    places = draw(st.lists(st.integers(0, nodes - 1), min_size=1, max_size=4, unique=True))
    for at, node in enumerate(places):
        z = draw(st.floats(-5, 25))
        if draw(st.integers(0, 2)) == 0:
            n.add("reservoir", f"R{at}", node, {"pressure": draw(st.floats(0, 3e5))}, elevation=z)
        else:
            n.add(
                "tank",
                f"T{at}",
                node,
                {"leak": draw(st.sampled_from([0.0, 0.0, 1e-4]))},
                volume=draw(st.sampled_from([0.05, 1.0, 10.0])),
                start_level=draw(st.sampled_from([0.0, 0.001, 1.5, 3.0])),
                elevation=z,
                shape=draw(st.sampled_from([0.0, 0.0, 1.0, 2.0])),
            )
    links = draw(st.integers(nodes - 1, 2 * nodes))
    for at in range(links):
        # A tree first, so that much hangs together; then anything.
        a = draw(st.integers(0, at)) if at < nodes - 1 else draw(st.integers(0, nodes - 1))
        b = at + 1 if at < nodes - 1 else draw(st.integers(0, nodes - 1))
        if a == b:
            continue
        if draw(st.booleans()):
            a, b = b, a
        kind = draw(st.sampled_from(["pipe", "pipe", "valve", "pump"]))
        if kind == "pipe":
            n.add(
                "pipe",
                f"L{at}",
                (a, b),
                {"leak": draw(st.sampled_from([0.0, 0.0, 1e-5, 1e-3]))},
                length=draw(st.floats(0.5, 500)),
                diameter=draw(st.sampled_from([0.02, 0.1, 0.4])),
                minor_loss=draw(st.sampled_from([0.0, 5.0])),
                check=draw(st.sampled_from([0.0, 0.0, 1.0])),
            )
        elif kind == "valve":
            n.add(
                "valve",
                f"L{at}",
                (a, b),
                {"opening": draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))},
                kv=draw(st.sampled_from([1.0, 100.0])),
                characteristic=draw(st.sampled_from([0.0, 1.0, 2.0])),
                check=draw(st.sampled_from([0.0, 1.0])),
            )
        else:
            n.add(
                "pump",
                f"L{at}",
                (a, b),
                {"speed": draw(st.sampled_from([0.0, 1.0, 0.5 * SPEED, SPEED]))},
                rated_flow=draw(st.sampled_from([0.001, 0.0139, 0.2])),
                check=draw(st.sampled_from([0.0, 1.0, 1.0])),
            )
    for at in range(draw(st.integers(0, 3))):
        node = draw(st.integers(0, nodes - 1))
        kind = draw(st.sampled_from(["junction", "supply"]))
        what = "demand" if kind == "junction" else "flow"
        n.add(kind, f"X{at}", node, {what: draw(st.sampled_from([0.0, 1e-4, 0.02]))})
    return n
