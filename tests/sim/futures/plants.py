"""A basin with a valve: the plant whose futures the tests look into."""

from __future__ import annotations

from typing import Any

from stagetwin_sim.futures import Present
from stagetwin_sim.plant import PlantModel
from tests.sim.plant.stages import clean, model
from tests.stages.plants import Part, asset, command, prim, rule, telemetry

LEVEL = "/Plant/T1.twin:telemetry:level:value"
INFLOW = "/Plant/T1.twin:telemetry:inflow:value"
OPENING = "/Plant/V1.twin:telemetry:opening:value"
READY = "/Plant/V1.twin:telemetry:ready:value"
DESIRED = "/Plant/V1.twin:command:position:desired"

KNOWN = {INFLOW: 36.0, OPENING: 0.5, READY: 1.0, LEVEL: 1.0}
"""A present in which as much flows in as out: 0.01 m3/s through half an opening at 1 m."""


def basin_plant(
    *more: Part,
    rules: bool = True,
    gusts: float = 0.0,
    valve: dict[str, Any] | None = None,
    approval: str = "none",
) -> PlantModel:
    """Return a basin with a valve that can be commanded; see basin_bodies."""
    return clean(*basin_bodies(*more, rules=rules, gusts=gusts, valve=valve, approval=approval))


def basin_bodies(
    *more: Part,
    rules: bool = True,
    gusts: float = 0.0,
    valve: dict[str, Any] | None = None,
    approval: str = "none",
) -> list[str]:
    """Return the prims of a basin with a valve.

    Args:
        more: parts of the basin's prim.
        rules: whether the valve opens when the basin is full.
        gusts: noise of the inflow.
        valve: other fields of the command.
        approval: of the command.
    """
    fields: dict[str, Any] = {"rateLimit": 0.2, "settleTime": 10.0, "approval": approval}
    opens = rule("drain", LEVEL, "double 2.5", DESIRED, "double 1", comparison="above", holdFor=5.0)
    return [
        prim(
            "T1",
            asset("t1", "twin"),
            telemetry("level", unit="m", address="t/l", hard=(0, 2.9), soft=(0.5, 2.7)),
            telemetry("inflow", unit="m3/h", address="t/i"),
            model(
                "basin",
                "test-basin",
                reads=[INFLOW],
                writes=[LEVEL],
                in_opening=OPENING,
                parameters={"gusts": gusts},
            ),
            *more,
        ),
        prim(
            "V1",
            asset("v1", "twin"),
            telemetry("opening", unit="1", address="v/o"),
            telemetry("ready", "bool", address="v/r"),
            command(
                "position",
                hard=(0, 1),
                readback=OPENING,
                permissives=[READY],
                unit="1",
                **{**fields, **(valve or {})},
            ),
            *([opens] if rules else []),
        ),
    ]


def basin_present(plant: PlantModel | None = None, **known: Any) -> Present:
    """Return the basin at rest, with other values by path where given."""
    found = plant if plant is not None else basin_plant()
    values = {**KNOWN, **known.pop("values", {})}
    quality = dict.fromkeys(values, "good")
    desired = {DESIRED: values[OPENING], **known.pop("desired", {})}
    engine = found.at(values).plan.engine()
    return Present.of(found, engine, values=values, quality=quality, desired=desired, **known)
