"""Redundancy: several signals, one property; the best of them drives it."""

from __future__ import annotations

import pytest

from stagetwin.signals import Status
from tests.stages.conftest import MakePlant
from tests.stages.plants import Plant, asset, plant, prim, telemetry


@pytest.fixture
def pump(live: MakePlant) -> Plant:
    signals = [
        telemetry(
            name,
            address=name,
            target="/Plant/P1.rpm",
            redundancyGroup="rpm",
            staleAfter=5.0,
        )
        for name in ("b", "a", "c")
    ]
    return live(plant(prim("P1", asset(), "double rpm = -1", *signals)))


def rpm(twin: Plant) -> float:
    value: float = twin.get("/Plant/P1.rpm")
    return value


def test_the_first_by_name_drives_among_equals(pump: Plant) -> None:
    pump.tell("b", 2.0)
    assert rpm(pump) == 2.0
    pump.tell("a", 1.0)
    assert rpm(pump) == 1.0
    pump.tell("b", 2.5)
    assert rpm(pump) == 1.0


def test_a_better_one_takes_over_and_hands_back(pump: Plant) -> None:
    for name, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        pump.send(name, value)
    pump.tick()
    assert rpm(pump) == 1.0
    pump.tell("a", 0.0, status=Status.BAD_DEVICE_FAILURE)
    assert rpm(pump) == 2.0, "the standby's value counts though it did not change now"
    pump.tell("b", 2.0, status=Status.UNCERTAIN_INITIAL_VALUE)
    assert rpm(pump) == 3.0
    pump.tell("a", 1.0)
    assert rpm(pump) == 1.0


def test_silence_of_the_one_that_drives_is_noticed(pump: Plant) -> None:
    pump.tell("a", 1.0)
    pump.clock.advance(4)
    pump.tell("b", 2.0)
    assert rpm(pump) == 1.0
    pump.tick(2.0)
    assert rpm(pump) == 2.0


def test_each_signal_keeps_a_quality_of_its_own(pump: Plant) -> None:
    pump.tell("a", 1.0)
    pump.tell("b", 2.0, status=Status.UNCERTAIN_INITIAL_VALUE)
    qualities = [pump.get(f"/Plant/P1.twin:telemetry:{n}:quality") for n in "abc"]
    assert qualities == ["good", "uncertain", "stale"]
    assert pump.twin.hub.fates.balanced()


def test_groups_of_one_name_on_two_assets_are_two_groups(live: MakePlant) -> None:
    def pair(name: str) -> str:
        signals = [
            telemetry(n, address=f"{name}/{n}", target=f"/Plant/{name}.rpm", redundancyGroup="rpm")
            for n in "ab"
        ]
        return prim(name, asset(), "double rpm = 0", *signals)

    twin = live(plant(pair("P1"), pair("P2")))
    assert twin.codes() == []
    twin.send("P1/a", 1.0)
    twin.tell("P2/b", 2.0)
    assert (twin.get("/Plant/P1.rpm"), twin.get("/Plant/P2.rpm")) == (1.0, 2.0)


def test_when_the_driving_signal_is_removed_the_other_takes_over(pump: Plant) -> None:
    pump.send("a", 1.0)
    pump.tell("b", 2.0)
    prim_at = pump.stage.GetPrimAtPath("/Plant/P1")
    prim_at.RemoveAppliedSchema("TwinTelemetryAPI:a")
    pump.twin.sync_structure()
    pump.tick()
    assert rpm(pump) == 2.0
