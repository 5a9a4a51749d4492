"""A service with the real simulator: a rehearsal sees an overflow, and a worn pump is an alarm."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.stages.alarms.watched import alarm
from tests.stages.plants import HEADER, asset, command, connection, full_path, prim, telemetry
from tests.stages.simulation.conftest import Served, run_service
from tests.stages.simulation.modelled import model

FLOW, SPEED = full_path("/Plant/P.flow"), full_path("/Plant/P.speed")
LEVEL = full_path("/Plant/T.level")


def plant_text(line: str) -> str:
    drive = command(
        "drive",
        address="set",
        readback=SPEED,
        hard=(0, 3000),
        unit="1/min",
        approval="none",
        expiry=200.0,
        settleTime=2.0,
        rehearsal="required",
        rehearsalHorizon=600.0,
        rehearsalBudget=90.0,
    )
    pump = prim(
        "P",
        asset("p", level="twin", roles=["operator"]),
        telemetry("speed", address="speed", unit="1/min", staleAfter=600.0),
        telemetry("flow", address="flow", unit="m3/h", staleAfter=600.0),
        drive,
        model(
            "h", "pump", reads=[SPEED], writes=[FLOW], inlet="/Plant/R", outlet="/Plant/T",
            parameters={"check": 1.0},
        ),
    )  # fmt: skip
    tank = prim(
        "T",
        asset("t"),
        telemetry("level", address="level", unit="m", hard=(0, 2.9), staleAfter=600.0),
        model("h", "tank", reads=[LEVEL], writes=[LEVEL], parameters={"volume": 10.0}),
    )
    reservoir = prim("R", asset("r", level="model"), model("h", "reservoir"))
    plant = prim("Plant", asset(connection="line"), pump, tank, reservoir)
    return HEADER + connection("line", f"soft://{line}") + plant


async def settled(s: Served) -> None:
    """Wait until the models have run for long enough to be believed."""
    beside = s.service.simulation.beside
    assert beside is not None
    await s.until(lambda: beside.health is not None and beside.health.time > 1.5, timeout=60)


@pytest.mark.timeout(400)
def test_an_overflow_is_seen_before_it_happens(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        s.send("speed", 1450.0)
        s.send("level", 1.5)
        s.send("flow", 20.0)
        expected = full_path("/Plant/P.flow", "predicted")
        # Kernels that nobody has compiled on this machine yet take their time.
        await s.until(lambda: (s.get(expected) or 0.0) > 5.0, timeout=180)
        assert s.get(full_path("/Plant/T.level", "predicted")) == pytest.approx(1.5, abs=0.3)
        assert s.get("/Plant/P.twin:model:h:out:head") > 0.5
        rows = (await s.ask(op="models"))["models"]
        assert {row["path"]: row["state"] for row in rows} == dict.fromkeys(
            ("/Plant/P.h", "/Plant/T.h", "/Plant/R.h"), "running"
        )
        ahead = s.service.simulation.ahead
        assert ahead is not None
        await s.until(lambda: ahead.table is not None, timeout=180)
        await settled(s)

        row = await s.publish(2900.0, timeout=180)
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        assert "/Plant/T.level" in row["cause"]
        assert "2.9 m" in row["cause"]
        (first, *_) = row["rehearsal"]["evidence"]["violations"]
        assert (first["signal"], first["limit"]) == ("/Plant/T.level", 2.9)
        # From 1.5 to 2.9 m of a cross-section of 10/3 m2, at some 0.02 m3/s.
        assert 100 < first["time"] < 500

        row = await s.publish(0.0, until="SENT", timeout=180)
        rehearsed = next(each for each in row["history"] if each["state"] == "REHEARSED")
        assert rehearsed["cause"].startswith("its rehearsal held")

    run_service(tmp_path, scenario, plant_text(tmp_path.name))


DRIFT_HEAD = "/Plant/P.twin:model:curve:out:drift_rated_head"
RATIO = "/Plant/P.twin:model:monitor:out:efficiency_ratio"
PRESSURES = [full_path(f"/Plant/P.{end}_pressure") for end in ("suction", "discharge")]
POWER = full_path("/Plant/P.power")
CURVE = "".join(
    f'double twin:model:curve:param:{name} = {value} (customData = {{ string unit = "{unit}" }})\n'
    for name, value, unit in (
        ("rated_flow", 50.0, "m3/h"),
        ("rated_head", 32.0, "m"),
        ("rated_speed", 2850.0, "1/min"),
    )
)


def worn_text(line: str) -> str:
    pump = prim(
        "P",
        asset("p"),
        telemetry("speed", address="speed", unit="1/min", staleAfter=600.0),
        telemetry("flow", address="flow", unit="m3/h", staleAfter=600.0),
        telemetry("head", address="head", unit="m", hard=(0, 100), staleAfter=600.0),
        telemetry("suction_pressure", address="suction", unit="bar", staleAfter=600.0),
        telemetry("discharge_pressure", address="discharge", unit="bar", staleAfter=600.0),
        telemetry("power", address="power", unit="kW", staleAfter=600.0),
        model(
            "curve",
            "pump-curve",
            reads=[SPEED, FLOW],
            writes=[full_path("/Plant/P.head")],
            more=f"{CURVE}double twin:model:curve:track:rated_head = 0.2",
        ),
        alarm("worn", DRIFT_HEAD, kind="model", side="low", limit=-0.08, hysteresis=0.02,
              priority="medium", message="gives less head than it did",
              advice="look at the impeller and its rings"),
        model("monitor", "pump-monitor", reads=[FLOW, SPEED, POWER, *PRESSURES]),
        alarm("efficiency_low", RATIO, kind="model", side="low", limit=0.9, hysteresis=0.02,
              priority="low", message="takes more power than it should",
              advice="look for wear, and at the strainer"),
    )  # fmt: skip
    plant = prim("Plant", asset(connection="line"), pump)
    return HEADER + connection("line", f"soft://{line}") + plant


@pytest.mark.timeout(400)
def test_a_pump_that_wears_is_an_alarm_with_cause_and_advice(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        head = 40.0 - 8.0 * (40.0 / 50.0) ** 2  # of the curve below at 40 m3/h
        s.send("speed", 2850.0)
        s.send("flow", 40.0)
        s.send("suction", 0.2)
        s.send("power", 5.9)  # 3.8 kW hydraulic, at 0.64 of pump and motor

        def lift(head: float) -> None:
            s.send("head", head)
            s.send("discharge", 0.2 + 998.2 * 9.80665 * head / 1e5)

        lift(head)
        await s.until(lambda: s.get(DRIFT_HEAD) is not None, timeout=180)
        assert s.get(DRIFT_HEAD) == pytest.approx(0.0, abs=0.02)
        await s.until(lambda: 0.95 < (s.get(RATIO) or 0.0) < 1.0)  # below one where nobody judged
        rows = (await s.ask(op="alarms", show="all"))["alarms"]
        names = ("/Plant/P.efficiency_low", "/Plant/P.worn")
        assert {row["id"]: row["state"] for row in rows} == dict.fromkeys(names, "NORMAL")
        for step in range(1, 19):  # slowly, as wear does: what jumps is an outlier for a while
            lift(head * (1 - 0.01 * step))
            await asyncio.sleep(0.25)

        async def raised() -> Any:
            found = (await s.ask(op="alarms"))["alarms"]
            return next((row for row in found if row["id"] == "/Plant/P.worn"), None)

        async with asyncio.timeout(120):
            while (row := await raised()) is None:
                await asyncio.sleep(0.1)
        assert (row["id"], row["state"], row["kind"]) == ("/Plant/P.worn", "UNACK", "model")
        assert row["value"] < -0.08
        assert "says its model" in row["cause"]
        assert row["advice"] == "look at the impeller and its rings"
        said = "/Plant/P.twin:alarm:efficiency_low"
        await s.until(lambda: s.get(f"{said}:state") == "UNACK")
        assert s.get(RATIO) < 0.9
        assert "below 0.9" in s.get(f"{said}:cause")
        assert s.get(f"{said}:advice") == "look for wear, and at the strainer"
        full = (await s.ask(op="model", model="/Plant/P.curve"))["model"]
        given = {each["port"]: each["value"] for each in full["outputs"]}
        assert given["tracked_rated_head"] == pytest.approx(32.0 * (1 + row["value"]), rel=0.05)

    run_service(tmp_path, scenario, worn_text(tmp_path.name))
