"""A command that is released bit by bit is judged again each second, and goes on by leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagetwin.actuation import RENEWED_FOR, CommandGate, Fate
from stagetwin.clock import ManualClock
from stagetwin.commands import Command
from stagetwin.ports import ConnectionState
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import READY, Desk, pump, speed


@pytest.fixture
def following(opened: Open) -> Desk:
    """A desk whose protocol renews and repeats, and whose pump takes a minute."""
    desk = opened(pump(speed(permissives=READY, settleTime=60.0, expiry=5.0)))
    desk.wire.follows = True
    return desk


def noted(made: Command) -> list[str]:
    return [moment.cause for moment in made.history if moment.state == "NOTE"]


def pass_time(desk: Desk, seconds: float) -> None:
    """Let time pass in small steps, the pump being heard all the while."""
    for _ in range(round(seconds / 0.25)):
        desk.feel("/Pump.rpm", 1000.0)
        desk.tick(0.25)


def test_what_is_under_way_is_renewed_each_second_until_it_ends(following: Desk) -> None:
    desk = following
    made = desk.sent()
    desk.tick()
    before = len(desk.wire.renewals)
    pass_time(desk, 5.0)
    assert 4 <= len(desk.wire.renewals) - before <= 6
    last = desk.wire.renewals[-1]
    assert (last.id, last.asset, last.guard) == (made.id, "/Pump", made.guard)
    assert last.target.address == "set/speed"
    assert desk.clock.steady() < last.until <= desk.clock.steady() + RENEWED_FOR
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED"
    count = len(desk.wire.renewals)
    pass_time(desk, 3.0)
    assert len(desk.wire.renewals) == count
    assert noted(made) == []


def test_nothing_is_renewed_where_the_protocol_does_not_ask_for_it(desk: Desk) -> None:
    desk.sent()
    desk.tick(1.5)
    desk.tick(1.5)
    assert desk.wire.renewals == []


@pytest.mark.parametrize("quality", ["false", "unknown"])
def test_a_permissive_that_no_more_permits_ends_the_leave_and_both_are_on_record(
    following: Desk, quality: str
) -> None:
    desk = following
    made = desk.sent()
    desk.tick()
    desk.feel("/Pump.ready", False, status=0 if quality == "false" else 0x80000000)
    desk.tick(1.0)
    count = len(desk.wire.renewals)
    pass_time(desk, 4.0)
    assert len(desk.wire.renewals) == count
    (lapse,) = noted(made)
    assert lapse.startswith("not renewed, nothing more of it is released: the permissive")
    assert made.state == "ACKNOWLEDGED"
    desk.feel("/Pump.ready", True)
    pass_time(desk, 1.5)
    assert len(desk.wire.renewals) > count
    assert noted(made)[1] == "renewed: it may go on"


def test_a_leave_outlives_no_link_no_rights_and_no_guards(following: Desk) -> None:
    desk = following
    made = desk.sent()
    desk.tick()

    def lapses(words: str) -> None:
        desk.tick(1.0)
        count = len(desk.wire.renewals)
        pass_time(desk, 3.0)
        assert len(desk.wire.renewals) == count
        assert words in noted(made)[-1]

    desk.wire.states["line"] = (ConnectionState.OFFLINE, "cut")
    lapses("offline: cut")
    desk.wire.states.clear()
    pass_time(desk, 1.5)
    assert noted(made)[-1] == "renewed: it may go on"
    desk.edit_plant("/Pump.twin:command:speed:tolerance", 7.0)
    lapses("runs as shadow")
    desk.approve_guards()
    pass_time(desk, 3.0)
    assert noted(made)[-1] != "renewed: it may go on", "approved anew is approved otherwise"


def test_what_repeats_may_be_answered_until_it_expires_and_says_so_in_the_ledger(
    following: Desk,
) -> None:
    desk = following
    made = desk.publish()
    desk.report(made, Fate.SENT)
    pass_time(desk, 4.5)
    assert made.state == "SENT"
    desk.report(made, Fate.ACKNOWLEDGED)
    assert made.state == "ACKNOWLEDGED"
    desk.durable()
    (sent,) = [e for e in desk.ledger.entries(made.id) if e.state == "SENT"]
    assert sent.body["repeats"] is True


def test_a_device_may_give_up_what_it_had_accepted(following: Desk) -> None:
    desk = following
    before = desk.desired()
    made = desk.sent()
    desk.report(made, Fate.NOTED, cause="half way")
    desk.report(made, Fate.REFUSED, cause="cleared by hand")
    assert (made.state, made.code) == ("FAILED", "refused")
    assert made.cause == "the device gave it up: cleared by hand"
    assert noted(made) == ["half way"]
    assert desk.desired() == before


def test_the_read_back_is_held_to_what_the_protocol_made_of_the_value(following: Desk) -> None:
    desk = following
    made = desk.publish(1500.0)
    desk.report(made, Fate.SENT, cause="as 1200", shows=(1200.0, [1.0, 2.0]))
    desk.report(made, Fate.ACKNOWLEDGED)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "ACKNOWLEDGED", "the value itself proves nothing now"
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1200.0)
    assert made.state == "VERIFIED"
    assert made.evidence is not None
    assert made.evidence.value == 1200.0
    assert noted(made) == ["as 1200"]


def test_a_restart_knows_what_the_read_back_shows(opened: Open, tmp_path: Path) -> None:
    del tmp_path
    text = pump(speed(permissives=READY, settleTime=60.0))
    first = opened(text)
    first.wire.follows = True
    made = first.publish(1500.0)
    first.report(made, Fate.SENT, cause="as 1200", shows=(1200.0,))
    first.durable()
    first.close()
    again = opened(text)
    again.wire.follows = True
    again.path.recover()
    found = again.path.records.find_one(made.id)
    again.tick(1.0)
    assert [renewal.id for renewal in again.wire.renewals][:1] == [made.id]
    again.feel("/Pump.rpm", 1200.0)
    assert found.state == "VERIFIED"


def test_the_gate_lets_nothing_more_out_without_leave() -> None:
    clock = ManualClock()
    gate = CommandGate(clock)
    gate.authorise({"/Pump": "g"})
    now = clock.steady()
    assert gate.lapsed("/Pump", "g", now + 1.0) == ""
    assert "not renewed" in gate.lapsed("/Pump", "g", now - 0.001)
    assert "not renewed" in gate.lapsed("/Pump", "g", now + RENEWED_FOR + 0.001), "too long a leave"
    assert "not renewed" in gate.lapsed("/Pump", "g", float("nan"))
    assert "guards" in gate.lapsed("/Pump", "other", now + 1.0)
    assert "guards" in gate.lapsed("/Other", "g", now + 1.0)
    assert gate.is_guarded("/Pump/Motor")
    assert not gate.is_guarded("/Pump2")


def test_a_stop_request_ends_the_leave_even_where_the_stop_itself_cannot_leave(
    opened: Open,
) -> None:
    desk = opened(pump(speed(permissives=READY, settleTime=60.0, safe="0")))
    desk.wire.follows = True
    made = desk.sent()
    desk.tick()
    desk.wire.states["line"] = (ConnectionState.OFFLINE, "cut")
    (stop,) = desk.path.halt("/Pump", "ann")
    assert (stop.state, stop.code) == ("REJECTED", "offline")
    desk.wire.states.clear()
    count = len(desk.wire.renewals)
    pass_time(desk, 4.0)
    assert len(desk.wire.renewals) == count
    assert noted(made) == [
        "not renewed, nothing more of it is released: by the stop request of ann"
    ]


def test_a_stop_request_takes_back_at_once_what_the_client_holds(following: Desk) -> None:
    desk = following
    made = desk.sent()
    desk.tick()
    held = desk.wire.renewals[-1]
    assert held.id == made.id
    assert held.until > desk.clock.steady()
    desk.path.halt("/Pump", "ann", "it smells")
    taken = desk.wire.renewals[-1]
    assert (taken.id, taken.guard) == (made.id, held.guard)
    assert taken.until <= desk.clock.steady()
    pass_time(desk, 3.0)
    assert desk.wire.renewals[-1] == taken
