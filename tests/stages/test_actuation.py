"""The gate before the wire, and the soft protocol's commands."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.actuation import (
    CommandGate,
    CommandProtocol,
    CommandTarget,
    Fate,
    Reading,
    Report,
    Token,
    Transmission,
)
from stagetwin.clock import ManualClock, WallClock
from stagetwin.ports import ChannelSpec, ConnectionSpec, ConnectionState
from stagetwin.signals import Status
from stagetwin.soft import SoftCommander, SoftProtocol, soft_device

TARGET = CommandTarget(prim="/Pump", command="speed", address="set")


def transmission(token: Token = (1, 1), **fields: object) -> Transmission:
    whole: dict[str, object] = {
        "id": "c",
        "target": TARGET,
        "value": 5.0,
        "asset": "/Pump",
        "guard": "hash",
        "token": token,
        "deadline": 10.25,
        "expires": 20.0,
        **fields,
    }
    return Transmission(**whole)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    made = ManualClock()
    made.advance(10.0)
    return made


@pytest.fixture
def gate(clock: ManualClock) -> CommandGate:
    made = CommandGate(clock)
    made.authorise({"/Pump": "hash", "/Fan": "other"})
    return made


def test_a_token_passes_once(gate: CommandGate) -> None:
    assert gate.withheld(transmission((1, 1))) == ""
    assert "token [1, 1] is not newer than [1, 1]" in gate.withheld(transmission((1, 1)))


@given(tokens=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=12))
def test_only_rising_tokens_pass(tokens: list[Token]) -> None:
    gate = CommandGate(ManualClock())
    gate.authorise({"/Pump": "hash"})
    passed = [token for token in tokens if not gate.withheld(transmission(token))]
    assert all(before < after for before, after in itertools.pairwise([(0, 0), *passed]))
    best: Token = (0, 0)
    for token in tokens:
        if token > best:
            assert token in passed
            best = token


def test_an_older_epoch_is_old_for_ever(gate: CommandGate) -> None:
    assert gate.withheld(transmission((2, 1))) == ""
    assert "not newer" in gate.withheld(transmission((1, 10**9)))


@pytest.mark.parametrize(
    "fields", [{"guard": "old"}, {"guard": ""}, {"asset": "/Fan"}, {"asset": "/Nothing"}]
)
def test_other_guards_withhold_and_use_up_no_token(
    gate: CommandGate, fields: dict[str, object]
) -> None:
    assert "are not those it was approved under" in gate.withheld(transmission(**fields))
    assert gate.withheld(transmission()) == ""


def test_without_guards_nothing_passes(clock: ManualClock) -> None:
    gate = CommandGate(clock)
    assert "guards of /Pump" in gate.withheld(transmission())
    gate.authorise({"/Pump": "hash"})
    assert gate.withheld(transmission()) == ""
    gate.authorise({})
    assert gate.withheld(transmission((1, 2))) != ""


def test_the_guards_are_taken_as_they_were(clock: ManualClock) -> None:
    held = {"/Pump": "hash"}
    gate = CommandGate(clock)
    gate.authorise(held)
    held.clear()
    assert gate.withheld(transmission()) == ""


def test_the_deadline_is_the_last_moment_on_the_boot_clock(
    gate: CommandGate, clock: ManualClock
) -> None:
    clock.now += 1e6  # the wall clock does not matter
    clock.ticks = 10.25
    assert gate.withheld(transmission((1, 1))) == ""
    clock.ticks = 10.2511
    assert "1 ms after its deadline" in gate.withheld(transmission((1, 2)))


def test_what_has_expired_does_not_pass(gate: CommandGate, clock: ManualClock) -> None:
    clock.ticks = 20.0
    assert "time to live is over" in gate.withheld(transmission(deadline=30.0))
    assert gate.remaining(transmission()) == 0.0
    clock.ticks = 12.5
    assert gate.remaining(transmission()) == 7.5


def test_by_default_it_asks_the_machines_clock() -> None:
    gate = CommandGate()
    gate.authorise({"/Pump": "hash"})
    now = WallClock().steady()
    assert gate.withheld(transmission(deadline=now + 60.0, expires=now + 60.0)) == ""
    assert "after its deadline" in gate.withheld(transmission((1, 2), deadline=now - 1.0))


def test_of_many_threads_with_one_token_one_passes(gate: CommandGate) -> None:
    passed: list[str] = []
    start = threading.Barrier(8)

    def run() -> None:
        start.wait(30)
        passed.append(gate.withheld(transmission()))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(passed) == 8
    assert passed.count("") == 1


# -- the soft protocol


class Sink:
    """What a commander said."""

    def __init__(self) -> None:
        self.states: list[tuple[ConnectionState, str]] = []
        self.reports: list[Report] = []
        self.readings: list[Reading] = []

    def state(self, state: ConnectionState, cause: str = "") -> None:
        self.states.append((state, cause))

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def reading(self, reading: Reading) -> None:
        self.readings.append(reading)

    @property
    def fates(self) -> Sequence[Fate]:
        return [report.fate for report in self.reports]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def commander(sink: Sink) -> Iterator[SoftCommander]:
    spec = ConnectionSpec(name="line", prim="/line", endpoint="soft://bench")
    protocol = SoftProtocol()
    assert isinstance(protocol, CommandProtocol)
    assert protocol.check_command(TARGET) == []
    made = protocol.commander(spec, [TARGET], sink, None)
    made.authorise({"/Pump": "hash"})
    made.start()
    yield made
    made.stop()
    soft_device("bench", None)


def fresh(token: Token = (1, 1), **fields: object) -> Transmission:
    now = WallClock().steady()
    return transmission(token, **{"deadline": now + 60.0, "expires": now + 60.0, **fields})


@pytest.mark.parametrize(
    ("answer", "fates", "cause"),
    [
        ("", [Fate.SENT, Fate.ACKNOWLEDGED], ""),
        ("jammed", [Fate.SENT, Fate.REFUSED], "jammed"),
        (None, [Fate.SENT], ""),
    ],
)
def test_a_soft_device_accepts_refuses_or_is_silent(
    commander: SoftCommander, sink: Sink, answer: str | None, fates: list[Fate], cause: str
) -> None:
    got: list[Transmission] = []

    def device(left: Transmission) -> str | None:
        got.append(left)
        return answer

    soft_device("bench", device)
    sent = fresh()
    commander.send(sent)
    assert got == [sent]
    assert sink.fates == fates
    assert sink.reports[-1].cause == cause
    assert all(report.id == "c" and report.time > 0 for report in sink.reports)


def test_without_a_device_or_running_it_withholds(commander: SoftCommander, sink: Sink) -> None:
    commander.send(fresh())
    soft_device("bench", lambda _: "")
    commander.send(fresh((1, 2)))
    commander.stop()
    commander.send(fresh((1, 3)))
    assert sink.fates == [Fate.WITHHELD, Fate.SENT, Fate.ACKNOWLEDGED, Fate.WITHHELD]
    assert sink.reports[0].cause == "offline: no device"
    assert sink.states == [
        (ConnectionState.ONLINE, ""),
        (ConnectionState.OFFLINE, "stopped"),
    ]


def test_its_gate_withholds_what_is_late_old_or_of_other_guards(
    commander: SoftCommander, sink: Sink
) -> None:
    got: list[Transmission] = []
    soft_device("bench", lambda left: got.append(left) or "")  # type: ignore[func-returns-value]
    commander.send(fresh(deadline=0.0))
    commander.send(fresh(expires=0.0))
    commander.send(fresh(guard="old"))
    assert got == []
    commander.send(fresh())
    commander.send(fresh())
    assert sink.fates == [
        *[Fate.WITHHELD] * 3,
        *(Fate.SENT, Fate.ACKNOWLEDGED),
        Fate.WITHHELD,
    ]
    assert len(got) == 1


def test_there_is_nothing_to_read_from(commander: SoftCommander, sink: Sink) -> None:
    assert SoftProtocol.reads is False
    commander.rebind([])
    commander.read(7, ChannelSpec(index=0, prim="/Pump", signal="rpm", address="rpm"))
    (answer,) = sink.readings
    assert (answer.request, answer.value, answer.status) == (7, None, Status.BAD)
    assert "rpm cannot be read" in answer.cause
