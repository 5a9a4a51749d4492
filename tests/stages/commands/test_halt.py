"""The stop request: it goes before everything, asks for no leave, and needs a safe value."""

from __future__ import annotations

from typing import Any

import pytest

from stagetwin import CommandError
from stagetwin.actuation import Fate
from stagetwin.commands._judge import Judge
from stagetwin.ports import ConnectionState
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import READY, SPEED, Desk, pump, speed
from tests.stages.plants import command

HARD = pump(
    speed(approval="dual", permissives=READY, rateLimit=1.0, safe="0", settleTime=50.0),
    remote=READY,
)


def halted(desk: Desk, prim: str = "/Pump", author: str = "eve", **fields: Any) -> list[Any]:
    made = desk.path.halt(prim, author, **fields)
    desk.flush()
    return made


def test_it_skips_approval_permissives_rate_and_rights(opened: Open) -> None:
    desk = opened(HARD)
    desk.feel("/Pump.ready", False)
    desk.tick(30.0)  # and the read-back is stale
    (made,) = halted(desk, reason="leak")
    assert (made.state, made.value, made.origin, made.needs) == ("SENT", 0.0, "stop", 0)
    assert (made.author, made.reason) == ("eve", "leak")
    assert desk.wire.sent[0].value == 0.0
    assert desk.desired() == 0.0


def test_it_waits_for_no_lease_and_ends_what_waits(opened: Open) -> None:
    desk = opened(pump(speed(safe="0", settleTime=50.0)))
    under_way, waiting = desk.sent(1500.0), desk.publish(1600.0)
    assert waiting.state == "APPROVED"
    (made,) = halted(desk)
    assert (waiting.state, waiting.code) == ("SUPERSEDED", "stop")
    assert waiting.cause == "by the stop request of eve"
    assert made.state == "SENT"
    assert made.token > under_way.token
    desk.report(under_way, Fate.REFUSED)
    assert desk.desired() == 0.0


def test_a_command_without_a_safe_value_is_only_kept_from_leaving(opened: Open) -> None:
    desk = opened(pump(speed(approval="single")))
    waiting = desk.publish()
    assert halted(desk) == []
    assert waiting.state == "SUPERSEDED"
    assert desk.desired() is None
    assert desk.wire.sent == []


def test_it_reaches_all_below_a_prim_and_nothing_beside_it(opened: Open) -> None:
    gate = command("gate", "bool", safe="false")
    desk = opened(pump(speed(safe="0"), gate))
    assert [made.target for made in halted(desk, "/")] == [SPEED, "/Pump.gate"]
    assert [made.value for made in halted(desk, "/Pump/")] == [0.0, False]
    assert [made.target for made in halted(desk, "/Pump.gate")] == ["/Pump.gate"]
    for nowhere in ("/Pum", "/Pump/Sub", "/Pump.gat", "/Elsewhere"):
        with pytest.raises(CommandError, match="nothing can be commanded at or below"):
            halted(desk, nowhere)


def test_offline_it_is_refused_and_says_so(opened: Open) -> None:
    desk = opened(HARD)
    desk.wire.states["line"] = ConnectionState.OFFLINE, "cable"
    (made,) = halted(desk)
    assert (made.state, made.code) == ("REJECTED", "offline")


def test_a_shadow_is_not_even_stopped(opened: Open) -> None:
    desk = opened(HARD, approved=False)
    (made,) = halted(desk)
    assert (made.state, made.code) == ("REJECTED", "guards")


@pytest.mark.parametrize("reason", ["x" * 5000, "\ud800", "a\x00b"])
def test_no_reason_is_too_odd_to_stop(opened: Open, reason: str) -> None:
    desk = opened(HARD)
    (made,) = halted(desk, reason=reason)
    assert made.state == "SENT"


def test_one_machine_that_cannot_be_judged_does_not_keep_the_others_running(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = opened(pump(speed(safe="0"), command("gate", safe="1"), command("tap", safe="2")))
    value = Judge.value

    def fail(self: Judge, made: Any, binding: Any) -> Any:
        if binding.signal == "speed":
            raise RuntimeError("boom")
        return value(self, made, binding)

    monkeypatch.setattr(Judge, "value", fail)
    assert [str(made.state) for made in halted(desk)] == ["REJECTED", "SENT", "SENT"]


def test_a_full_desk_still_stops(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from stagetwin.commands import _path

    desk = opened(HARD)
    monkeypatch.setattr(_path, "MAX_OPEN", 0)
    with pytest.raises(CommandError, match="commands are on their way"):
        desk.publish()
    (made,) = halted(desk)
    assert made.state == "SENT"


def test_a_second_stop_follows_the_first(opened: Open) -> None:
    desk = opened(HARD)
    (first,), (second,) = halted(desk), halted(desk)
    assert [left.id for left in desk.wire.sent] == [first.id, second.id]
