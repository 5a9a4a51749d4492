"""Conditioning: scale, type, limits and order of time, judged over columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.hub import Hub
from stagetwin.hub._condition import late_rows
from stagetwin.hub._latest import Latest
from stagetwin.ports import Reject
from stagetwin.signals import SampleBuffer, Samples, Status, empty_samples, quality_of
from tests.stages.conftest import MakePlant
from tests.stages.plants import plant, prim, table_of, telemetry

NAN = math.nan


def hub_of(*signals: Any) -> Hub:
    """A hub bound to the signals of one prim, channel by channel in their order."""
    from stagetwin.clock import ManualClock

    table = table_of(plant(prim("P1", *signals)))
    assert table.problems == []
    hub = Hub(ManualClock())
    hub.bind(table.telemetry, len(table.telemetry))
    return hub


def verdict(hub: Hub, wire: Any, channel: int = 0) -> tuple[Any, str]:
    """Send one value; return what is held then, and why it was rejected."""
    before = hub.rejections.counts()
    hub.submit(Samples.of([channel], [wire], receive_time=1.0))
    hub.drain()
    new = [k[1] for k, n in hub.rejections.counts().items() if n != before.get(k, 0)]
    held = hub.latest.objects[channel]
    value = held if held is not None else float(hub.latest.value[channel])
    return value, "".join(new)


def test_scale_then_offset() -> None:
    hub = hub_of(telemetry("s", address="a", scale=0.1, offset=-40.0))
    assert verdict(hub, 800) == (40.0, "")


def test_a_scaled_integer_is_rounded_and_another_must_be_whole() -> None:
    assert verdict(hub_of(telemetry("s", "int", "a", scale=0.1)), 15) == (2.0, "")
    plain = hub_of(telemetry("s", "int", "a"), telemetry("t", "double", "b", scale=2.0))
    assert verdict(plain, 1.5)[1] == Reject.TYPE_MISMATCH
    assert verdict(plain, 3) == (3.0, "")


@pytest.mark.parametrize("wire", [0, 1, 0.0, True])
def test_a_boolean_is_nought_or_one(wire: Any) -> None:
    assert verdict(hub_of(telemetry("s", "bool", "a")), wire) == (float(wire), "")


@pytest.mark.parametrize(
    ("type_name", "wire", "reason"),
    [
        ("double", NAN, Reject.NOT_FINITE),
        ("double", math.inf, Reject.NOT_FINITE),
        ("double", "fast", Reject.TYPE_MISMATCH),
        ("double", None, Reject.TYPE_MISMATCH),
        ("double", [1.0], Reject.TYPE_MISMATCH),
        ("double", 10**400, Reject.OUT_OF_RANGE),
        ("float", 1e39, Reject.OUT_OF_RANGE),
        ("half", 1e5, Reject.OUT_OF_RANGE),
        ("uchar", 256, Reject.OUT_OF_RANGE),
        ("uint", -1, Reject.OUT_OF_RANGE),
        ("int", 2.0**31, Reject.OUT_OF_RANGE),
        ("int64", 2.0**63, Reject.OUT_OF_RANGE),
        ("int64", 2**63, Reject.OUT_OF_RANGE),
        ("uint64", 2.0**64, Reject.OUT_OF_RANGE),
        ("uint64", 2**64, Reject.OUT_OF_RANGE),
        ("bool", 2, Reject.TYPE_MISMATCH),
        ("bool", 0.5, Reject.TYPE_MISMATCH),
        ("string", 5, Reject.TYPE_MISMATCH),
        ("string", "\ud800", Reject.TYPE_MISMATCH),
        ("float3", 5.0, Reject.TYPE_MISMATCH),
        ("float3", [1, 2], Reject.TYPE_MISMATCH),
        ("float3", [1, 2, 1e39], Reject.OUT_OF_RANGE),
    ],
)
def test_what_the_type_cannot_hold_is_refused_by_cause(
    type_name: str, wire: Any, reason: Reject
) -> None:
    hub = hub_of(telemetry("s", type_name, "a"))
    assert verdict(hub, wire)[1] == reason
    assert not hub.latest.arrived[0]
    (examples,) = hub.rejections.examples().values()
    assert "/Plant/P1.s at a" in examples[0]
    assert f"a {type_name} in [" in examples[0]


@pytest.mark.parametrize("type_name", ["double", "float", "half", "int", "uchar", "bool"])
def test_a_scalar_that_came_as_an_object_is_a_scalar(type_name: str) -> None:
    """A bridge that hands over what it decoded need not know our columns."""
    hub = hub_of(telemetry("s", type_name, "a"))
    buffer = SampleBuffer()
    buffer.add_object(0, 1, NAN, 1.0)
    hub.submit(buffer.take() or empty_samples())
    hub.drain()
    assert hub.latest.value[0] == 1.0
    assert hub.latest.objects[0] is None
    verdict(hub, 1)
    assert (hub.fates.applied, hub.fates.unchanged) == (1, 1)


def test_an_integer_beyond_floats_reaches_a_double_as_the_nearest() -> None:
    assert verdict(hub_of(telemetry("s", "double", "a")), 2**53 + 1) == (float(2**53), "")
    scaled = hub_of(telemetry("s", "double", "a", scale=1e-9))
    assert verdict(scaled, 1_700_000_000_123_456_789)[0] == pytest.approx(1_700_000_000.123456789)


@pytest.mark.parametrize("type_name", ["int64", "uint64"])
def test_an_integer_beyond_floats_is_exact_and_compared_exactly(type_name: str) -> None:
    hub = hub_of(telemetry("s", type_name, "a"))
    assert verdict(hub, 2**53 + 1) == (2**53 + 1, "")
    assert verdict(hub, 2**53 + 3) == (2**53 + 3, "")
    verdict(hub, 2**53 + 3)
    assert (hub.fates.applied, hub.fates.unchanged) == (2, 1)
    assert verdict(hub, 7) == (7.0, "")
    assert verdict(hub, 2**62) == (2**62, "")
    assert hub.fates.balanced()


def test_a_scale_that_overflows_is_refused() -> None:
    hub = hub_of(telemetry("s", address="a", scale=1e10))
    assert verdict(hub, 1e308)[1] == Reject.NOT_FINITE


def test_limits_are_in_the_stages_unit_and_inclusive() -> None:
    hub = hub_of(telemetry("s", address="a", scale=0.1, hard=(0, 10)))
    assert verdict(hub, 100) == (10.0, "")
    assert verdict(hub, 100.1) == (10.0, Reject.OUT_OF_RANGE)
    assert verdict(hub, -0.1) == (10.0, Reject.OUT_OF_RANGE)
    assert hub.latest.status[0] == Status.BAD_OUT_OF_RANGE
    (examples,) = hub.rejections.examples().values()
    assert "10.01 is outside [0, 10]" in examples[0]


def test_a_hard_limit_holds_for_every_component_and_for_big_integers() -> None:
    assert (
        verdict(hub_of(telemetry("s", "double3", "a", hard=(0, 10))), [1, 2, 11])[1]
        == "out_of_range"
    )
    assert verdict(hub_of(telemetry("s", "int64", "a", hard=(0, 10))), 2**60)[1] == "out_of_range"


def test_only_a_change_beyond_the_deadband_is_written_and_it_does_not_creep() -> None:
    hub = hub_of(telemetry("s", address="a", deadband=1.0))
    held = [verdict(hub, wire)[0] for wire in (0.0, 0.5, 0.9, 0.99, 1.0, 0.2, 0.0)]
    assert held == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0]
    assert (hub.fates.applied, hub.fates.deadband) == (3, 4)


@given(st.lists(st.floats(-100, 100), max_size=40), st.floats(0.1, 20))
def test_what_is_held_is_never_a_deadband_away_from_what_was_sent(
    sent: list[float], deadband: float
) -> None:
    hub = hub_of(telemetry("s", address="a", deadband=deadband))
    for wire in sent:
        held, _ = verdict(hub, wire)
        assert held == wire or abs(held - wire) < deadband


@given(st.lists(st.integers(0, 2**32 - 1), max_size=8))
def test_quality_is_the_severity_of_a_status(codes: list[int]) -> None:
    found = quality_of(np.array(codes, np.uint32)).tolist()
    assert found == [min(code >> 30, 2) for code in codes]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([NAN, 1.0, 2.0, 3.0, 4.0, 5.0])), max_size=30
    ),
    st.lists(st.sampled_from([NAN, 2.0, 3.5]), min_size=4, max_size=4),
)
def test_late_rows_are_those_a_naive_walk_finds(
    rows: list[tuple[int, float]], newest: list[float]
) -> None:
    """Late: older than a sample of the same channel that was accepted or came before it."""
    latest = Latest()
    latest.grow(4)
    latest.source_time[:] = newest
    batch = Samples.of(
        [c for c, _ in rows],
        [0.0] * len(rows),
        receive_time=0.0,
        source_time=[t for _, t in rows],
    )
    high = dict(enumerate(newest))
    expected = []
    for channel, time in rows:
        expected.append(time < high[channel])
        if time == time and not time < high[channel]:
            high[channel] = time
    assert late_rows(batch, latest.source_time).tolist() == expected


def test_the_order_of_time_counts_per_channel(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("a", address="a"), telemetry("b", address="b"))))
    twin.send("a", 1.0, source_time=100.0)
    twin.send("b", 2.0, source_time=50.0)
    twin.tick()
    assert (twin.get("/Plant/P1.a"), twin.get("/Plant/P1.b")) == (1.0, 2.0)
    assert twin.twin.hub.fates.late == 0


def test_limits_of_a_vector_may_differ_by_component(live: MakePlant) -> None:
    text = """(
        limits = {
            dictionary hard = {
                double3 minimum = (0, -10, 0)
                double3 maximum = (100, 10, 3)
            }
            dictionary soft = {
                double3 maximum = (90, 10, 3)
            }
        }
    )"""
    signal = telemetry("pos", "double3", "pos")
    body = signal.text.replace("twin:telemetry:pos:value ", f"twin:telemetry:pos:value {text}")
    twin = live(plant(prim("P1", signal._replace(text=body))))
    assert twin.codes() == []
    for wire, quality in (
        ([50, 10, 3], "good"),
        ([95, 0, 0], "uncertain"),
        ([50, 11, 0], "bad"),
        ([50, 0, -1], "bad"),
    ):
        twin.tell("pos", wire)
        assert twin.quality("/Plant/P1.pos") == quality
    assert tuple(twin.get("/Plant/P1.pos")) == (95, 0, 0)
