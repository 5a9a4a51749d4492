"""The life of an alarm: states, acknowledging, shelving, what is not known, and floods."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from stagetwin import AlarmError
from stagetwin.alarms import MAX_SHELF, TRANSITIONS, AlarmState
from stagetwin.guards import GuardBook
from stagetwin.signals import Status
from tests.stages.alarms.conftest import Watch
from tests.stages.alarms.watched import ADA, ONLINE, Watched, alarm
from tests.stages.plants import asset, full_path, plant, prim, telemetry

HOT = "/Plant/P.hot"
TEXT = plant(
    prim(
        "P",
        asset("p"),
        telemetry("flow", address="flow", hard=(0, 200), staleAfter=5),
        telemetry("running", "bool", address="running", staleAfter=1e6),
        alarm(
            "hot",
            full_path("/Plant/P.flow"),
            limit=100,
            hysteresis=10,
            priority="high",
            gate=full_path("/Plant/P.running"),
        ),
        alarm("none", full_path("/Plant/P.flow"), kind="quality", priority="none"),
        alarm("no2", full_path("/Plant/P.running"), kind="quality", priority="none"),
    )
)


class Life(RuleBasedStateMachine):
    """Anything may happen in any order; what was promised holds."""

    @initialize()
    def begin(self) -> None:
        self.w = Watched(TEXT)
        self.w.link("line", ONLINE)
        self.w.feel("running", True)
        self.w.feel("flow", 50.0)
        self.seen = "NORMAL"
        self.value = 50.0
        self.acknowledged: dict[str, Any] | None = None
        self.count = 0

    def row(self) -> dict[str, Any]:
        return self.w.row(HOT)

    @rule(value=st.sampled_from([50.0, 89.0, 91.0, 95.0, 99.0, 100.0, 100.5, 150.0]))
    def feel(self, value: float) -> None:
        before = self.row()
        self.w.feel("flow", value)
        self.value = value
        after = self.row()
        if 90.0 < value <= 100.0:
            # Within the band nothing arises and nothing ceases.
            assert (after["count"], after["cleared"]) == (before["count"], before["cleared"])

    @rule(status=st.sampled_from([int(Status.BAD), int(Status.UNCERTAIN)]))
    def doubt(self, status: int) -> None:
        before = self.row()
        self.w.feel("flow", 50.0, status=status)
        assert self.row()["cleared"] == before["cleared"]

    @rule(seconds=st.sampled_from([0.1, 1.0, 7.0]))
    def wait(self, seconds: float) -> None:
        before = self.row()
        self.w.run(seconds)
        assert (self.row()["cleared"], self.row()["count"]) == (before["cleared"], before["count"])

    @rule(running=st.booleans())
    def start_or_stop(self, running: bool) -> None:
        self.w.feel("running", running)

    @rule()
    def acknowledge(self) -> None:
        state = self.row()["state"]
        if state in ("UNACK", "RTN_UNACK"):
            row = self.w.book.acknowledge(HOT, ADA, "known")
            self.acknowledged = row["acknowledged"]
            assert self.acknowledged is not None
        else:
            with pytest.raises(AlarmError):
                self.w.book.acknowledge(HOT, ADA)

    @rule(seconds=st.sampled_from([0.5, 3.0, 30.0]))
    def shelve(self, seconds: float) -> None:
        row = self.w.book.shelve(HOT, ADA, seconds, "noise")
        assert row["shelved"]["until"] == self.w.clock.wall() + seconds

    @precondition(lambda self: self.row()["state"] == "SHELVED")
    @rule()
    def unshelve(self) -> None:
        self.w.book.unshelve(HOT, ADA)

    @rule()
    def edit_the_plant(self) -> None:
        """Any edit of the plant reads its bindings again; no alarm is the wiser."""
        before = self.row()
        self.w.plant.stage.DefinePrim(f"/Other{before['count']}", "Scope")
        self.w.plant.twin.sync_structure()
        assert self.row() == before

    @invariant()
    def every_transition_is_legal(self) -> None:
        for told in [row for row in self.w.told if row["id"] == HOT]:
            after = AlarmState(told["state"])
            before = AlarmState(self.seen)
            assert after is before or after in TRANSITIONS[before], (before, after)
            self.seen = told["state"]
        self.w.told.clear()
        assert self.seen == self.row()["state"]

    @invariant()
    def shelved_is_silent_until_due(self) -> None:
        row = self.row()
        if row["state"] == "SHELVED":
            assert row["shelved"]["until"] > self.w.clock.wall() - 0.2
            assert self.w.book.active() == []

    @invariant()
    def an_acknowledgement_stays_with_its_occurrence(self) -> None:
        row = self.row()
        if row["count"] != self.count:
            self.count, self.acknowledged = row["count"], None
        assert row["acknowledged"] == self.acknowledged
        if row["state"] == "ACKED":
            assert row["acknowledged"] is not None

    def teardown(self) -> None:
        if hasattr(self, "w"):
            self.w.close()


def test_any_life_of_an_alarm() -> None:
    run_state_machine_as_test(
        Life, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def text_of(**fields: Any) -> str:
    flow = telemetry("flow", address="flow", hard=(0, 200), staleAfter=3)
    return plant(prim("P", asset("p"), flow, alarm("hot", full_path("/Plant/P.flow"), **fields)))


def test_stale_keeps_what_was(watch: Watch) -> None:
    w = watch(text_of(limit=100, onDelay=2))
    w.link("line", ONLINE)
    w.feel("flow", 150.0, 2.5)
    assert w.states() == {HOT: "UNACK"}
    w.run(10.0)
    assert w.states() == {HOT: "UNACK", "/Plant/P.stale": "UNACK"}
    # An on-delay does not run on while nothing is known.
    w.feel("flow", 50.0)
    w.feel("flow", 150.0, 1.0)
    w.feel("flow", 150.0, status=int(Status.BAD))
    w.run(1.5)
    assert w.states()[HOT] == "RTN_UNACK"


def test_an_uncertain_value_may_raise_and_clears_nothing(watch: Watch) -> None:
    w = watch(text_of(limit=100))
    w.feel("flow", 150.0, status=int(Status.UNCERTAIN))
    assert w.states() == {HOT: "UNACK"}
    assert w.row(HOT)["cause"].endswith("as far as is known (uncertain)")
    w.feel("flow", 50.0, status=int(Status.UNCERTAIN))
    assert w.states() == {HOT: "UNACK"}
    w.feel("flow", 50.0)
    assert w.states() == {HOT: "RTN_UNACK"}


def test_noise_within_the_band_is_no_chatter(watch: Watch) -> None:
    w = watch(text_of(limit=100, hysteresis=5))
    for i in range(60):
        w.feel("flow", 99.0 + 2 * math.sin(i))
    assert w.row(HOT)["count"] == 1
    assert len(w.told) == 1


@pytest.mark.parametrize("seconds", [0, -1, MAX_SHELF + 1, math.nan, math.inf])
def test_a_shelf_is_for_a_time(watch: Watch, seconds: float) -> None:
    w = watch(text_of(limit=100))
    with pytest.raises(AlarmError, match=r"\(0, 28800\] s"):
        w.book.shelve(HOT, ADA, seconds, "noise")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_a_shelf_has_a_reason(watch: Watch, reason: str) -> None:
    w = watch(text_of(limit=100))
    with pytest.raises(AlarmError, match="reason"):
        w.book.shelve(HOT, ADA, 60.0, reason)


def test_what_is_shelved_comes_back(watch: Watch) -> None:
    w = watch(text_of(limit=100))
    w.feel("flow", 150.0)
    w.book.acknowledge(HOT, ADA, "known")
    w.book.shelve(HOT, ADA, 2.0, "noise")
    told = len(w.told)
    w.run(1.0)
    assert len(w.told) == told
    assert w.book.active() == []
    w.run(1.5)
    assert w.states() == {HOT: "ACKED"}, "its condition never ceased: somebody knows"
    w.book.shelve(HOT, ADA, 2.0, "noise")
    w.feel("flow", 50.0)
    w.feel("flow", 150.0)
    w.run(2.5)
    assert w.states() == {HOT: "UNACK"}, "it came back below its shelf"
    w.book.shelve(HOT, ADA, 2.0, "noise")
    w.feel("flow", 50.0, 2.5)
    assert w.states() == {}
    assert w.row(HOT)["shelved"] is None


def test_an_alarm_may_be_shelved_before_it_arises(watch: Watch) -> None:
    w = watch(text_of(limit=100))
    w.book.shelve("/Plant/P.flow_bad", ADA, 60.0, "the meter is being changed")
    w.feel("flow", 500.0, 5.0)
    assert w.states() == {"/Plant/P.flow_bad": "SHELVED"}
    assert [row["state"] for row in w.told] == ["SHELVED"]


@pytest.mark.parametrize("alarm_id", ["/Plant/P.cold", "/Nowhere.hot", "hot", ""])
def test_an_alarm_that_is_not_there(watch: Watch, alarm_id: str) -> None:
    w = watch(text_of(limit=100))
    for ask in (
        lambda: w.book.acknowledge(alarm_id, ADA),
        lambda: w.book.shelve(alarm_id, ADA, 60.0, "why"),
        lambda: w.book.unshelve(alarm_id, ADA),
        lambda: w.book.prim_of(alarm_id),
    ):
        with pytest.raises(AlarmError, match="no alarm"):
            ask()


def test_an_alarm_that_never_arose_cannot_be_acknowledged(watch: Watch) -> None:
    w = watch(text_of(limit=100))
    with pytest.raises(AlarmError, match="NORMAL"):
        w.book.acknowledge(HOT, ADA)
    with pytest.raises(AlarmError, match="NORMAL"):
        w.book.unshelve(HOT, ADA)


def test_alarms_stand_on_prims(watch: Watch) -> None:
    w = watch(text_of(limit=100, priority="high"))
    w.feel("flow", 150.0)
    prefix = "/Plant/P.twin:alarm:hot:"
    assert [w.get(f"{prefix}{name}") for name in ("state", "cause", "priority")] == [
        "UNACK",
        "150 1 is above 100",
        "high",
    ]
    assert w.get(f"{prefix}since") == w.clock.wall()
    assert w.get("/Plant/P.twin:alarmState") == "high"
    w.book.acknowledge(HOT, ADA)
    w.feel("flow", 50.0)
    assert w.get(f"{prefix}state") == "NORMAL"
    assert w.get("/Plant/P.twin:alarmState") == "none"
    w.feel("flow", 500.0, 2.0)
    w.feel("flow", 500.0, 2.0)
    implicit = "/Plant/P.twin:alarm:flow_bad:state"
    assert w.get(implicit) == "UNACK"
    assert w.get("/Plant/P.twin:alarmState") == "medium"
    w.feel("flow", 50.0, 2.0)
    assert w.get(implicit) == "RTN_UNACK"
    w.book.acknowledge("/Plant/P.flow_bad", ADA)
    w.run()
    assert not w.plant.attr(implicit)
    # What the service writes is no structural edit: nothing is read again for it.
    assert w.plant.twin.settled


def test_a_session_changes_no_alarm(watch: Watch, tmp_path: Any) -> None:
    w = watch(text_of(limit=100), guards=GuardBook(tmp_path / "guards.json"))
    w.link("line", ONLINE)
    w.feel("flow", 50.0)
    for name, value in (("limit", 150.0), ("priority", "none")):
        w.plant.stage.SetEditTarget(w.plant.stage.GetSessionLayer())
        w.plant.attr(f"/Plant/P.twin:alarm:hot:{name}").Set(value)
    w.plant.twin.sync_structure()
    w.feel("flow", 120.0)
    assert w.states() == {HOT: "UNACK"}
    # Nor does binding its signal elsewhere: what comes then is not the plant's word.
    w.plant.attr("/Plant/P.twin:telemetry:flow:address").Set("forged")
    w.plant.twin.sync_structure()
    w.feel("forged", 50.0, 5.0)
    assert w.states() == {HOT: "UNACK", "/Plant/P.stale": "UNACK"}
    assert "bound elsewhere by a session" in w.row("/Plant/P.stale")["cause"]
    w.plant.stage.GetSessionLayer().Clear()
    for layer in w.plant.twin._own:
        w.plant.stage.GetSessionLayer().subLayerPaths.append(layer.identifier)
    w.plant.twin.sync_structure()
    w.feel("flow", 50.0, 2.0)
    assert w.states() == {HOT: "RTN_UNACK", "/Plant/P.stale": "RTN_UNACK"}


def test_an_alarm_that_goes_and_comes_back_is_what_it_was(watch: Watch) -> None:
    w = watch(text_of(limit=100))
    w.feel("flow", 150.0)
    w.book.acknowledge(HOT, ADA, "known")
    spec = w.plant.stage.GetRootLayer().GetPrimAtPath("/Plant/P")
    before = spec.GetInfo("apiSchemas")
    kept = type(before).Create(
        prependedItems=[s for s in before.prependedItems if not s.startswith("TwinAlarm")]
    )
    spec.SetInfo("apiSchemas", kept)
    w.plant.twin.sync_structure()
    w.run()
    assert w.states() == {}
    assert w.told[-1]["state"] == "NORMAL"
    assert w.get("/Plant/P.twin:alarmState") == "none"
    spec.SetInfo("apiSchemas", before)
    w.plant.twin.sync_structure()
    w.run()
    assert w.row(HOT)["acknowledged"]["comment"] == "known"
    assert w.states() == {HOT: "ACKED"}


def test_an_edit_does_not_begin_delays_anew(watch: Watch) -> None:
    w = watch(text_of(limit=100, onDelay=2))
    w.feel("flow", 150.0, 1.5)
    w.plant.stage.DefinePrim("/Other", "Scope")
    assert w.plant.twin.sync_structure()
    w.run(0.8)
    assert HOT in w.states()


def test_a_thousand_alarms_at_once(watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    pumps = [
        prim(f"P{i}", asset(f"p{i}"), telemetry("flow", address=f"f{i}", soft=(0, 10)))
        for i in range(1000)
    ]
    w = watch(plant(*pumps))
    w.link("line", ONLINE)
    for i in range(1000):
        w.plant.send(f"f{i}", 50.0)
    w.run(2.2)
    assert 0 < len(w.book.active()) < 1000, "one pass takes some of them"
    w.run(2.0)
    assert len(w.book.active()) == 1000
    assert w.book.counts()["low"] == w.book.counts()["unacknowledged"] == 1000
    assert len(w.told) == 1000
    assert all(w.get(f"/Plant/P{i}.twin:alarmState") == "low" for i in range(1000))
    lines = [record.message for record in caplog.records if "alarm" in record.name]
    assert len(lines) < 60
    assert lines[-1].startswith("and ")
