"""Small kinds and a family, installed by the tests as a third party's package would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import warp as wp

from stagetwin.bindings import ModelBinding
from stagetwin_sim.engine import Kind, Parameter, PlanBuilder, Port, StateVariable
from stagetwin_sim.plant import PortScope, group_plan

ENTRY_POINTS = """[stagetwin.models]
test-lag = tests.sim.plant.kinds:LAG
test-motor = tests.sim.plant.kinds:MOTOR
test-machine = tests.sim.plant.kinds:MACHINE
test-any = tests.sim.plant.kinds:ANY
test-fan = tests.sim.plant.kinds:PAIRS
test-belt = tests.sim.plant.kinds:PAIRS
test-faulty = tests.sim.plant.kinds:FAULTY
test-missing = tests.sim.plant.kinds:NOTHING
test-none = tests.sim.plant.kinds:ENTRY_POINTS
test-grows = tests.sim.plant.kinds:GROWS
"""


@wp.func
def lag_advance(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = x[0] + (u[0] - x[0]) * (wp.float64(1.0) - wp.exp(-dt / p[0]))
    return y


@wp.func
def first_state(x: Any, u: Any, p: Any):
    return wp.vector(x[0], u[0] - x[0])


LAG = Kind(
    name="test-lag",
    doc="a temperature that follows another",
    source="exact discretisation of x' = (u - x) / tau",
    inputs=(Port("ambient", "K", 293.15),),
    outputs=(Port("temperature", "K", 293.15), Port("difference", "K")),
    parameters=(Parameter("tau", "s", 1.0, 1e-3, 1e4),),
    states=(StateVariable("temperature", "K"),),
    advance=lag_advance,
    observe=first_state,
    start=lambda p, u: {"temperature": u["ambient"]},
)


@wp.func
def motor(x: Any, u: Any, p: Any):
    return wp.vector(u[0] - u[1] / p[0], u[1])


MOTOR = Kind(
    name="test-motor",
    doc="a speed that yields to its load",
    source="linear torque curve",
    inputs=(Port("setpoint", "rad/s"), Port("load_torque", "N.m")),
    outputs=(Port("speed", "rad/s"), Port("torque", "N.m")),
    parameters=(Parameter("stiffness", "N.m.s/rad", 10.0, 0.1, 1e6),),
    observe=motor,
    phase="electrical",
)


@wp.func
def machine(x: Any, u: Any, p: Any):
    return wp.vector(p[0] * u[0], u[0])


MACHINE = Kind(
    name="test-machine",
    doc="a load that grows with speed",
    source="viscous friction",
    inputs=(Port("speed", "rad/s"),),
    outputs=(Port("load_torque", "N.m"), Port("flow", "m3/s")),
    parameters=(Parameter("friction", "N.m.s/rad", 0.5, 0, 1e3),),
    observe=machine,
)


@wp.func
def same(x: Any, u: Any, p: Any):
    return wp.vector(u[0], u[0])


ANY = Kind(
    name="test-any",
    doc="hands on what it is given",
    source="identity",
    inputs=(Port("in", "*"),),
    outputs=(Port("out", "*"), Port("copy", "*")),
    observe=same,
    phase="monitor",
)


@wp.func
def grow(x: Any, u: Any, p: Any, w: Any, dt: wp.float64):
    y = x
    y[0] = x[0] * (wp.float64(1.0) + p[0] * u[0])
    return y


GROWS = Kind(
    name="test-grows",
    doc="grows beyond all numbers while it is fed",
    source="geometric series",
    inputs=(Port("feed", "1"),),
    outputs=(Port("size", "1", 1.0), Port("missing", "1")),
    parameters=(Parameter("rate", "1", 1e30),),
    states=(StateVariable("size", "1", 1.0),),
    advance=grow,
    observe=first_state,
)


class Pairs:
    """Two kinds that are planned together."""

    phase = "hydraulic"

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """One group of all of them."""
        if not {b.kind for b in bindings} >= {"test-fan", "test-belt"}:
            raise ValueError("a fan needs a belt")
        builder.add(group_plan(MACHINE, bindings, scope, "pairs"))


class Faulty:
    """A family that breaks on one of its models."""

    def plan(
        self, bindings: Sequence[ModelBinding], builder: PlanBuilder, scope: PortScope
    ) -> None:
        """Report models without a partner."""
        for binding in bindings:
            if not scope.related(binding, "partner"):
                scope.report(binding, "lonely", "it needs a partner")
        builder.add(group_plan(MACHINE, bindings, scope, "faulty"))


PAIRS = Pairs()
FAULTY = Faulty
