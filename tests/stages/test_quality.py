"""Quality: what is said of a value, by the source and by the service's own judgement of age."""

from __future__ import annotations

import math
from typing import Any

import pytest

from stagetwin.signals import Status
from tests.stages.conftest import MakePlant
from tests.stages.plants import Plant, asset, command, plant, prim, telemetry

FLOW = "/Plant/P1.flow"
STATUS = "/Plant/P1.twin:telemetry:flow:status"
TIME = "/Plant/P1.twin:telemetry:flow:time"


@pytest.fixture
def pump(live: MakePlant) -> Plant:
    twin = live(plant(prim("P1", telemetry("flow", address="flow", soft=(10, 90), hard=(0, 100)))))
    online(twin)
    return twin


def online(twin: Plant, stands: bool = True) -> None:
    twin.twin.hub.connection_online("line", stands)


def seen(twin: Plant) -> tuple[Any, Any]:
    return twin.get(FLOW), twin.quality(FLOW)


def test_a_signal_is_stale_before_its_first_value_and_has_none(pump: Plant) -> None:
    assert seen(pump) == (None, "stale")
    assert pump.get(TIME) is None
    pump.tick()
    assert pump.get(STATUS) == Status.BAD_NO_COMMUNICATION


def test_a_received_value_is_good_and_carries_the_devices_time(pump: Plant) -> None:
    when = pump.clock.now - 2.5
    pump.tell("flow", 50.0, source_time=when)
    assert seen(pump) == (50.0, "good")
    assert (pump.get(TIME), pump.get(STATUS)) == (when, 0)


def test_without_a_devices_time_the_receive_time_is_shown(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    index = pump.index(FLOW)
    assert pump.get(TIME) == pump.twin.hub.latest.receive_time[index] > 1e9


def test_silence_makes_stale_and_a_value_makes_good_again(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.tick(10.0)
    assert seen(pump) == (50.0, "good"), "the tenth second still counts"
    pump.tick(0.1)
    assert seen(pump) == (50.0, "stale")
    pump.tell("flow", 50.0)
    assert seen(pump) == (50.0, "good")


def test_stale_after_is_the_signals_own_and_infinite_means_never(live: MakePlant) -> None:
    signals = [
        telemetry("fast", address="fast", staleAfter=1.0),
        telemetry("slow", address="slow", staleAfter=math.inf),
    ]
    twin = live(plant(prim("P1", *signals)))
    twin.send("fast", 1.0)
    twin.tell("slow", 1.0)
    twin.tick(2.0)
    assert (twin.quality("/Plant/P1.fast"), twin.quality("/Plant/P1.slow")) == ("stale", "good")
    twin.tick(1e9)
    assert twin.quality("/Plant/P1.slow") == "good"


def test_a_vouched_device_that_reports_changes_only_does_not_go_stale(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.sinks["line"].vouch([pump.index(FLOW)], True)
    for _ in range(10):
        pump.tick(60.0)
        assert seen(pump) == (50.0, "good")


def test_word_of_a_device_counts_only_while_the_connection_stands(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.sinks["line"].vouch([pump.index(FLOW)], True)
    pump.tick(60.0)
    online(pump, False)
    pump.tick(9.0)
    assert pump.quality(FLOW) == "good"
    pump.tick(2.0)
    assert seen(pump) == (50.0, "stale")
    online(pump)
    pump.sinks["line"].vouch([pump.index(FLOW)], True)
    pump.tick()
    assert seen(pump) == (50.0, "stale"), "it may have changed while nobody listened"
    pump.tell("flow", 50.0)
    pump.tick(60.0)
    assert seen(pump) == (50.0, "good")


def test_a_device_that_says_goodbye_is_stale_at_once_until_it_speaks(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.sinks["line"].vouch([pump.index(FLOW)], False)
    pump.tick()
    assert seen(pump) == (50.0, "stale")
    pump.tell("flow", 51.0)
    assert seen(pump) == (51.0, "good")


def test_a_vouched_device_that_never_sent_a_value_stays_stale(pump: Plant) -> None:
    pump.sinks["line"].vouch([pump.index(FLOW)], True)
    pump.tick()
    assert seen(pump) == (None, "stale")


def test_a_retained_value_is_uncertain_until_a_live_one_comes(pump: Plant) -> None:
    pump.tell("flow", 50.0, status=Status.UNCERTAIN_INITIAL_VALUE)
    assert seen(pump) == (50.0, "uncertain")
    assert pump.get(STATUS) == Status.UNCERTAIN_INITIAL_VALUE
    pump.tell("flow", 50.0)
    assert seen(pump) == (50.0, "good")


@pytest.mark.parametrize("wire", [9.9, 90.1])
def test_beyond_a_soft_limit_is_shown_and_uncertain(pump: Plant, wire: float) -> None:
    pump.tell("flow", wire)
    assert seen(pump) == (wire, "uncertain")
    assert pump.get(STATUS) == Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED
    pump.tell("flow", 50.0)
    assert seen(pump) == (50.0, "good")


def test_a_soft_limit_does_not_hide_what_the_source_says(pump: Plant) -> None:
    pump.tell("flow", 95.0, status=Status.UNCERTAIN_INITIAL_VALUE)
    assert pump.get(STATUS) == Status.UNCERTAIN_INITIAL_VALUE


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (101.0, Status.BAD_OUT_OF_RANGE),
        (math.nan, Status.BAD_OUT_OF_RANGE),
        ("fast", Status.BAD_TYPE_MISMATCH),
    ],
)
def test_a_bad_value_leaves_the_last_good_one_marked_bad(
    pump: Plant, wire: Any, status: Status
) -> None:
    now = pump.clock.now
    pump.tell("flow", 50.0, source_time=now - 3)
    pump.tell("flow", wire, source_time=now - 2)
    assert seen(pump) == (50.0, "bad")
    assert (pump.get(STATUS), pump.get(TIME)) == (status, now - 3)
    pump.tell("flow", 51.0, source_time=now - 1)
    assert seen(pump) == (51.0, "good")


def test_a_source_that_says_bad_is_believed_and_its_value_is_not_shown(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.tell("flow", 0.0, status=Status.BAD_DEVICE_FAILURE)
    assert seen(pump) == (50.0, "bad")
    assert pump.get(STATUS) == Status.BAD_DEVICE_FAILURE


def test_the_raw_status_is_kept_even_where_the_quality_is_the_same(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.tell("flow", 50.0, status=0x00DA0000)
    assert (pump.quality(FLOW), pump.get(STATUS)) == ("good", 0x00DA0000)


def test_a_wall_clock_set_back_makes_nothing_fresh_or_stale(pump: Plant) -> None:
    pump.tell("flow", 50.0)
    pump.clock.now -= 86_400
    pump.tick(5.0)
    assert pump.quality(FLOW) == "good"
    pump.tick(6.0)
    assert pump.quality(FLOW) == "stale"


def test_telemetry_never_authors_desired(live: MakePlant) -> None:
    twin = live(
        plant(prim("P1", asset(), telemetry("flow", address="a"), command("flow", address="a")))
    )
    twin.tell("a", 1.0)
    desired = twin.attr("/Plant/P1.twin:command:flow:desired")
    assert desired.Get() is None
    assert twin.twin.layers.desired.empty


def test_a_devices_old_value_is_shown_and_uncertain(pump: Plant) -> None:
    pump.tell("flow", 50.0, source_time=pump.clock.now - 3600)
    assert seen(pump) == (50.0, "uncertain")
    pump.tell("flow", 50.0, source_time=pump.clock.now)
    assert seen(pump) == (50.0, "good")
