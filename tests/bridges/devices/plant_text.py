"""A small plant for the devices: one line with a tank, a pump and a valve, and a turbine."""

from __future__ import annotations

from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry
from tests.stages.pumping import pump_commands, value_of

__all__ = ["MQTT_PLANT", "OPC_PLANT", "P1", "T1", "V1", "WT1"]

P1, V1, T1, WT1 = "/World/Line1/P1", "/World/Line1/V1", "/World/Line1/T1", "/World/WT1"
URI = "nsu=urn:plant;s="


def _pump() -> str:
    return prim(
        "P1",
        asset("p1", level="twin", connection="line"),
        telemetry("running", "bool", "plant/p1/running"),
        telemetry("ready", "bool", "plant/p1/ready"),
        telemetry("flow", address="plant/p1/flow", unit="m3/h", hard=(0, 120), soft=(0, 95)),
        telemetry(
            "discharge_pressure",
            address="plant/p1/discharge_pressure",
            unit="bar",
            hard=(-1, 16),
            soft=(0, 10),
        ),
        telemetry("speed", address="plant/p1/speed", unit="1/min", hard=(0, 3600), soft=(0, 3000)),
        *pump_commands(P1, "plant/p1"),
    )


def _valve() -> str:
    return prim(
        "V1",
        asset("v1", level="twin", connection="line"),
        telemetry("opening", address="plant/v1/opening", unit="%", hard=(0, 100), scale=100.0),
        command(
            "opening",
            address="plant/v1/cmd/opening",
            field="to",
            unit="%",
            hard=(0, 100),
            scale=100.0,
            readback=[value_of(V1, "opening")],
        ),
    )


def _tank() -> str:
    return prim(
        "T1",
        asset("t1", level="twin", connection="line"),
        telemetry("level", address="plant/t1/level", unit="m", hard=(0, 3)),
        telemetry("volume", address="plant/t1/volume", unit="m3", hard=(0, 12)),
        telemetry("note", "string", "plant/t1/note"),
        command("agitate", "bool", "plant/t1/cmd/agitate"),
    )


def _turbine() -> str:
    node = URI + "wt1."
    return prim(
        "WT1",
        asset("wt1", level="twin", connection="plc"),
        telemetry("power", address=node + "power", unit="kW", hard=(-5, 120), soft=(0, 100)),
        telemetry("wind_speed", "float", node + "wind_speed", unit="m/s", hard=(0, 60)),
        telemetry("rotor_speed", address=node + "rotor_speed", unit="1/min", hard=(0, 60)),
        telemetry("state", "token", node + "state"),
        telemetry("running", "bool", node + "running"),
        telemetry("grid_ok", "bool", node + "grid_ok"),
        command(
            "power_limit",
            address=node + "power_limit",
            unit="kW",
            hard=(0, 100),
            permissives=[value_of(WT1, "grid_ok")],
            readback=[value_of(WT1, "power")],
        ),
        command(
            "run",
            "bool",
            f"{URI}wt1 {node}run",
            operation="method",
            readback=[value_of(WT1, "running")],
        ),
    )


def _world(*bodies: str) -> str:
    return HEADER + prim("World", *bodies)


MQTT_PLANT = _world(
    connection("line", "mqtt://127.0.0.1:1"), prim("Line1", _tank(), _pump(), _valve())
)
OPC_PLANT = _world(connection("plc", "opc.tcp://127.0.0.1:1"), _turbine())
