"""The hub: every sample has exactly one fate, and each is counted."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.clock import ManualClock
from stagetwin.hub import Hub
from stagetwin.ports import Reject
from stagetwin.signals import Quality, SampleBuffer, Samples, Status, empty_samples
from tests.stages.conftest import MakePlant
from tests.stages.plants import HEADER, connection, plant, prim, table_of, telemetry

NAN = math.nan

SIGNALS = [
    telemetry("plain", address="a"),
    telemetry("scaled", "float", "b", scale=0.5, offset=3.0, hard=(-10, 10), soft=(-5, 5)),
    telemetry("dead", address="c", deadband=0.5),
    telemetry("count", "int64", "d"),
    telemetry("on", "bool", "e", connection="spare"),
    telemetry("text", "string", "f", connection="spare"),
    telemetry("pose", "double3", "g"),
    telemetry("list", "int[]", "h"),
]
TABLE = table_of(
    HEADER
    + connection("line")
    + connection("spare")
    + prim("P1", 'uniform token twin:connection = "line"', *SIGNALS)
)
SIZE = len(SIGNALS)
PATIENT = telemetry("mode", address="m", staleAfter=math.inf)


def new_hub() -> tuple[Hub, ManualClock]:
    clock = ManualClock()
    hub = Hub(clock)
    hub.bind(TABLE.telemetry, SIZE)
    return hub, clock


VALUES = st.one_of(
    st.floats(-20, 20),
    st.integers(-3, 3),
    st.sampled_from([0, 1, NAN, math.inf, -math.inf, 1e308, 2.0**63, 2**53 + 1, 2**63, -(2**63)]),
    st.sampled_from(["on", "", "\ud800", None, [], [1, 2, 3], [1, 2], {"x": 1}, b"raw", 10**400]),
)
ROW = st.tuples(
    st.integers(0, SIZE + 2),  # the last ones are bound to nothing
    VALUES,
    st.sampled_from([NAN, 1.0, 2.0, 3.0, 4.0]),
    st.sampled_from([0, 0, 0, 0x40000000, 0x40920000, 0x80000000, 0xC0000000]),
)
STEP = st.tuples(
    st.lists(st.lists(ROW, max_size=12), max_size=3), st.sampled_from([0.0, 1.0, 30.0])
)


def batch_of(rows: list[tuple[int, Any, float, int]]) -> Samples:
    if not rows:
        return empty_samples()
    channel, value, source, status = zip(*rows, strict=True)
    return Samples.of(channel, value, receive_time=NAN, source_time=source, status=status)


@settings(max_examples=150)
@given(st.lists(STEP, max_size=5))
def test_every_sample_has_exactly_one_fate(steps: list[Any]) -> None:
    hub, clock = new_hub()
    sent = 0
    for batches, pause in steps:
        for rows in batches:
            hub.submit(batch_of(rows))
            sent += len(rows)
        clock.advance(pause)
        changes = hub.drain()
        assert hub.fates.received == sent
        assert hub.fates.balanced(), hub.fates
        assert hub.fates.rejected == hub.rejections.total()
        assert hub.fates.late == hub.rejections.total(Reject.LATE)
        assert set(changes.value.tolist()) <= set(changes.time.tolist())
        for i in changes.value.tolist():
            held = hub.latest.objects[i]
            assert hub.latest.arrived[i]
            assert held is not None or math.isfinite(hub.latest.value[i])


@given(st.lists(ROW.filter(lambda row: row[0] < SIZE and row[3] == 0), max_size=20))
def test_what_is_held_is_the_last_good_value_however_it_was_batched(rows: list[Any]) -> None:
    """One batch, many batches in one tick, many ticks: the same end."""
    timeless = [(c, v, NAN, s) for c, v, _, s in rows if c != 2]
    ends = []
    for way in range(3):
        hub, _ = new_hub()
        if way == 0:
            hub.submit(batch_of(timeless))
        else:
            for row in timeless:
                hub.submit(batch_of([row]))
                if way == 2:
                    hub.drain()
        hub.drain()
        latest = hub.latest
        ends.append(
            (
                [None if v != v else v for v in latest.value.tolist()],
                latest.objects,
                latest.status.tolist(),
                latest.quality.tolist(),
                hub.rejections.counts(),
            )
        )
    assert ends[0] == ends[1] == ends[2]


def send(hub: Hub, channel: int, value: Any, source: float = NAN, status: int = 0) -> None:
    hub.submit(batch_of([(channel, value, source, status)]))
    hub.drain()


def test_a_value_overtaken_within_its_tick_is_superseded() -> None:
    hub, _ = new_hub()
    hub.submit(batch_of([(0, 1.0, NAN, 0), (0, 2.0, NAN, 0), (0, 3.0, NAN, 0)]))
    changes = hub.drain()
    assert changes.value.tolist() == [0]
    assert hub.latest.value[0] == 3.0
    assert (hub.fates.applied, hub.fates.superseded) == (1, 2)


def test_an_unchanged_value_is_not_written_again_but_its_time_is_new() -> None:
    hub, _ = new_hub()
    send(hub, 0, 1.0, 1.0)
    hub.submit(batch_of([(0, 1.0, 2.0, 0)]))
    changes = hub.drain()
    assert changes.value.tolist() == []
    assert changes.time.tolist() == [0]
    assert hub.fates.unchanged == 1


def test_text_and_arrays_are_compared_too() -> None:
    hub, _ = new_hub()
    for channel, value in ((5, "on"), (6, [1, 2, 3]), (7, [1, 2])):
        for _ in range(2):
            send(hub, channel, value)
    assert (hub.fates.applied, hub.fates.unchanged) == (3, 3)


def test_an_older_sample_never_becomes_the_live_value() -> None:
    hub, clock = new_hub()
    send(hub, 0, 1.0, 100.0)
    clock.advance(1)
    send(hub, 0, 2.0, 99.0)
    assert hub.latest.value[0] == 1.0
    assert (hub.fates.late, hub.rejections.counts()) == (1, {("line", "late"): 1})
    assert hub.latest.seen[0] == clock.steady() - 1, "the past tells nothing of now"


def test_the_same_time_is_not_late() -> None:
    hub, _ = new_hub()
    send(hub, 0, 1.0, 100.0)
    send(hub, 0, 2.0, 100.0)
    assert (hub.latest.value[0], hub.fates.late) == (2.0, 0)


def test_a_device_whose_clock_was_set_back_is_believed_after_a_while() -> None:
    hub, clock = new_hub()
    send(hub, 0, 1.0, 1000.0)
    for second in range(1, 11):
        clock.advance(1)
        send(hub, 0, 2.0, 100.0 + second)
    assert (hub.latest.value[0], hub.fates.late) == (1.0, 10)
    clock.advance(1)
    send(hub, 0, 3.0, 111.0)
    assert (hub.latest.value[0], hub.latest.source_time[0]) == (3.0, 111.0)
    send(hub, 0, 4.0, 112.0)
    assert (hub.latest.value[0], hub.fates.late) == (4.0, 10)
    assert hub.fates.balanced()


def test_within_one_batch_an_older_sample_is_late_even_the_first_time() -> None:
    """Nothing accepted before, or long ago, excuses the disorder within a batch."""
    hub, clock = new_hub()
    rows = [(0, 1.0, 10.0, 0), (0, 2.0, 5.0, 0), (1, 0.0, 7.0, 0)]
    hub.submit(batch_of(rows))
    hub.drain()
    assert (hub.latest.value[0], hub.fates.late) == (1.0, 1)
    clock.advance(100)
    hub.submit(batch_of([(0, 3.0, 4.0, 0), (0, 4.0, 3.0, 0)]))
    hub.drain()
    assert (hub.latest.value[0], hub.fates.late) == (3.0, 2)


def test_a_sample_of_a_channel_that_is_gone_is_retired_not_lost() -> None:
    hub, _ = new_hub()
    rest = {i: b for i, b in TABLE.telemetry.items() if i != 0}
    hub.bind(rest, SIZE)
    hub.submit(batch_of([(0, 1.0, NAN, 0), (1, 2.0, NAN, 0), (SIZE + 5, 1.0, NAN, 0)]))
    hub.drain()
    assert hub.rejections.counts() == {("", "retired"): 2}
    assert hub.latest.value[1] == 4.0
    assert hub.fates.balanced()


def test_a_hub_bound_to_nothing_retires_everything() -> None:
    hub = Hub(ManualClock())
    hub.submit(batch_of([(0, 1.0, NAN, 0)]))
    assert not hub.drain()
    assert hub.fates.balanced()
    assert hub.ages().tolist() == []


def test_a_channel_that_comes_back_shows_what_it_held() -> None:
    hub, _ = new_hub()
    send(hub, 0, 5.0)
    hub.bind({i: b for i, b in TABLE.telemetry.items() if i != 0}, SIZE)
    hub.drain()
    hub.bind(TABLE.telemetry, SIZE)
    changes = hub.drain()
    assert changes.value.tolist() == [0]
    assert 0 in changes.quality.tolist()


def test_a_vouched_channel_that_lost_all_its_company_does_not_stop_the_tick() -> None:
    hub, _ = new_hub()
    hub.connection_online("line", True)
    send(hub, 0, 5.0)
    hub.vouch([0, 999], True)
    hub.drain()
    hub.bind({}, SIZE)
    assert not hub.drain()


def test_rejections_are_counted_by_connection_with_the_newest_examples() -> None:
    hub, _ = new_hub()
    for n in range(8):
        send(hub, 5, n)
    send(hub, 0, NAN)
    assert hub.rejections.counts() == {("spare", "type_mismatch"): 8, ("line", "not_finite"): 1}
    examples = hub.rejections.examples()[("spare", "type_mismatch")]
    assert len(examples) == 5
    assert "got 7" in examples[-1]
    assert "/P1.text at f" in examples[-1]
    assert hub.rejections.total() == 9
    assert hub.rejections.total(Reject.NOT_FINITE, Reject.LATE) == 1


def test_any_thread_may_submit() -> None:
    hub, _ = new_hub()

    def feed() -> None:
        for n in range(200):
            hub.submit(batch_of([(0, float(n), NAN, 0)]))

    threads = [threading.Thread(target=feed) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        hub.drain()
    for thread in threads:
        thread.join()
    hub.drain()
    assert hub.fates.received == 800
    assert hub.fates.balanced()


def test_a_buffer_hands_over_the_samples_of_messages_as_rows() -> None:
    buffer = SampleBuffer()
    buffer.extend([0, 1, 2], [1.0, 2.0, 3.0], 10.0, 11.0, 7)
    buffer.add_object(5, "on", NAN, 12.0)
    buffer.add(0, 4.0, 20.0, 21.0, server_time=20.5)
    batch = buffer.take()
    assert batch is not None
    assert batch.channel.tolist() == [0, 1, 2, 5, 0]
    assert batch.source_time.tolist()[:3] == [10.0] * 3
    assert batch.receive_time.tolist() == [11.0, 11.0, 11.0, 12.0, 21.0]
    assert batch.status.tolist() == [7, 7, 7, 0, 0]
    assert batch.server_time.tolist()[-1] == 20.5
    assert batch.objects == {3: "on"}
    assert buffer.take() is None


@given(st.lists(st.one_of(st.integers(1, 5), st.just("text")), max_size=60), st.integers(4, 20))
def test_a_full_buffer_keeps_the_newest_and_counts_the_rest(
    messages: list[Any], capacity: int
) -> None:
    buffer = SampleBuffer(capacity)
    sent: list[tuple[int, Any, float]] = []
    for n, message in enumerate(messages):
        if message == "text":
            buffer.add_object(n, f"t{n}", float(n), float(n))
            sent.append((n, f"t{n}", float(n)))
        else:
            buffer.extend([n] * message, [float(n)] * message, float(n), float(n))
            sent += [(n, float(n), float(n))] * message
    assert len(buffer) <= capacity
    batch = buffer.take() or empty_samples()
    values = batch.value.tolist()
    got = [
        (c, batch.objects.get(row, values[row]), t)
        for row, (c, t) in enumerate(
            zip(batch.channel.tolist(), batch.source_time.tolist(), strict=True)
        )
    ]
    assert got == sent[len(sent) - len(got) :]
    assert buffer.dropped == len(sent) - len(got)


def test_a_status_that_says_bad_keeps_the_value_and_is_counted() -> None:
    hub, _ = new_hub()
    send(hub, 0, 1.0)
    send(hub, 0, 99.0, status=Status.BAD_DEVICE_FAILURE)
    assert hub.latest.value[0] == 1.0
    assert hub.latest.status[0] == Status.BAD_DEVICE_FAILURE
    assert hub.fates.status_only == 1


def test_ages_are_those_of_the_bound_channels() -> None:
    hub, clock = new_hub()
    send(hub, 0, 1.0)
    clock.advance(4)
    send(hub, 1, 1.0)
    ages = hub.ages()
    assert ages[:2].tolist() == [4.0, 0.0]
    assert np.isinf(ages[2:]).all()


def test_messages_that_a_bridge_refuses_are_counted_beside_the_samples(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="p", field="flow"))))
    twin.send("nowhere", 1.0)
    twin.tell("p", {"speed": 1})
    assert twin.twin.hub.rejections.counts() == {
        ("line", "unbound"): 1,
        ("line", "missing_field"): 1,
    }
    assert twin.twin.hub.fates.received == 0


def test_an_owner_that_stands_still_costs_the_oldest_samples_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin.hub._inbox.MAX_WAITING", 10)
    hub, _ = new_hub()
    for n in range(8):
        hub.submit(batch_of([(0, float(n), NAN, 0)] * 3))
    hub.drain()
    assert hub.latest.value[0] == 7.0
    assert hub.fates.received == 9
    assert hub.rejections.counts() == {("", "overflow"): 15}
    assert hub.fates.balanced()


def send_later(hub: Hub, value: float) -> None:
    hub.submit(Samples.of([0], [value], receive_time=NAN))


def test_an_owner_that_stands_still_keeps_the_order_of_samples_and_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stagetwin.hub._inbox.MAX_WAITING", 2)
    hub, _ = new_hub()
    for value in (1.0, 2.0, 3.0):
        send_later(hub, value)
        hub.interrupted("line")
    hub.vouch([0], True)
    hub.drain()
    assert (hub.latest.value[0], bool(hub.latest.anew[0])) == (3.0, False)
    assert hub.rejections.counts() == {("", "overflow"): 1}
    assert hub.fates.balanced()


def quality(hub: Hub, channel: int = 0) -> Quality:
    hub.drain()
    return Quality(int(hub.latest.quality[channel]))


def stood(hub: Hub, clock: ManualClock) -> None:
    """Let a vouched device that reports changes only be good for a minute."""
    hub.connection_online("line", True)
    send(hub, 0, 5.0)
    hub.vouch([0], True)
    clock.advance(60)
    assert quality(hub) is Quality.GOOD


def test_word_of_a_device_is_worth_nothing_for_a_value_of_an_earlier_session() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    hub.connection_online("line", False)
    clock.advance(11)
    assert quality(hub) is Quality.STALE
    hub.connection_online("line", True)
    hub.vouch([0], True)
    assert quality(hub) is Quality.STALE, "what it was may have changed meanwhile"
    send(hub, 0, 5.0)
    clock.advance(60)
    assert quality(hub) is Quality.GOOD


def test_a_break_too_short_for_a_tick_is_a_break() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    hub.connection_online("line", False)
    hub.connection_online("line", True)
    hub.vouch([0], True)
    clock.advance(11)
    assert quality(hub) is Quality.STALE


def test_what_came_before_a_break_is_of_the_earlier_session_however_late_it_is_looked_at() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    send_later(hub, 5.0)
    hub.vouch([0], True)
    hub.connection_online("line", False)
    hub.connection_online("line", True)
    hub.drain()
    clock.advance(11)
    assert quality(hub) is Quality.STALE


def test_values_that_come_before_a_new_session_says_that_it_stands_count() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    hub.connection_online("line", False)
    send(hub, 0, 5.0)
    hub.connection_online("line", True)
    hub.vouch([0], True)
    clock.advance(60)
    assert quality(hub) is Quality.GOOD


def test_a_break_is_that_of_one_connection() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    hub.interrupted("spare")
    hub.interrupted("unheard of")
    clock.advance(60)
    assert quality(hub) is Quality.GOOD


def test_a_channel_that_was_not_bound_for_a_while_needs_a_new_sample() -> None:
    hub, clock = new_hub()
    stood(hub, clock)
    hub.bind({i: b for i, b in TABLE.telemetry.items() if i != 0}, SIZE)
    hub.bind(TABLE.telemetry, SIZE)
    hub.vouch([0], True)
    clock.advance(11)
    assert quality(hub) is Quality.STALE


def test_the_past_does_not_keep_a_value_alive() -> None:
    hub, clock = new_hub()
    now = clock.wall()
    send(hub, 0, 5.0, now)
    for second in range(10):
        clock.advance(1)
        send(hub, 0, 6.0, now - 3600 + second)
    assert (hub.fates.late, quality(hub)) == (10, Quality.GOOD)
    clock.advance(0.1)
    assert quality(hub) is Quality.STALE


def test_after_a_clock_was_set_back_values_are_uncertain_until_it_is_right() -> None:
    hub, clock = new_hub()
    send(hub, 0, 1.0, clock.wall())
    clock.advance(11)
    send(hub, 0, 2.0, clock.wall() - 3600)
    assert (hub.latest.value[0], quality(hub)) == (2.0, Quality.UNCERTAIN)
    clock.advance(1)
    send(hub, 0, 3.0, clock.wall() - 3600)
    assert (hub.latest.value[0], quality(hub)) == (3.0, Quality.UNCERTAIN)
    clock.advance(1)
    send(hub, 0, 4.0, clock.wall() - 1)
    assert (hub.latest.value[0], quality(hub)) == (4.0, Quality.GOOD)


def test_where_staleness_is_no_matter_a_clock_set_back_is() -> None:
    table = table_of(HEADER + connection() + prim("P1", PATIENT, 'token twin:connection = "line"'))
    clock = ManualClock()
    hub = Hub(clock)
    hub.bind(table.telemetry, 1)
    send(hub, 0, 1.0, clock.wall() - 1e6)
    assert quality(hub) is Quality.GOOD, "as old as it likes"
    send(hub, 0, 2.0, clock.wall())
    clock.advance(61)
    for behind, expected in (
        (3600, Quality.UNCERTAIN),
        (3000, Quality.UNCERTAIN),
        (10, Quality.GOOD),
        (5, Quality.GOOD),
    ):
        send(hub, 0, 3.0, clock.wall() - behind)
        assert quality(hub) is expected, behind


@pytest.mark.parametrize(
    ("age", "status", "expected"),
    [
        (9.9, 0, Status.GOOD),
        (10.1, 0, Status.UNCERTAIN),
        (10.1, 0x00DA0000, Status.UNCERTAIN),
        (10.1, Status.UNCERTAIN_INITIAL_VALUE, Status.UNCERTAIN_INITIAL_VALUE),
        (10.1, Status.BAD_DEVICE_FAILURE, Status.BAD_DEVICE_FAILURE),
        (NAN, 0, Status.GOOD),
    ],
)
def test_a_sample_that_is_stale_when_it_comes_is_uncertain(
    age: float, status: int, expected: Status
) -> None:
    hub, clock = new_hub()
    send(hub, 0, 5.0, clock.wall() - age, status)
    assert hub.latest.status[0] == expected


def test_a_server_that_passes_an_old_value_on_says_that_it_holds() -> None:
    hub, clock = new_hub()
    buffer = SampleBuffer()
    now = clock.wall()
    buffer.add(0, 5.0, now - 86_400, now, server_time=now)
    hub.submit(buffer.take() or empty_samples())
    assert quality(hub) is Quality.GOOD


@pytest.mark.parametrize(
    ("received", "expected"), [(-26.0, Quality.STALE), (-5.0, Quality.GOOD), (60.0, Quality.GOOD)]
)
def test_a_sample_is_as_old_as_it_is_and_not_as_our_looking_at_it(
    received: float, expected: Quality
) -> None:
    hub, clock = new_hub()
    clock.advance(100)
    hub.submit(Samples.of([0], [5.0], receive_time=clock.wall() + received))
    assert quality(hub) is expected
    assert hub.latest.seen[0] == clock.steady() + min(received, 0.0)


def test_a_wall_clock_set_forward_makes_nothing_older_than_its_last_sign_of_life() -> None:
    hub, clock = new_hub()
    clock.advance(100)
    send(hub, 0, 5.0)
    clock.advance(1)
    hub.submit(Samples.of([0], [6.0], receive_time=clock.wall()))
    clock.now += 3600
    assert quality(hub) is Quality.GOOD
    assert hub.latest.seen[0] == clock.steady() - 1
