"""A service with the real simulator: a pump fills a tank, and a rehearsal sees it overflow."""

from __future__ import annotations

from pathlib import Path

import pytest

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
