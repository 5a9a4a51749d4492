"""Guards, sessions and what goes away: what changes under a command keeps it from leaving."""

from __future__ import annotations

from typing import Any

import pytest
from pxr import Usd

from stagetwin import CommandError
from stagetwin.actuation import Fate
from stagetwin.commands import Command, PublishRequest
from stagetwin.guards import GuardStage
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import DESIRED, READY, SPEED, Desk, pump, speed
from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry

SINGLE = pump(speed(approval="single", permissives=READY))


# -- guards


def _approve(desk: Desk, made: Command) -> None:
    desk.path.approve(made.id, "bob")
    desk.flush()


def test_a_change_of_guards_voids_what_has_not_left(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    desk.edit_plant("/Pump.twin:command:speed:address", "elsewhere")
    assert (made.state, made.code) == ("REJECTED", "guards")
    assert "the guards of /Pump changed" in made.cause
    assert desk.desired() is None
    assert desk.wire.guards == {}
    assert desk.publish().code == "guards"
    desk.approve_guards()
    again = desk.publish()
    _approve(desk, again)
    assert again.state == "SENT"


@pytest.mark.parametrize("state", ["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED"])
def test_guards_that_change_in_any_state_keep_it_from_leaving(opened: Open, state: str) -> None:
    desk = opened()

    def change(made: Command) -> None:
        if str(made.state) == state:
            desk.path.records.on_entered.remove(change)
            desk.plant.attr("/Pump.twin:command:speed:address").Set("elsewhere")

    desk.path.records.on_entered.append(change)
    made = desk.publish()
    desk.twin.sync_structure()
    desk.tick(0.1)
    desk.flush()
    if state == "ARMED":
        # On its way already, under the old guards: its gate withholds it.
        (left,) = desk.wire.sent
        assert left.guard != desk.wire.guards.get("/Pump")
    else:
        assert desk.wire.sent == []
        assert (made.state, made.code) == ("REJECTED", "guards")


@pytest.mark.parametrize(
    "path", ["/Pump.twin:command:speed:address", "/Pump.twin:telemetry:ready:address"]
)
def test_what_waited_for_the_guards_is_void_if_they_changed_even_if_approved(
    opened: Open, path: str
) -> None:
    desk = opened(pump(speed(permissives=READY)))
    desk.plant.attr(path).Set("elsewhere")
    made = desk.publish()
    assert (made.state, desk.wire.sent) == ("REQUESTED", [])
    desk.book.approve(GuardStage(desk.plant.stage.GetRootLayer()).hashes(), "ada", 1.0)
    desk.twin.guards_approved()
    desk.twin.sync_structure()
    desk.tick()
    assert (made.state, made.code) == ("REJECTED", "guards")
    assert desk.wire.sent == []


def test_an_approval_that_the_plant_now_asks_for_cannot_be_slipped_past(opened: Open) -> None:
    desk = opened(pump(speed(approval="none")))
    desk.plant.attr("/Pump.twin:command:speed:approval").Set("dual")
    made = desk.publish()
    desk.twin.sync_structure()
    desk.approve_guards()
    desk.tick()
    desk.flush()
    assert desk.wire.sent == []
    assert made.ended


def test_while_the_guards_are_read_it_waits_and_never_leaves(opened: Open) -> None:
    desk = opened()
    other = desk.plant.stage.GetSessionLayer()
    with Usd.EditContext(desk.plant.stage, other):
        desk.plant.attr("/Pump.twin:telemetry:rpm:unit").Set("1/min")
    assert not desk.twin.settled
    made = desk.publish(ttl=5.0)
    desk.tick(1.0)
    assert (made.state, desk.wire.sent) == ("REQUESTED", [])
    desk.twin.sync_structure()
    desk.tick()
    desk.flush()
    assert made.state == "SENT"


def test_what_waits_for_the_guards_too_long_expires(opened: Open) -> None:
    desk = opened()
    desk.plant.attr("/Pump.twin:command:speed:address").Set("elsewhere")
    made = desk.publish(ttl=2.0)
    desk.tick(2.0)
    assert made.state == "EXPIRED"
    assert "the plant's guards were being read" in made.cause


def test_an_armed_look_at_dirty_guards_waits(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr("/Pump.twin:telemetry:rpm:unit").Set("1/min")
    _approve(desk, made)
    assert (made.state, desk.wire.sent) == ("APPROVED", [])
    desk.twin.sync_structure()
    desk.tick()
    desk.flush()
    assert made.state == "SENT"


def test_of_two_that_waited_for_the_guards_the_newer_does_not_lose_to_the_older(
    opened: Open,
) -> None:
    desk = opened(pump(speed(settleTime=9.0)))
    first = desk.sent(1200.0)
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr("/Pump.twin:telemetry:rpm:unit").Set("1/min")
    second, third = desk.publish(1500.0, "ann"), desk.publish(1600.0, "bob")
    desk.twin.sync_structure()
    desk.tick()
    assert second.state == "APPROVED"
    assert (third.state, third.code) == ("REJECTED", "revision")
    desk.path.cancel(second.id, "ann")
    assert (desk.desired(), desk.word("request")) == (1200.0, first.id)


# -- a session's edits

SESSION = pump(speed(permissives=READY, hard=(0, 3000)))


def in_session(desk: Desk, path: str, value: Any) -> None:
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr(path).Set(value)


def test_a_sessions_limit_and_address_change_nothing(opened: Open) -> None:
    desk = opened(SESSION)
    in_session(desk, "/Pump.twin:command:speed:address", "evil")
    with Usd.EditContext(desk.plant.stage, desk.plant.stage.GetSessionLayer()):
        desk.plant.attr(DESIRED).SetMetadata("limits", {"hard": {"maximum": 1e9}})
        rel = desk.plant.stage.GetRelationshipAtPath("/Pump.twin:command:speed:permissives")
        rel.SetTargets([])
    desk.twin.sync_structure()
    assert desk.publish(5000.0).code == "range"
    made = desk.publish()
    assert made.state == "SENT"
    assert desk.wire.sent[0].target.address == "set/speed"
    desk.report(made, Fate.WITHHELD)
    desk.feel("/Pump.ready", False)
    assert desk.publish().code == "permissive"


def test_a_sessions_other_address_behind_a_permissive_makes_it_unknown(opened: Open) -> None:
    desk = opened(SESSION)
    in_session(desk, "/Pump.twin:telemetry:ready:address", "always/true")
    desk.twin.sync_structure()
    desk.feel("/Pump.ready", True)
    made = desk.publish()
    assert made.code == "permissive"
    assert "unknown" in made.cause


def test_a_sessions_other_endpoint_behind_a_permissive_makes_it_unknown(opened: Open) -> None:
    desk = opened(SESSION)
    desk.feel("/Pump.ready", False)
    in_session(desk, "/line.twin:endpoint", "soft://evil")
    desk.twin.sync_structure()
    desk.feel("/Pump.ready", True)
    desk.feel("/Pump.rpm", 1000.0)
    made = desk.publish()
    assert made.state == "REJECTED"
    assert desk.wire.sent == []
    # What the other endpoint said counts no more once the session takes its edit back.
    desk.plant.stage.GetSessionLayer().GetPrimAtPath("/line").RemoveProperty(
        desk.plant.stage.GetSessionLayer().GetPropertyAtPath("/line.twin:endpoint")
    )
    desk.clock.advance(0.1)
    desk.twin.sync_structure()
    assert desk.publish().state == "REJECTED"
    desk.tick(0.1)
    desk.feel("/Pump.ready", True)
    desk.feel("/Pump.rpm", 1000.0)
    assert desk.publish().state == "SENT"


def test_a_session_cannot_hide_one_of_two_redundant_permissives(opened: Open) -> None:
    desk = opened(
        pump(
            "bool shut = false",
            *(
                telemetry(name, address=name, target="/Pump.shut", redundancyGroup="shut")
                for name in ("one", "two")
            ),
            speed(permissives="/Pump.shut"),
        )
    )
    desk.feel("/Pump.one", False)
    desk.feel("/Pump.two", True)
    assert "false" in desk.publish().cause
    in_session(desk, "/Pump.twin:telemetry:one:address", "nowhere")
    desk.twin.sync_structure()
    made = desk.publish()
    assert (made.code, made.state) == ("permissive", "REJECTED")
    assert "unknown" in made.cause


# -- what goes away


def test_a_target_that_is_removed_ends_what_waits_and_forgets_the_rest(opened: Open) -> None:
    other = prim(
        "Fan", asset("F", level="twin", connection="line", roles=["operator"]), command("go")
    )
    desk = opened(pump() + other)
    sent, waiting = desk.publish(), desk.publish(1.0, target="/Fan.go")
    desk.plant.stage.RemovePrim("/Fan")
    desk.plant.stage.RemovePrim("/Pump")
    desk.twin.sync_structure()
    assert (waiting.state, waiting.code) == ("REJECTED", "guards")
    assert desk.path.targets.get(SPEED) is None
    for layer in (desk.twin.layers.desired, desk.twin.layers.state):
        for name in ("desired", "request", "status", "cause"):
            assert layer.GetAttributeAtPath(f"/Pump.twin:command:speed:{name}") is None
    desk.tick(0.1)
    desk.report(sent, Fate.SENT, Fate.ACKNOWLEDGED)
    desk.tick(60.0)
    assert sent.state == "UNVERIFIED"
    assert desk.states(sent)[-1] == "UNVERIFIED"
    with pytest.raises(CommandError, match="no command"):
        desk.path.publish(PublishRequest(target=SPEED, value=1.0), "ann")


def test_a_command_of_a_removed_target_does_not_go_to_the_old_address(opened: Open) -> None:
    desk = opened(pump(speed(), command("gate", approval="none")))
    stage = desk.plant.stage
    root = stage.GetRootLayer().GetPrimAtPath("/Pump")
    schemas = root.GetInfo("apiSchemas")
    kept = [name for name in schemas.prependedItems if name != "TwinCommandAPI:speed"]
    schemas.prependedItems = kept
    root.SetInfo("apiSchemas", schemas)
    made = desk.publish()
    assert made.state == "REQUESTED"
    desk.twin.sync_structure()
    desk.approve_guards()
    desk.tick()
    desk.flush()
    assert (made.state, desk.wire.sent) == ("REJECTED", [])


def test_prims_with_odd_names_are_commanded(opened: Open) -> None:
    text = (
        HEADER
        + connection()
        + prim(
            "Pümpe_ポンプ",
            asset("P", level="twin", connection="line", roles=["operator"]),
            command("a:b", approval="none"),
        )
    )
    desk = opened(text)
    (target,) = desk.path.targets
    made = desk.publish(5.0, target=target.binding.path)
    assert made.state == "SENT"
    assert desk.word("status", "/Pümpe_ポンプ", "a:b") == "SENT"


def test_closing_ends_what_waits_and_lets_nothing_more_leave(opened: Open) -> None:
    desk = opened(SINGLE)
    made = desk.publish()
    armed = opened_armed(desk)
    desk.path.close()
    desk.durable()
    desk.path.pump()
    assert (made.state, made.code) == ("SUPERSEDED", "newer")
    assert armed.state == "ARMED"
    assert desk.wire.sent == []


def opened_armed(desk: Desk) -> Command:
    """Return a command whose sending is being written ahead."""
    request = PublishRequest(target=SPEED, value=1.0, revision=desk.target().revision)
    made = desk.path.publish(request, "ann")
    desk.path.approve(made.id, "bob")
    assert made.state == "ARMED"
    return made
