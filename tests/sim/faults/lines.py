"""A line whose machines have models: a tank, a pump and a valve in front of an open end."""

from __future__ import annotations

from collections.abc import Mapping

from stagetwin.bindings import BindingTable, read_bindings
from stagetwin_sim.machines import MachinePark
from tests.sim.plant.stages import model
from tests.stages.plants import HEADER, Part, asset, command, connection, prim, stage_of, telemetry
from tests.stages.pumping import pump_commands, value_of

LINE = "/World/Line1"
P1, V1, T1, END = (f"{LINE}/{name}" for name in ("P1", "V1", "T1", "End"))
RATED_FLOW, RATED_HEAD, RATED_SPEED = 50.0, 32.0, 2850.0
"""Of the pump [m3/h, m, 1/min]."""


def own(name: str, line: str = "line") -> Part:
    return asset(name.lower(), level="twin", connection=line)


def pump(
    line: str = "line", parameters: Mapping[str, float | tuple[float, str]] | None = None
) -> str:
    given: dict[str, float | tuple[float, str]] = {
        "rated_flow": (RATED_FLOW, "m3/h"),
        "rated_head": (RATED_HEAD, "m"),
        "rated_speed": (RATED_SPEED, "1/min"),
        **(parameters or {}),
    }
    return prim(
        "P1",
        own("P1", line),
        telemetry("running", "bool", "plant/p1/running"),
        telemetry("ready", "bool", "plant/p1/ready"),
        telemetry("flow", address="plant/p1/flow", unit="m3/h", hard=(0, 120), soft=(0, 95)),
        telemetry(
            "discharge_pressure", address="plant/p1/p", unit="bar", hard=(-1, 16), soft=(0, 10)
        ),
        telemetry("suction_pressure", address="plant/p1/ps", unit="bar", hard=(-1, 16)),
        telemetry("speed", address="plant/p1/speed", unit="1/min", hard=(0, 3600), soft=(0, 3000)),
        *pump_commands(P1, "plant/p1"),
        model(
            "hydraulics",
            "pump",
            parameters=given,
            reads=value_of(P1, "speed"),
            writes=[
                value_of(P1, name) for name in ("flow", "discharge_pressure", "suction_pressure")
            ],
            inlet=T1,
            outlet=V1,
        ),
    )


def valve(line: str = "line") -> str:
    return prim(
        "V1",
        own("V1", line),
        telemetry("opening", address="plant/v1/opening", unit="%", hard=(0, 100)),
        command(
            "opening",
            address="plant/v1/cmd/opening",
            unit="%",
            hard=(0, 100),
            readback=[value_of(V1, "opening")],
        ),
        model(
            "hydraulics",
            "valve",
            parameters={"kv": 60.0},
            reads=value_of(V1, "opening"),
            writes=value_of(V1, "opening"),
            outlet=END,
        ),
    )


def tank(line: str = "line") -> str:
    return prim(
        "T1",
        own("T1", line),
        telemetry("level", address="plant/t1/level", unit="m", hard=(0, 3), deadband=0.002),
        telemetry("volume", address="plant/t1/volume", unit="m3", hard=(0, 12)),
        telemetry("low_level_clear", "bool", "plant/t1/low"),
        telemetry("note", "string", "plant/t1/note"),
        command("agitate", "bool", "plant/t1/cmd/agitate"),
        model(
            "hydraulics",
            "tank",
            parameters={"volume": 12.0, "height": 3.0},
            reads=value_of(T1, "level"),
            writes=[value_of(T1, "level"), value_of(T1, "volume")],
        ),
    )


def end() -> str:
    return prim("End", own("End"), model("hydraulics", "reservoir"))


def line_text(*others: str, pumped: str | None = None, lines: str = connection()) -> str:
    """A stage with the line, and others below it."""
    parts = (tank(), pump() if pumped is None else pumped, valve(), end(), *others)
    return HEADER + lines + prim("World", prim("Line1", *parts))


def park_of(text: str, seed: int = 1, **options: object) -> tuple[MachinePark, BindingTable]:
    stage = stage_of(text)
    table = read_bindings(stage)
    assert [str(problem) for problem in table.problems] == []
    park = MachinePark.of_stage(stage, table, seed, whole=table, **options)  # type: ignore[arg-type]
    assert park.modelled is not None
    assert [str(problem) for problem in park.modelled.physics.plant.problems] == []
    assert park.modelled.physics.failed == ""
    return park, table


def said(park: MachinePark, table: BindingTable) -> dict[str, object]:
    """Return what the sensors say, by `Prim.signal`."""
    paths = [b.path.removeprefix(f"{LINE}/") for b in table.telemetry.values()]
    return dict(zip(paths, park.values(), strict=True))
