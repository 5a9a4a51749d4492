"""What hydraulic elements are: ports, parameters, and how many branches they make."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stagetwin_sim.engine import Parameter, Port

__all__ = ["ELEMENTS", "Element"]

_CHECK = Parameter("check", "1", 0.0, 0.0, 1.0, "1: a check valve lets nothing flow back")
_DENSITY = Parameter("density", "kg/m3", 998.2, 1.0, 2e4, "of the liquid; water at 20 Cel")
_ELEVATION = Parameter("elevation", "m", 0.0, -1e4, 1e4)

_INLET_PRESSURE, _OUTLET_PRESSURE = Port("inlet_pressure", "Pa"), Port("outlet_pressure", "Pa")
_LEAK_FLOW = Port("leak_flow", "m3/s", doc="to the outside")


@dataclass(frozen=True, kw_only=True)
class Element:
    """One kind of element.

    Attributes:
        name: of its entry point.
        doc: what it models, in one line.
        source: where the formulas are from.
        code: as the kernels know it.
        two_ended: whether flow goes through it, from inlet to outlet; else it is a place.
        given_head: whether its head is given, so that a network may lean on it alone.
        stores: whether it holds liquid.
        inputs, outputs, parameters: what they mean.
        states: how many numbers it remembers.
        branches: how many branches of the network it makes.
    """

    name: str
    doc: str
    source: str
    code: int
    two_ended: bool
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...]
    states: int = 0
    branches: int = 1
    given_head: bool = False
    stores: bool = False

    def slot(self, name: str) -> int:
        """Return the place of a parameter."""
        return next(i for i, p in enumerate(self.parameters) if p.name == name)


PUMP = Element(
    name="pump",
    doc="centrifugal pump: head, power and efficiency over flow and speed, cavitation margin",
    source=(
        "Guelich, Centrifugal Pumps, 3rd ed. 2014, sections 3.4, 6.2.4; Ulanicki, Kahler & "
        "Coulbeck, J. Water Resour. Plann. Manage. 134 (2008) 88-93"
    ),
    code=0,
    two_ended=True,
    inputs=(
        Port("speed", "rad/s", 0.0, "of the shaft; backwards counts as standing"),
        Port("wear", "1", 0.0, "share of head lost, 0 to 0.95"),
        Port("leak", "1", 0.0, "flow back through the rings, share of rated flow"),
        Port("blockage", "1", 0.0, "closed share of the suction's area, up to 0.99"),
    ),
    outputs=(
        Port("flow", "m3/s", doc="from inlet to outlet"),
        Port("head", "m", doc="between the flanges"),
        Port("suction_pressure", "Pa"),
        Port("discharge_pressure", "Pa"),
        Port("hydraulic_power", "W", doc="rho g Q H; in kW it is l/min times bar / 600"),
        Port("shaft_power", "W"),
        Port("load_torque", "N.m", doc="that the shaft takes"),
        Port("load_inertia", "kg.m2"),
        Port("efficiency", "1", doc="hydraulic power over shaft power"),
        Port("npsh_available", "m"),
        Port("npsh_required", "m"),
        Port("cavitation_margin", "m", doc="available less required"),
    ),
    parameters=(
        Parameter("rated_flow", "m3/s", 50 / 3600, 1e-6, 100.0, "of best efficiency"),
        Parameter("rated_head", "m", 32.0, 0.01, 5e3, "at rated flow and speed"),
        Parameter("shutoff_head", "m", 0.0, 0.0, 1e4, "at no flow; 0 is 1.25 times rated"),
        Parameter("rated_speed", "rad/s", 2900 * math.pi / 30, 0.1, 1e4),
        Parameter("rated_efficiency", "1", 0.75, 0.01, 1.0, "the best"),
        Parameter("rated_npsh", "m", 3.0, 0.0, 100.0, "required at the rated point"),
        Parameter("inertia", "kg.m2", 0.05, 0.0, 1e6, "of the impeller with what it moves"),
        Parameter("check", "1", 1.0, 0.0, 1.0, "1: a check valve lets nothing flow back"),
        Parameter("elevation", "m", 0.0, -1e4, 1e4, "of the flanges"),
        Parameter("vapour_pressure", "Pa", 2339.0, 0.0, 1e7, "absolute; water at 20 Cel"),
        Parameter("atmosphere", "Pa", 101325.0, 1e3, 1e6),
        _DENSITY,
    ),
)

PIPE = Element(
    name="pipe",
    doc="pipe: friction, laminar and turbulent, and minor losses",
    source=(
        "Darcy & Weisbach with Swamee & Jain, J. Hydraul. Div. ASCE 102 (1976) 657-664; EPANET 2.2 "
        "manual, Rossman et al. 2020, section 12.1; blockage: Borda & Carnot"
    ),
    code=1,
    two_ended=True,
    inputs=(
        Port("blockage", "1", 0.0, "closed share of the area at one place, up to 0.999"),
        Port("leak", "m2", 0.0, "area of a hole at the outlet"),
    ),
    outputs=(
        Port("flow", "m3/s", doc="from inlet to outlet, ahead of the leak"),
        _LEAK_FLOW,
        Port("velocity", "m/s"),
        Port("head_loss", "m"),
        Port("reynolds", "1"),
        Port("friction_factor", "1", doc="Darcy's; 0 at rest"),
        _INLET_PRESSURE,
        _OUTLET_PRESSURE,
    ),
    parameters=(
        Parameter("length", "m", 10.0, 0.0, 1e6),
        Parameter("diameter", "m", 0.1, 1e-3, 20.0, "inner"),
        Parameter("roughness", "m", 4.5e-5, 0.0, 0.1, "commercial steel"),
        Parameter("minor_loss", "1", 0.0, 0.0, 1e6, "velocity heads lost in bends and fittings"),
        _CHECK,
        Parameter("elevation", "m", 0.0, -1e4, 1e4, "of the inlet"),
        Parameter("outlet_elevation", "m", 0.0, -1e4, 1e4),
        Parameter("viscosity", "m2/s", 1.004e-6, 1e-8, 1.0, "kinematic; water at 20 Cel"),
        _DENSITY,
    ),
    branches=2,
)

VALVE = Element(
    name="valve",
    doc="control valve: flow coefficient by opening, stroke time",
    source="IEC 60534-1 (Kv) and 60534-2-4 (inherent characteristics)",
    code=2,
    two_ended=True,
    inputs=(
        Port("opening", "1", 1.0, "wanted, 0 shut to 1 open"),
        Port("stuck", "1", 0.0, "0.5 and above: it stays where it is"),
        Port("leak", "1", 0.0, "share of Kv that passes when it is shut"),
    ),
    outputs=(
        Port("opening", "1", doc="actual"),
        Port("position", "rad", doc="a quarter turn for the full opening"),
        Port("flow", "m3/s", doc="from inlet to outlet"),
        Port("pressure_drop", "Pa"),
        _INLET_PRESSURE,
        _OUTLET_PRESSURE,
    ),
    parameters=(
        Parameter("kv", "m3/h", 100.0, 1e-3, 1e6, "flow of water at 1 bar when it is open"),
        Parameter("characteristic", "1", 0.0, 0.0, 2.0, "0 linear, 1 equal percentage, 2 quick"),
        Parameter("rangeability", "1", 50.0, 2.0, 500.0, "of equal percentage"),
        Parameter("stroke_time", "s", 0.0, 0.0, 3600.0, "from shut to open; 0 is at once"),
        _CHECK,
        _ELEVATION,
        _DENSITY,
    ),
    states=1,
)

TANK = Element(
    name="tank",
    doc="tank: level, overflow, leak, and the heat of what is in it",
    source="balances of volume and heat; orifices after Torricelli with a coefficient of 0.61",
    code=3,
    two_ended=False,
    inputs=(
        Port("level", "m", -1.0, "it begins there, where this is not negative"),
        Port("pressure", "Pa", 0.0, "of the head space"),
        Port("heat", "W", 0.0, "of a heater or cooler"),
        Port("leak", "m2", 0.0, "area of a hole at the bottom"),
    ),
    outputs=(
        Port("level", "m", doc="above the bottom"),
        Port("volume", "m3"),
        Port("fill", "1"),
        Port("flow", "m3/s", doc="from its pipes, net"),
        Port("overflow", "m3/s", doc="over the rim", high=1e-6),
        _LEAK_FLOW,
        Port("overflowed", "m3", doc="over the rim since the start"),
        Port("pressure", "Pa", doc="at the bottom"),
        Port("temperature", "K"),
        Port("low_level_clear", "1"),
        Port("high_level_clear", "1"),
        Port("dry", "1", doc="1 while it can give nothing"),
    ),
    parameters=(
        Parameter("volume", "m3", 10.0, 1e-4, 1e7, "when full"),
        Parameter("height", "m", 3.0, 0.01, 100.0, "from bottom to rim"),
        Parameter("shape", "1", 0.0, 0.0, 2.0, "0 upright, 1 lying cylinder, 2 sphere"),
        Parameter("start_level", "m", 1.5, 0.0, 100.0),
        Parameter("start_temperature", "K", 293.15, 200.0, 2000.0),
        Parameter("elevation", "m", 0.0, -1e4, 1e4, "of the bottom"),
        Parameter("overflow_area", "m2", 0.0, 0.0, 1e3, "0: a twentieth of its cross-section"),
        Parameter("low_level", "m", 0.0, 0.0, 100.0, "of the switch; 0: 15 % of the height"),
        Parameter("high_level", "m", 0.0, 0.0, 100.0, "of the switch; 0: 92 % of the height"),
        Parameter("heat_loss", "W/K", 0.0, 0.0, 1e7, "to what is around it"),
        Parameter("ambient", "K", 293.15, 200.0, 2000.0),
        Parameter("heat_capacity", "J/(kg.K)", 4184.0, 100.0, 2e4),
        _DENSITY,
    ),
    states=3,
    branches=3,
    given_head=True,
    stores=True,
)

JUNCTION = Element(
    name="junction",
    doc="node of pipes, and what is drawn there as far as there is pressure",
    source="Wagner, Shamir & Marks, J. Water Resour. Plann. Manage. 114 (1988), with a linear law",
    code=4,
    two_ended=False,
    inputs=(Port("demand", "m3/s", 0.0, "wanted"),),
    outputs=(
        Port("flow", "m3/s", doc="that is drawn"),
        Port("pressure", "Pa"),
        Port("temperature", "K"),
    ),
    parameters=(
        _ELEVATION,
        Parameter("required_pressure", "Pa", 1000.0, 10.0, 1e8, "from which the demand is met"),
        _DENSITY,
    ),
)

RESERVOIR = Element(
    name="reservoir",
    doc="boundary where the pressure is given, whatever flows",
    source="definition",
    code=5,
    two_ended=False,
    inputs=(Port("pressure", "Pa", 0.0), Port("temperature", "K", 293.15)),
    outputs=(
        Port("flow", "m3/s", doc="into the network"),
        Port("flow_volume", "m3", doc="into the network since the start"),
    ),
    parameters=(_ELEVATION, _DENSITY),
    states=1,
    branches=0,
    given_head=True,
)

SUPPLY = Element(
    name="supply",
    doc="boundary where the flow is given, up to a pressure",
    source="definition",
    code=6,
    two_ended=False,
    inputs=(Port("flow", "m3/s", 0.0, "wanted"), Port("temperature", "K", 293.15)),
    outputs=(Port("flow", "m3/s", doc="into the network"), Port("pressure", "Pa")),
    parameters=(
        _ELEVATION,
        Parameter("maximum_pressure", "Pa", 1e6, 0.0, 1e9, "the flow falls to 0 within 1 m of it"),
        _DENSITY,
    ),
)

ELEMENTS: Mapping[str, Element] = {
    each.name: each for each in (PUMP, PIPE, VALVE, TANK, JUNCTION, RESERVOIR, SUPPLY)
}
"""All kinds of elements by name."""
