"""Live sessions: what both shells stand on, against a small service on a real WebSocket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin import CommandError, OwnershipError, ServiceError
from stagetwin.clock import ManualClock
from stagetwin.drafts import DraftState
from stagetwin.sync import LiveSession
from stagetwin.sync import _client as client_module
from stagetwin.sync import _session as session_module
from stagetwin.sync._rows import Row, Summary
from tests.stages.command_service import target
from tests.stages.plants import asset, command, full_path, plant, prim, stage_of, telemetry
from tests.stages.sync.boards import row
from tests.stages.sync.tiny_service import TinyService, until

SPEED, MODE, POSE, PLACE, LIFT = (
    f"/Plant/P1.{name}" for name in ("speed", "mode", "pose", "place", "lift")
)
FLOW = full_path("/Plant/P1.flow")
DESIRED = "/Plant/P1.twin:command:speed:desired"
MOVED = "double3 xformOp:translate = (10, 0, 0)\n" + (
    'uniform token[] xformOpOrder = ["xformOp:translate"]'
)
TEXT = plant(
    prim(
        "P1",
        asset("P1"),
        telemetry("flow"),
        telemetry("mode", "token"),
        command("speed"),
        command("mode", "token"),
        command("pose", "matrix4d"),
        command("place", "double3"),
        command("lift"),
    ),
    prim("Marker", MOVED),
    MOVED,
)


class Shell:
    """A shell: a stage, a session on it, and a service that answers as a test says."""

    def __init__(self, text: str = TEXT) -> None:
        self.service = TinyService()
        rows = [row("/Plant/P1.flow", unit="m3/h", softMin=1.0, softMax=9.0, min=0.0, label="Flow")]
        self.service.board.table([*rows, row("/Plant/P1.mode", "token")])
        self.targets = {
            SPEED: target(SPEED, publish="settled", debounce=1.0, desired=None),
            MODE: target(MODE, "token", allowed=["auto", "hand"], min=None, max=None, desired=None),
            POSE: target(POSE, "matrix4d", min=None, max=None, desired=None),
            PLACE: target(PLACE, "double3", min=None, max=None, desired=None),
            LIFT: target(LIFT, desired=None),
        }
        self.service.answers["targets"] = lambda _: {"targets": list(self.targets.values())}
        self.service.answers["commands"] = lambda _: {"commands": []}
        self.service.answers["publish"] = self.published
        self.stage = stage_of(text)
        self.before = self.stage.GetSessionLayer().ExportToString()
        self.clock = ManualClock()
        self.session = LiveSession(self.stage, self.service.url, clock=self.clock)
        self.seen: set[str] = set()
        self.until(lambda: self.session.targets() and self.session.mirror.tick)

    def published(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"command": self.command(request["id"], "REQUESTED", request["value"])}

    def command(self, identity: str, state: str, value: Any, **fields: Any) -> dict[str, Any]:
        made = {"id": identity, "target": SPEED, "value": value, "state": state, "cause": ""}
        ended = state in ("VERIFIED", "REJECTED")
        return {**made, "created": 1.0, "revision": 0, "ended": ended, **fields}

    def tick(self) -> Summary:
        summary = self.session.tick()
        self.seen |= summary.changed
        return summary

    def until(self, what: Callable[[], Any]) -> Any:
        return until(lambda: self.tick() and what())

    def rest(self, seconds: float) -> None:
        self.tick()
        self.clock.advance(seconds)
        self.tick()

    def get(self, path: str) -> Any:
        return self.stage.GetAttributeAtPath(path).Get()

    def close(self) -> None:
        try:
            self.session.close()
            assert self.stage.GetSessionLayer().ExportToString() == self.before
        finally:
            self.service.close()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setattr(client_module, "SHORTEST_WAIT", 0.02)
    made = Shell()
    yield made
    made.close()


# -- looking


def test_a_tick_brings_the_stage_and_the_dock_up_to_date(shell: Shell) -> None:
    shell.service.update([0], [3.25])
    shell.until(lambda: shell.get(FLOW) == 3.25)
    flow, mode = shell.session.rows("/Plant/P1")
    assert isinstance(flow, Row)
    assert (flow.label, flow.text, flow.unit, flow.quality) == ("Flow", "3.25", "m3/h", "good")
    assert (flow.low, flow.high, flow.minimum, flow.maximum) == (1.0, 9.0, 0.0, None)
    assert 0 <= flow.age < 60
    assert (mode.text, mode.quality, mode.unit) == ("-", "stale", "")
    assert shell.session.rows("/Plant/P2") == []
    assert [each.path for each in shell.session.rows("/Plant/P1.mode")] == ["/Plant/P1.mode"]
    summary = shell.tick()
    assert (summary.state, summary.user, summary.problems) == ("live", "ada", 0)
    assert {"values", "state", "commands"} <= shell.seen


def test_the_thread_of_the_stage_alone_may_tick(shell: Shell) -> None:
    raised: list[Exception] = []

    def work() -> None:
        for call in (shell.session.tick, shell.session.rows, shell.session.close):
            with pytest.raises(OwnershipError) as error:
                call()
            raised.append(error.value)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(raised) == 3


def test_events_become_lists_and_opinions(shell: Shell) -> None:
    alarm = {"id": "/Plant/P1.hot", "prim": "/Plant/P1", "name": "hot", "asset": "/Plant/P1"}
    alarm |= {"state": "UNACK", "priority": "high", "cause": "too hot", "changed": 5.0}
    shell.service.event({"op": "alarm", "alarm": {**alarm, "raised": 5.0}})
    shell.service.event({"op": "connections", "connections": {"line": {"state": "failed"}}})
    shell.service.event({"op": "presence", "people": [{"session": "s2", "user": "bo"}]})
    shell.service.event({"op": "alarm", "alarm": {**alarm, "id": "/Nowhere.x", "prim": "/Nowhere"}})
    shell.until(lambda: len(shell.session.alarms()) == 2 and shell.session.people())
    assert [row["id"] for row in shell.session.alarms("/Plant")] == ["/Plant/P1.hot"]
    assert shell.tick().alarms == {"high": 2}
    assert shell.get("/Plant/P1.twin:alarm:hot:state") == "UNACK"
    assert shell.get("/Plant/P1.twin:alarm:hot:cause") == "too hot"
    assert shell.get("/Plant/P1.twin:alarm:hot:since") == 5.0
    assert shell.get("/Plant/P1.twin:alarmState") == "high"
    assert shell.get("/line.twin:state") == "failed"
    assert "no prim /Nowhere" in shell.session.mirror.problems["/Nowhere.x"]
    shell.service.event({"op": "alarm", "alarm": {**alarm, "state": "NORMAL"}})
    shell.until(lambda: len(shell.session.alarms()) == 1)
    assert shell.get("/Plant/P1.twin:alarmState") == "none"
    assert not shell.stage.GetAttributeAtPath("/Plant/P1.twin:alarm:hot:state")
    assert shell.seen >= {"alarms", "people"}


def test_a_command_is_followed_on_its_prim_and_in_the_list(shell: Shell) -> None:
    def turn(identity: str, state: str, value: float, **fields: Any) -> None:
        row = shell.command(identity, state, value, **fields)
        shell.service.event({"op": "command", "command": row})

    shell.targets[SPEED] |= {"desired": 1200.0, "revision": 8}
    turn("a", "REQUESTED", 1500.0)
    shell.until(lambda: shell.get(DESIRED) == 1200.0)
    turn("a", "VALIDATED", 1500.0, revision=9)
    shell.until(lambda: shell.get("/Plant/P1.twin:command:speed:status") == "VALIDATED")
    assert shell.get(DESIRED) == 1500.0
    assert shell.get("/Plant/P1.twin:command:speed:request") == "a"
    turn("a", "REJECTED", 1500.0, revision=9, cause="not remote")
    shell.until(lambda: shell.get("/Plant/P1.twin:command:speed:cause") == "not remote")
    assert shell.get(DESIRED) == 1200.0
    assert [row["state"] for row in shell.session.commands("/Plant/P1")] == ["REJECTED"]
    turn("b", "SENT", 1600.0, revision=11, created=2.0)
    turn("a", "REJECTED", 1500.0, revision=9, cause="late note")
    shell.until(lambda: len(shell.session.commands()) == 2)
    assert shell.get("/Plant/P1.twin:command:speed:status") == "SENT"
    assert [row["id"] for row in shell.session.commands()] == ["b", "a"]


def test_a_topic_is_a_prim_until_it_is_removed(shell: Shell) -> None:
    topic = {
        "id": "0198c0de-0000-7000-8000-000000000001",
        "title": "Handle hits the rail",
        "description": "",
        "type": "issue",
        "status": "open",
        "priority": "normal",
        "approval": "none",
        "author": "ada",
        "created": 1.0,
        "changed": 2.0,
        "revision": 1,
        "assigned": "",
        "labels": [],
        "anchors": [
            {
                "prim": "/Plant/P1",
                "point": [0, 0, 1],
                "normal": None,
                "instance": -1,
                "id": "P1",
                "history": [],
                "orphaned": False,
                "moved_to": "",
            }
        ],
        "viewpoint": None,
        "sections": [],
        "values": [],
        "comments": [],
        "snapshot": "",
        "prims": ["/Plant/P1"],
    }
    path = "/Review/Topic_0198c0de_0000_7000_8000_000000000001"
    shell.service.event({"op": "topic", "topic": topic})
    shell.until(lambda: shell.session.topics("/Plant"))
    assert shell.get(f"{path}.review:title") == "Handle hits the rail"
    assert shell.get(f"{path}/Anchor_0.review:point") == Gf.Vec3d(0, 0, 1)
    assert shell.session.topics("/Elsewhere") == []
    shell.service.event({"op": "topic", "topic": {**topic, "anchors": "none"}})
    shell.service.event({"op": "topic", "topic": {**topic, "title": "Turned"}})
    shell.until(lambda: shell.get(f"{path}.review:title") == "Turned")
    gone = {"id": topic["id"], "removed": True}
    shell.service.event({"op": "topic", "topic": gone, "removed": True})
    shell.until(lambda: not shell.session.topics())
    assert not shell.stage.GetPrimAtPath(path)


def test_a_lost_connection_shows_nothing_as_good_and_what_was_open_is_told_anew(
    shell: Shell,
) -> None:
    shell.service.update([0], [3.0])
    alarm = {"id": "/Plant/P1.hot", "prim": "/Plant/P1", "name": "hot", "asset": "/Plant/P1"}
    alarm |= {"state": "UNACK", "priority": "low", "cause": "", "changed": 5.0}
    shell.service.event({"op": "alarm", "alarm": alarm})
    shell.until(lambda: shell.session.alarms() and shell.get(FLOW) == 3.0)
    assert shell.get(full_path("/Plant/P1.flow", "quality")) == "good"
    shell.service.redirect = "ws://127.0.0.1:9/sync"  # nobody gets in
    shell.service.cut()
    shell.until(lambda: shell.get(full_path("/Plant/P1.flow", "quality")) == "stale")
    assert shell.tick().state == "lost"
    assert shell.get(FLOW) == 3.0
    assert shell.session.rows()[0].quality == "stale"
    shell.service.redirect = ""
    shell.until(lambda: shell.get(full_path("/Plant/P1.flow", "quality")) == "good")
    shell.until(lambda: not shell.session.alarms())
    assert not shell.stage.GetAttributeAtPath("/Plant/P1.twin:alarm:hot:state")


def test_a_part_of_the_stage_that_comes_later_is_followed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "LOOK_EVERY", 0.0)
    shell.service.update([0], [3.0])
    shell.until(lambda: shell.get(FLOW) == 3.0)
    plant_prim = shell.stage.GetPrimAtPath("/Plant")
    plant_prim.SetActive(False)
    shell.until(lambda: shell.tick().problems == 2)
    plant_prim.SetActive(True)
    shell.until(lambda: shell.tick().problems == 0 and shell.get(FLOW) == 3.0)


# -- what is asked


def test_what_is_asked_returns_at_once_and_comes_back_as_a_notice(shell: Shell) -> None:
    for operation in ("approve_command", "cancel", "halt", "acknowledge_alarm"):
        shell.service.answers[operation] = lambda _: {}
    session = shell.session
    session.approve("c1", hash="abc")
    session.deny("c2", "no")
    session.cancel("c3")
    session.halt("/Plant", "leak")
    session.acknowledge("/Plant/P1.hot", "seen")
    shell.until(lambda: len(session.notices) == 5)
    assert "deny_command: no operation 'deny_command'" in session.notices
    assert "stop requested below /Plant" in session.notices
    assert shell.service.asked("approve_command") == [
        {"op": "approve_command", "id": "c1", "hash": "abc"}
    ]
    found: list[Any] = []
    session.ask({"op": "halt", "prim": "/"}, found.append)
    shell.until(lambda: found)
    assert found[0].fields() == {}


def test_others_are_told_where_one_looks(shell: Shell) -> None:
    shell.session.present(camera={"position": [1, 2, 3]})
    shell.session.present(selection=["/Plant/P1"])
    shell.until(lambda: shell.service.asked("presence"))
    said = shell.service.asked("presence")[0]
    assert said == {
        "op": "presence",
        "camera": {"position": [1, 2, 3]},
        "selection": ["/Plant/P1"],
    }


# -- drafts


def test_a_draft_is_held_to_what_the_service_takes(shell: Shell) -> None:
    session = shell.session
    for name, value, cause in (
        (SPEED, 4000.0, r"takes a double in \[0.0, 3000.0\] 1/min: 4000 is outside"),
        (SPEED, "fast", "expected a number"),
        (MODE, "of", "'of' is none of 'auto', 'hand'"),
        (POSE, [1.0], "expected 16 numbers"),
        ("/Plant/P1.flow", 1.0, "offers no command /Plant/P1.flow"),
    ):
        with pytest.raises(CommandError, match=cause):
            session.draft(name, value)
    shell.rest(60)
    assert session.drafts() == []
    assert session.layer.empty


def test_a_draft_is_written_to_its_own_layer_and_the_edit_target_stays(shell: Shell) -> None:
    session, stage = shell.session, shell.stage
    root, target_before = stage.GetRootLayer().ExportToString(), stage.GetEditTarget()
    session.draft(MODE, "hand")
    session.draft(PLACE, Gf.Vec3d(1, 2, 3))
    shell.tick()
    assert stage.GetEditTarget() == target_before
    assert stage.GetRootLayer().ExportToString() == root
    assert {draft.command: draft.value for draft in session.drafts()} == {
        MODE: "hand",
        PLACE: [1.0, 2.0, 3.0],
    }
    assert shell.get("/Plant/P1.twin:command:mode:desired") == "hand"
    made = session.publish(MODE, "night shift")
    (request,) = shell.until(lambda: shell.service.asked("publish"))
    assert (request["id"], request["value"], request["reason"]) == (made, "hand", "night shift")
    session.withdraw(PLACE)
    shell.until(lambda: not session.drafts())
    row = shell.command(made, "VERIFIED", "hand", target=MODE)
    shell.service.event({"op": "command", "command": row})
    shell.until(lambda: f"{MODE}: VERIFIED" in session.notices)


def test_a_draft_that_another_edit_hides_is_told(shell: Shell) -> None:
    shell.stage.SetEditTarget(shell.stage.GetSessionLayer())
    shell.stage.GetAttributeAtPath(DESIRED).Set(5.0)
    shell.session.draft(SPEED, 7.0)
    assert "hides the draft" in shell.session.notices[-1]
    del shell.stage.GetSessionLayer().rootPrims["Plant"]


def nothing_but(shell: Shell, wanted: list[float]) -> None:
    """See that these alone were published, by an edit after them that must be."""
    attr = shell.stage.GetAttributeAtPath(DESIRED)
    with Usd.EditContext(shell.stage, shell.stage.GetEditTargetForLocalLayer(shell.session.layer)):
        attr.Set(2999.0)
    shell.until(lambda: shell.clock.advance(0.5) or shell.service.asked("publish")[len(wanted) :])
    assert [request["value"] for request in shell.service.asked("publish")] == [*wanted, 2999.0]


def in_drafts(shell: Shell) -> Any:
    return Usd.EditContext(shell.stage, shell.stage.GetEditTargetForLocalLayer(shell.session.layer))


def test_an_edit_with_the_wrong_edit_target_never_publishes(shell: Shell) -> None:
    attr = shell.stage.GetAttributeAtPath(DESIRED)
    session_layer = shell.stage.GetSessionLayer()
    for layer in (shell.stage.GetRootLayer(), session_layer, shell.session.mirror.layer):
        shell.stage.SetEditTarget(shell.stage.GetEditTargetForLocalLayer(layer))
        attr.Set(1300.0)
        shell.rest(60)
        assert shell.session.drafts() == []
        attr.Clear()
    del session_layer.rootPrims["Plant"]
    nothing_but(shell, [])


def test_undo_and_redo_never_publish(shell: Shell) -> None:
    attr = shell.stage.GetAttributeAtPath(DESIRED)
    with in_drafts(shell):
        attr.Set(1300.0)
        shell.rest(2)
        shell.until(lambda: shell.service.asked("publish"))
        shell.until(lambda: not shell.session.drafts())
        attr.Set(1400.0)
        shell.rest(0.5)
        for value in (1300.0, 1400.0, 1300.0):
            attr.Set(value)
            shell.rest(60)
            (draft,) = shell.session.drafts()
            assert draft.state is DraftState.HELD
            assert "undo" in draft.cause
        attr.Clear()
        shell.rest(60)
    nothing_but(shell, [1300.0])


@pytest.mark.parametrize("how", ["set back", "cleared", "withdrawn"])
def test_a_cancelled_drag_never_publishes(shell: Shell, how: str) -> None:
    shell.targets[SPEED] |= {"desired": 1200.0, "revision": 8}
    shell.service.event({"op": "command", "command": shell.command("x", "REQUESTED", 1.0)})
    shell.until(lambda: shell.get(DESIRED) == 1200.0)
    attr = shell.stage.GetAttributeAtPath(DESIRED)
    with in_drafts(shell):
        for step in range(20):
            attr.Set(1201.0 + step)
            shell.rest(0.2)
        if how == "set back":
            attr.Set(1200.0)
        elif how == "cleared":
            attr.Clear()
        else:
            shell.session.withdraw(SPEED)
        shell.rest(60)
    nothing_but(shell, [])


def test_a_marker_that_was_moved_is_a_draft_by_the_type_of_its_command(shell: Shell) -> None:
    session = shell.session
    # Both stand below /Plant, which is 10 along X: places are in the space that they share.
    marker = UsdGeom.Xformable(shell.stage.GetPrimAtPath("/Plant/Marker"))
    marker.GetXformOpOrderAttr().Clear()
    marker.ClearXformOpOrder()
    marker.AddTransformOp().Set(
        Gf.Matrix4d(1).SetRotate(Gf.Rotation(Gf.Vec3d(0, 0, 1), 90)).SetTranslateOnly((1, 2, 3))
    )
    session.draft_move("/Plant/Marker", PLACE)
    session.draft_move("/Plant/Marker", POSE)
    session.draft_move("/Plant/Marker", LIFT, axis="z")
    shell.tick()
    values = {draft.command: draft.value for draft in session.drafts()}
    assert values[PLACE] == pytest.approx([1, 2, 3])
    assert values[LIFT] == pytest.approx(3)
    flat = [number for each in values[POSE] for number in each]
    assert flat == pytest.approx([0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 1])
    (pose,) = [draft for draft in session.drafts() if draft.command == POSE]
    ghost = session.ghost(pose)
    assert ghost is not None
    assert ghost[12:15] == pytest.approx((11, 2, 3))
    for prim_path, name, axis, cause in (
        ("/Plant/Marker", LIFT, "", "name the axis"),
        ("/Plant/Marker", MODE, "", "is a token, which is no place"),
        ("/Nowhere", PLACE, "", "/Nowhere is no prim that stands somewhere"),
    ):
        with pytest.raises(CommandError, match=cause):
            session.draft_move(prim_path, name, axis)


def test_what_others_consider_is_a_ghost_and_own_drafts_are_told(shell: Shell) -> None:
    shell.service.event({"op": "presence", "people": [{"session": "s7"}, {"session": "s1"}]})
    for target_path, value in ((PLACE, [1, 2, 3]), (MODE, "hand"), ("/Gone.x", 1)):
        said = {"op": "draft", "session": "s7", "user": "bo", "target": target_path}
        shell.service.event({**said, "value": value})
    shell.until(lambda: len(shell.session.others()) == 3)
    ghosts = {ghost.target: ghost for ghost in shell.session.others()}
    assert (ghosts[PLACE].user, ghosts[PLACE].prim) == ("bo", "/Plant/P1")
    matrix = ghosts[PLACE].matrix
    assert matrix is not None
    assert matrix[12:15] == (11.0, 2.0, 3.0)
    assert ghosts[MODE].matrix is None
    said = {"op": "draft", "session": "s7", "user": "bo", "target": MODE, "value": None}
    shell.service.event(said)
    shell.until(lambda: len(shell.session.others()) == 2)
    shell.service.event({"op": "presence", "people": [{"session": "s1"}]})
    shell.until(lambda: not shell.session.others())
    shell.session.draft(MODE, "auto")
    shell.until(lambda: shell.service.asked("draft"))
    shell.session.withdraw(MODE)
    shell.until(lambda: len(shell.service.asked("draft")) == 2)
    assert [(d["target"], d["value"]) for d in shell.service.asked("draft")] == [
        (MODE, "auto"),
        (MODE, None),
    ]


# -- leaving


def test_closing_restores_the_stage_and_a_wrong_url_never_touches_it() -> None:
    stage = stage_of(TEXT)
    session_layer = stage.GetSessionLayer()
    session_layer.subLayerPaths.append(Sdf.Layer.CreateAnonymous().identifier)
    before = session_layer.ExportToString()
    with pytest.raises(ServiceError, match="loopback only"):
        LiveSession(stage, "http://plant.example")
    assert session_layer.ExportToString() == before
    session = LiveSession(stage, "http://127.0.0.1:9")
    summary = session.tick()
    assert summary.state in ("connecting", "lost")
    assert session.rows() == []
    assert session_layer.ExportToString() != before
    session.close()
    session.close()
    assert session_layer.ExportToString() == before
    assert session.tick().state == "closed"
    assert [t for t in threading.enumerate() if t.name in ("sync", "draft courier")] == []
