"""Drafts: what settles is published once and newest only; everything else waits for a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Sdf

from stagetwin import OwnershipError, ServiceError
from stagetwin._errors import CommandError
from stagetwin.clock import ManualClock
from stagetwin.drafts import Draft, Drafts, DraftState, desired_of
from stagetwin.service import ControlClient
from tests.stages.command_service import CommandService, target
from tests.stages.plants import command, plant, prim, stage_of

P1, P2 = "/Plant/P1.speed", "/Plant/P2.speed"
# The mirror's own word counts for nothing: here it says the opposite of the service.
PLANT = plant(
    prim("P1", command("speed", publish="explicit")),
    prim("P2", command("speed", publish="settled")),
)


class Desk:
    """An editor at a mirror, and the service that the mirror talks to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = self.serve()
        self.clock = ManualClock()
        self.stage = stage_of(PLANT)
        self.before = self.stage.GetSessionLayer().ExportToString()
        self.drafts = Drafts(
            self.stage,
            lambda: ControlClient(folder / "s.sock", timeout=20),
            clock=self.clock,
        )
        self.stage.SetEditTarget(self.stage.GetEditTargetForLocalLayer(self.drafts.layer))
        self.until(lambda: not self.drafts.fault)

    def serve(self) -> CommandService:
        targets = [target(P1, publish="settled", debounce=1.0), target(P2)]
        return CommandService(self.folder / "s.sock", targets)

    def edit(self, name: str, value: float) -> None:
        assert self.stage.GetAttributeAtPath(desired_of(name)).Set(value)
        self.drafts.poll()

    def rest(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.drafts.poll()

    def until(self, what: Callable[[], Any], step: float = 0.0) -> None:
        """Tick until it is so; fail after 20 s."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.drafts.poll()
            if what():
                return
            time.sleep(0.005)
            self.clock.advance(step)
        raise AssertionError(f"it never came true: {self.drafts.drafts}, {self.drafts.fault!r}")

    def published(self) -> list[tuple[str, Any, int | None, str]]:
        """Return what the service was asked to publish."""
        return [
            (r["target"], r["value"], r["revision"], r["mode"])
            for r in self.service.requests("publish")
        ]

    def states(self) -> dict[str, DraftState]:
        return {draft.command: draft.state for draft in self.drafts.drafts}

    def close(self) -> None:
        self.service.close()
        self.drafts.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()
    assert not [t for t in threading.enumerate() if t.name == "draft courier"]


def test_an_edit_that_rests_is_published_once(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    assert desk.drafts.drafts == [
        Draft(command=P1, path=desired_of(P1), value=1300.0, state=DraftState.RESTING)
    ]
    desk.rest(0.9)
    assert desk.published() == []
    desk.rest(0.2)
    desk.until(lambda: not desk.drafts.drafts)
    desk.rest(5)
    desk.until(lambda: len(desk.service.requests("targets")) > 2, 1.0)
    assert desk.published() == [(P1, 1300.0, 7, "settled")]
    assert desk.drafts.published[P1]["value"] == 1300.0
    assert desk.stage.GetAttributeAtPath(desired_of(P1)).Get() == 1300.0


def test_only_the_newest_of_a_drag_is_published(desk: Desk) -> None:
    for step in range(50):
        desk.edit(P1, 1300.0 + step)
        desk.rest(0.1)
    desk.rest(1.0)
    desk.until(lambda: not desk.drafts.drafts)
    assert desk.published() == [(P1, 1349.0, 7, "settled")]


def test_another_target_waits_for_a_person(desk: Desk) -> None:
    desk.edit(P2, 900.0)
    desk.rest(60)
    assert desk.states() == {P2: DraftState.HELD}
    made = desk.drafts.publish(P2, "night shift")
    desk.until(lambda: not desk.drafts.drafts)
    (request,) = desk.service.requests("publish")
    assert request["id"] == made
    assert (request["reason"], request["mode"]) == ("night shift", "explicit")


def test_a_draft_may_be_published_before_it_settled_and_by_its_attribute(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    made = desk.drafts.publish(desired_of(P1))
    desk.rest(5)
    desk.until(lambda: not desk.drafts.drafts)
    assert [r["id"] for r in desk.service.requests("publish")] == [made]


def test_what_is_no_draft_cannot_be_published(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    with pytest.raises(CommandError, match=f"no draft of {P2}; drafts: {P1}"):
        desk.drafts.publish(P2)


def test_an_undo_is_a_draft_until_it_is_published(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: not desk.drafts.drafts)
    desk.edit(P1, 1400.0)
    desk.edit(P1, 1300.0)
    desk.rest(60)
    assert desk.states() == {P1: DraftState.HELD}
    assert "an undo or redo" in desk.drafts.drafts[0].cause
    assert desk.drafts.ignored[-1].command == P1
    desk.drafts.publish(P1)
    desk.until(lambda: not desk.drafts.drafts)
    assert [each[1] for each in desk.published()] == [1300.0, 1300.0]


def test_setting_back_what_the_service_desires_is_an_undo(desk: Desk) -> None:
    base = Sdf.Layer.CreateAnonymous("desired.usda")
    desk.stage.GetSessionLayer().subLayerPaths.append(base.identifier)
    assert Sdf.JustCreatePrimAttributeInLayer(base, desired_of(P1), Sdf.ValueTypeNames.Double)
    base.GetAttributeAtPath(desired_of(P1)).default = 1200.0
    desk.edit(P1, 1300.0)
    desk.edit(P1, 1200.0)
    desk.rest(60)
    assert desk.states() == {P1: DraftState.HELD}
    assert desk.published() == []


def test_clearing_takes_the_draft_back(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    desk.drafts.discard(desired_of(P1))
    desk.rest(60)
    assert desk.drafts.drafts == []
    assert desk.published() == []


def test_a_paste_stays_a_draft(desk: Desk) -> None:
    desk.edit(P1, 1.0)
    desk.edit(P2, 2.0)
    with Sdf.ChangeBlock():
        for name in (P1, P2):
            desk.drafts.layer.GetAttributeAtPath(desired_of(name)).default = 3.0
    desk.drafts.poll()
    desk.rest(60)
    assert desk.states() == {P1: DraftState.HELD, P2: DraftState.HELD}
    assert desk.published() == []


def test_what_the_layer_held_at_the_start_is_a_draft_and_stays_one(desk: Desk) -> None:
    desk.edit(P1, 1300.0)
    again = Drafts(
        desk.stage,
        lambda: ControlClient(desk.folder / "s.sock"),
        layer=desk.drafts.layer,
        clock=desk.clock,
    )
    assert [(d.command, d.state) for d in again.drafts] == [(P1, DraftState.HELD)]
    assert "was in the layer" in again.drafts[0].cause
    again.close()
    assert desk.drafts.layer.identifier in desk.stage.GetSessionLayer().subLayerPaths


def test_a_command_that_the_service_did_not_know_waits(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.service.targets.pop(P1)
    desk.until(lambda: P1 not in desk.drafts._targets, 0.5)
    desk.edit(P1, 1300.0)
    desk.service.targets[P1] = target(P1, publish="settled")
    desk.until(lambda: P1 in desk.drafts._targets, 0.5)
    desk.rest(60)
    assert desk.states() == {P1: DraftState.HELD}
    assert "did not know" in desk.drafts.drafts[0].cause
    desk.close()


def test_the_revision_is_the_one_that_the_editor_saw(desk: Desk) -> None:
    desk.service.targets[P1]["debounce"] = 30.0
    desk.until(lambda: desk.drafts._targets[P1].debounce == 30, 0.01)
    desk.edit(P1, 1300.0)
    desk.service.targets[P1]["revision"] = 9
    desk.until(lambda: desk.drafts._targets[P1].revision == 9, 0.01)
    desk.edit(P1, 1310.0)
    desk.rest(31)
    desk.until(lambda: desk.states() == {P1: DraftState.HELD})
    assert desk.published() == [(P1, 1310.0, 7, "settled")]
    assert desk.drafts.drafts[0].cause == "REJECTED: revision 7 is not current"
    desk.rest(60)
    # Its editor was told; publishing it again is to have seen the newest.
    desk.drafts.publish(P1)
    desk.until(lambda: not desk.drafts.drafts)
    assert desk.published()[1:] == [(P1, 1310.0, 9, "explicit")]
    ids = [r["id"] for r in desk.service.requests("publish")]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("validated", [True, False])
def test_own_commands_on_their_way_count_as_seen(desk: Desk, validated: bool) -> None:
    desk.service.life = [("VALIDATED", "", "")] if validated else []
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: not desk.drafts.drafts)
    desk.edit(P1, 1400.0)
    if not validated:
        (first,) = desk.service.commands
        desk.service.turn(first, "VALIDATED")
    desk.clock.ticks += 1.5
    desk.until(lambda: not desk.drafts.drafts)
    assert desk.published() == [(P1, 1300.0, 7, "settled"), (P1, 1400.0, 8, "settled")]


def test_an_edit_while_the_one_before_is_sent_counts_it_as_seen(desk: Desk) -> None:
    desk.service.life = [("VALIDATED", "", "")]
    desk.service.mute.set()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.service.asked[-1]["op"] == "publish")
    desk.edit(P1, 1400.0)
    desk.rest(1.5)
    desk.service.mute.clear()
    desk.until(lambda: not desk.drafts.drafts)
    assert desk.published() == [(P1, 1300.0, 7, "settled"), (P1, 1400.0, 8, "settled")]


def test_a_service_that_does_not_answer_keeps_nobody_waiting(desk: Desk) -> None:
    desk.service.mute.set()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    assert desk.states() == {P1: DraftState.SENDING}
    for step in range(100):
        desk.edit(P2, float(step))
    # All of this came back while the service was silent.
    assert desk.service.mute.is_set()
    desk.service.mute.clear()
    desk.until(lambda: desk.states() == {P2: DraftState.HELD})


def test_a_withdrawn_edit_is_not_sent_any_more(desk: Desk) -> None:
    desk.service.mute.set()
    desk.rest(1.5)
    desk.until(lambda: desk.service.asked[-1]["op"] == "targets")
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    assert desk.states() == {P1: DraftState.SENDING}
    desk.edit(P1, 1400.0)
    desk.rest(1.5)
    desk.service.mute.clear()
    desk.until(lambda: not desk.drafts.drafts)
    assert [each[1] for each in desk.published()] == [1400.0]


def test_a_lost_connection_keeps_the_draft_and_the_id(desk: Desk) -> None:
    desk.service.close()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.drafts.fault and desk.states() == {P1: DraftState.RESTING})
    assert "no service listens" in desk.drafts.drafts[0].cause or desk.drafts.fault
    sent = desk.drafts._pending[P1].sent
    assert sent is not None
    desk.service = desk.serve()
    desk.until(lambda: not desk.drafts.drafts, 0.02)
    assert [r["id"] for r in desk.service.requests("publish")] == [sent.id]
    assert desk.drafts.fault == ""


def test_an_answer_that_was_lost_is_asked_for_with_the_same_id(desk: Desk) -> None:
    desk.service.mute.set()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.service.asked[-1]["op"] == "publish")
    first = desk.service
    first.close()  # it went with the request in its hands
    desk.service = desk.serve()
    desk.until(lambda: not desk.drafts.drafts, 0.02)
    (lost,), (again,) = first.requests("publish"), desk.service.requests("publish")
    assert lost == again


def test_a_newer_edit_takes_the_place_of_one_that_did_not_get_through(desk: Desk) -> None:
    desk.service.close()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.states() == {P1: DraftState.RESTING})
    old = desk.drafts._pending[P1].sent
    assert old is not None
    desk.edit(P1, 1400.0)
    desk.service = desk.serve()
    desk.rest(1.5)
    desk.until(lambda: not desk.drafts.drafts, 0.01)
    (request,) = desk.service.requests("publish")
    assert request["value"] == 1400.0
    assert request["id"] > old.id


def test_no_machine_moves_long_after_the_edit(desk: Desk) -> None:
    desk.service.close()
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.states() == {P1: DraftState.HELD}, 0.2)
    assert "was not reached in 10 s" in desk.drafts.drafts[0].cause
    desk.service = desk.serve()
    desk.until(lambda: not desk.drafts.fault, 0.2)
    desk.rest(60)
    desk.until(lambda: len(desk.service.requests("targets")) > 1, 1.0)
    assert desk.published() == []
    desk.drafts.publish(P1)
    desk.until(lambda: not desk.drafts.drafts)
    assert len(desk.published()) == 1


def test_a_refusal_is_told_and_not_tried_again(desk: Desk) -> None:
    desk.service.refuse = "this service does not allow commands"
    desk.edit(P1, 1300.0)
    desk.rest(1.5)
    desk.until(lambda: desk.states() == {P1: DraftState.HELD})
    assert desk.drafts.drafts[0].cause == "this service does not allow commands"
    assert desk.drafts.fault == ""
    desk.rest(60)
    desk.until(lambda: len(desk.service.requests("targets")) > 3, 1.0)
    assert len(desk.published()) == 1


def test_too_many_questions_are_said_and_the_draft_stays(desk: Desk) -> None:
    desk.service.mute.set()
    desk.edit(P1, 1300.0)
    asked = len(desk.service.asked)
    desk.drafts._courier.ask_targets()
    desk.until(lambda: len(desk.service.asked) > asked)
    while desk.drafts._courier.ask_targets():
        pass
    desk.rest(1.5)
    assert desk.drafts.drafts[0].cause == "too many questions to the service wait"
    with pytest.raises(CommandError, match="too many questions"):
        desk.drafts.publish(P1)
    desk.service.mute.clear()
    desk.until(lambda: not desk.drafts.drafts)
    assert len(desk.published()) == 1


def test_whatever_a_connection_raises_is_told() -> None:
    wrong = [True]

    def connect() -> _Book:
        if wrong[0]:
            raise RuntimeError("a fault of the viewer's")
        return _Book()

    clock = ManualClock()
    drafts = Drafts(stage_of(PLANT), connect, clock=clock)
    deadline = time.monotonic() + 20
    while "RuntimeError: a fault of the viewer's" not in drafts.fault:
        assert time.monotonic() < deadline
        drafts.poll()
        time.sleep(0.001)
    wrong[0] = False
    while drafts.fault:
        assert time.monotonic() < deadline
        clock.advance(0.5)
        drafts.poll()
        time.sleep(0.001)
    drafts.close()
    assert drafts.drafts == []


def test_another_thread_may_do_nothing(desk: Desk) -> None:
    raised: list[Exception] = []

    def run() -> None:
        for call in (desk.drafts.poll, lambda: desk.drafts.publish(P1), desk.drafts.close):
            try:
                call()
            except OwnershipError as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(raised) == 3


def test_closing_leaves_the_stage_as_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.edit(P1, 1300.0)
    assert desk.stage.GetSessionLayer().subLayerPaths[0] == desk.drafts.layer.identifier
    desk.close()
    assert desk.stage.GetSessionLayer().ExportToString() == desk.before
    assert desk.published() == []


class _Book:
    """A service in this process that records what is published."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.row = target(P1, publish="settled", debounce=1.0)
        self.down = False

    def ask(self, **request: Any) -> dict[str, Any]:
        if self.down:
            raise ServiceError("no service listens")
        if request["op"] == "targets":
            return {"targets": [self.row]}
        if request["op"] != "publish":
            return {"commands": []}
        if request["id"] not in {each["id"] for each in self.published}:
            self.published.append(request)
            self.row["revision"] += 1
        return {
            "command": {
                "state": "VALIDATED",
                "ended": False,
                "cause": "",
                "revision": self.row["revision"],
            }
        }

    def close(self) -> None:
        pass


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.sampled_from([0.3, 0.6, 1.1, 3.0])),
        st.tuples(st.just("clear"), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_exactly_what_rested_is_published(events: list[tuple[str, float]]) -> None:
    book, clock, stage = _Book(), ManualClock(), stage_of(PLANT)
    drafts = Drafts(stage, lambda: book, clock=clock)
    stage.SetEditTarget(stage.GetEditTargetForLocalLayer(drafts.layer))

    def idle() -> None:
        # Everything that was handed to the courier has come back.
        deadline = time.monotonic() + 20
        drafts.poll()
        while drafts._asking or any(d.state is DraftState.SENDING for d in drafts.drafts):
            assert time.monotonic() < deadline
            time.sleep(0.0005)
            drafts.poll()

    idle()
    attr = stage.GetAttributeAtPath(desired_of(P1))
    expected: list[float] = []
    newest: tuple[float, float] | None = None
    had: set[float] = set()
    now = 0.0
    for kind, number in [*events, ("wait", 3.0)]:
        if kind == "set":
            attr.Set(float(number))
            if number not in had:
                newest = (number, now)
            elif newest is None or newest[0] != number:
                newest = None
            had.add(number)
        elif kind == "clear":
            attr.Clear()
            newest = None
        else:
            now += number
            drafts.poll()
            clock.advance(number)
            if newest is not None and now - newest[1] >= 1.0 - 1e-9:
                expected.append(newest[0])
                newest = None
        idle()
    drafts.close()
    assert [each["value"] for each in book.published] == expected
    assert all(each["mode"] == "settled" for each in book.published)
    # Nobody else wrote: no edit was held against its own editor.
    assert [each["revision"] for each in book.published] == list(range(7, 7 + len(expected)))
