"""Energy: the wind turbine and the meter in its cabinet."""

from math import cos, pi, radians, sin
from pathlib import Path

from ._process_assets import driven_op, machine
from ._shapes import Shapes, chamfered, subcomponent

HUB_HEIGHT = 19.4  # [m]
BLADE_LENGTH = 8.6  # [m]


def _blade_ring(radius: float, chord: float, thickness: float, twist: float) -> list[list[float]]:
    """Eight points of a blade's section at `radius` from the hub [m], twist [deg]."""
    ring = []
    for index in range(8):
        turn = 2 * pi * index / 8
        along, across = chord * (0.5 * cos(turn) - 0.2), thickness * 0.5 * sin(turn)
        angle = radians(twist)
        y = along * cos(angle) - across * sin(angle)
        x = along * sin(angle) + across * cos(angle)
        ring.append([-round(x, 5), round(y, 5), radius])
    return ring


def _draw_rotor(shapes: Shapes) -> None:
    subcomponent(shapes.group("Nacelle/Rotor", (1.75, 0, 0.1)))
    rotor = shapes.stage.GetPrimAtPath(shapes.path("Nacelle/Rotor"))
    driven_op(rotor, "rotateX", "live", 52.0)
    shapes.sphere("Nacelle/Rotor/Hub", 0.55, (0, 0, 0), "White", (1.25, 1, 1))
    rings = [
        _blade_ring(0.3, 0.42, 0.36, 20),
        _blade_ring(BLADE_LENGTH * 0.26, 0.95, 0.2, 14),
        _blade_ring(BLADE_LENGTH, 0.22, 0.03, 1),
    ]
    for index in range(3):
        shapes.group(f"Nacelle/Rotor/Blade{index}", (0, 0, 0), (120.0 * index, 0, 0))
        shapes.loft(f"Nacelle/Rotor/Blade{index}/Skin", rings, (0, 0, 0), "White")
        tip = [
            _blade_ring(BLADE_LENGTH * k, c, t, 1)
            for k, c, t in ((1.0, 0.22, 0.03), (1.06, 0.08, 0.01))
        ]
        shapes.loft(f"Nacelle/Rotor/Blade{index}/Tip", tip, (0, 0, 0), "Red")


def make_wind_turbine(folder: Path) -> None:
    """Wind turbine of 100 kW: yawing nacelle, turning rotor, both driven by telemetry."""
    shapes = machine(folder, "wind_turbine", "WindTurbine")
    shapes.cylinder("Foundation", 1.7, 0.3, (0, 0, 0.1), "Concrete")
    shapes.frustum("Tower", (0.78, 0.44), HUB_HEIGHT - 0.8, (0, 0, 0.2), "White")
    shapes.box("Door", (0.05, 0.6, 1.7), (0.74, 0, 1.2), "Panel")
    nacelle = subcomponent(shapes.group("Nacelle", (0, 0, HUB_HEIGHT)))
    driven_op(nacelle, "rotateZ", "live", 0.0)
    shapes.cylinder("Nacelle/YawRing", 0.5, 0.3, (0, 0, -0.65), "SteelDark")
    shapes.prism("Nacelle/House", chamfered(3.4, 1.15, 0.25), 1.2, (-0.4, 0, -0.5), "White")
    shapes.box("Nacelle/Cooler", (0.5, 0.9, 0.35), (-1.6, 0, 0.85), "Panel")
    shapes.cylinder("Nacelle/Neck", 0.42, 0.4, (1.35, 0, 0.1), "SteelDark", "X")
    _draw_rotor(shapes)
    looks = {"off": "LightOff", "on": "LightRed"}
    lamp = shapes.capsule("Nacelle/Beacon", 0.07, 0.1, (-0.6, 0, 0.85), "LightOff")
    shapes.lamp_variants("beacon", lamp, looks, "on")
    shapes.stage.Save()


def make_energy_meter(folder: Path) -> None:
    """Energy meter in a distribution cabinet of three fields, front towards -Y."""
    shapes = machine(folder, "energy_meter", "EnergyMeter")
    shapes.box("Plinth", (2.7, 0.6, 0.1), (0, 0, 0.05), "Anthracite")
    for index in range(3):
        x = -0.9 + 0.9 * index
        shapes.box(f"Field{index}/Body", (0.88, 0.58, 2.0), (x, 0, 1.1), "OffWhite")
        shapes.box(f"Field{index}/Door", (0.8, 0.02, 1.86), (x, -0.295, 1.1), "White")
        shapes.box(f"Field{index}/Handle", (0.03, 0.03, 0.2), (x + 0.33, -0.315, 1.1), "Black")
        shapes.box(f"Field{index}/Vent", (0.5, 0.01, 0.14), (x, -0.308, 0.4), "Anthracite")
    shapes.box("Meter/Case", (0.36, 0.06, 0.3), (0, -0.32, 1.6), "Anthracite")
    shapes.box("Meter/Screen", (0.28, 0.01, 0.16), (0, -0.352, 1.63), "Screen")
    shapes.box("Warning", (0.2, 0.01, 0.2), (-0.9, -0.308, 1.6), "Yellow")
    looks = {"normal": "LightGreen", "alarm": "LightRed"}
    lamp = shapes.cylinder("Meter/Lamp", 0.03, 0.02, (0.9, -0.31, 1.75), "LightOff", "Y")
    shapes.lamp_variants("state", lamp, looks, "normal")
    shapes.stage.Save()
