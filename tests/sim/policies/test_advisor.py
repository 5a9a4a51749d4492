"""A policy over fleet control: shadow, advice, and a loop that ends when anything is in doubt."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import CommandError, StagetwinError
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies import (
    ActionSpec,
    Advisor,
    Approval,
    Bounds,
    Bundle,
    Envelope,
    ModelSpec,
    ObservationSpec,
    PolicySpec,
    Proposal,
    Reading,
    Route,
    Runner,
    Session,
    SigningKey,
    SpeedLimit,
    Stage,
    Switch,
    Term,
)

from .small_bundles import linear_model

AUTHOR, PERSON, STRANGER = (SigningKey.make() for _ in range(3))
HOLD_1, GOAL, SPEED = "/Plant/AMR1.pause", "/Plant/AMR1.goal", "/Plant/Fleet.speed"
ENVELOPE = Envelope(
    commands=(
        Bounds(target=HOLD_1, values=(True, False)),
        Bounds(target=GOAL, values=("A", "B")),
        Bounds(target=SPEED, low=0.2, high=1.0),
    ),
    seconds=30.0,
    per_minute=10,
)
ADVICE = (
    Switch(action="release", target=HOLD_1, above=False, below=True),
    Route(action="route", target=GOAL, places=("A", "B", "C")),
    SpeedLimit(action="limit", target=SPEED),
)


def bundle() -> Bundle:
    """Return a policy that says what it is told: five numbers in, the same out."""

    def term(name: str, shape: int, high: float = 1.0) -> Term:
        return Term(name=name, shape=(shape,), scale=high / 2, offset=high / 2, low=0.0, high=high)

    asked = Term(name="asked", shape=(5,), low=-1.0, high=1.0)
    spec = PolicySpec(
        name="releases",
        version="1",
        task="zone-release",
        kind="advice",
        rate=1.0,
        observations=(ObservationSpec(term=asked, max_age=1.5),),
        actions=(
            ActionSpec(term=term("release", 1)),
            ActionSpec(term=term("route", 3)),
            ActionSpec(term=term("limit", 1, 2.0)),
        ),
        model=ModelSpec(opset=18),
    )
    return Bundle(spec=spec, model=linear_model(np.eye(5, dtype=np.float32)))


class Paper:
    """A desk that writes down what comes."""

    def __init__(self) -> None:
        self.drafts: list[tuple[str, Any]] = []
        self.requests: list[tuple[str, Any, str]] = []
        self.refuses = self.bad = self.silent = self.doubts = ""
        self.sessions: list[str] = []
        self.ends: list[str] = []
        self.beats: list[tuple[str, dict[str, Any]]] = []

    def open(self, session: Session, envelope: Envelope, policy: str) -> None:
        if self.refuses:
            raise StagetwinError(self.refuses)
        assert session.envelope == envelope.digest
        self.sessions.append(policy)

    def begin(self, approval: Approval) -> None:
        if self.doubts:
            raise StagetwinError(self.doubts)

    def end(self, cause: str) -> None:
        self.ends.append(cause)

    def beat(self, stage: Stage, counts: Any, advice: Any) -> None:
        if self.silent:
            raise StagetwinError(self.silent)
        self.beats.append((str(stage), dict(advice)))

    def draft(self, proposal: Proposal, reason: str) -> None:
        self.drafts.append((proposal.target, proposal.value))

    def publish(self, proposal: Proposal, reason: str) -> None:
        if self.refuses:
            raise StagetwinError(self.refuses)
        self.requests.append((proposal.target, proposal.value, reason))

    def trouble(self) -> str:
        if self.bad == "?":
            raise StagetwinError("no service")
        return self.bad


class Room:
    """An adviser at a desk, with a clock that is set by hand."""

    def __init__(self, envelope: Envelope = ENVELOPE) -> None:
        self.now = 100.0
        self.desk = Paper()
        self.record: list[dict[str, Any]] = []
        self.advisor = Advisor(
            Runner(bundle().sign(PERSON), lambda: self.now),
            ADVICE,
            self.desk,
            envelope=envelope,
            author=AUTHOR.public.id,
            approvers=[PERSON.public, AUTHOR.public],
            record=lambda line: self.record.append(json.loads(line)),
            clock=lambda: self.now,
        )

    def approve(self) -> Approval:
        return Approval.give(self.advisor.session, PERSON, reason="watched it", time=1.0)

    def loop(self) -> None:
        self.advisor.advise()
        self.advisor.close_loop(self.approve())

    def say(
        self, release: float = 1.0, route: tuple[float, ...] = (1.0, 0.0, 0.0), limit: float = 0.0
    ) -> None:
        self.now += 1.0
        asked = Reading([release, *route, limit], self.now)
        assert self.advisor.step({"asked": asked}) is not None


FIRST = [(HOLD_1, False), (GOAL, "A"), (SPEED, 1.0)]


def test_a_shadow_only_records() -> None:
    room = Room()
    room.say()
    assert room.advisor.stage is Stage.SHADOW
    assert (room.desk.drafts, room.desk.requests) == ([], [])
    said = [(r["target"], r["value"]) for r in room.record if r["what"] == "shadow"]
    assert said == FIRST


def test_advice_is_drafted_and_only_what_changes() -> None:
    room = Room()
    room.advisor.advise()
    room.say()
    room.say()
    room.say(release=-1.0)
    room.say(release=0.02)  # within the band: nothing changes
    assert room.desk.drafts == [*FIRST, (HOLD_1, True)]
    assert room.desk.requests == []


def test_a_loop_publishes_and_says_who_let_it() -> None:
    room = Room()
    room.loop()
    room.say()
    assert [one[:2] for one in room.desk.requests] == FIRST
    reason = room.desk.requests[0][2]
    for part in (PERSON.public.id, room.advisor.session.id, room.advisor.session.bundle[:12]):
        assert part in reason
    approved = next(r for r in room.record if r["what"] == "approved")
    assert approved["approval"]["session"]["bundle"] == bundle().digest
    assert approved["approval"]["session"]["envelope"] == ENVELOPE.digest


def test_shadow_and_advice_come_first() -> None:
    room = Room()
    with pytest.raises(PolicyError, match="comes after advisory, it is shadow"):
        room.advisor.close_loop(room.approve())
    assert room.advisor.stage is Stage.SHADOW


def test_nobody_approves_their_own() -> None:
    room = Room()
    room.advisor.advise()
    with pytest.raises(PolicyError, match="not the author"):
        Approval.give(room.advisor.session, AUTHOR, reason="", time=0.0)
    session = msgspec.structs.replace(room.advisor.session, author="somebody else")
    forged = Approval.give(session, AUTHOR, reason="", time=0.0)
    own = msgspec.structs.replace(forged, session=room.advisor.session)
    with pytest.raises(PolicyError, match="the approver is the author"):
        room.advisor.close_loop(own)


def test_others_approvals_and_changed_ones_do_not_hold() -> None:
    room, other = Room(), Room()
    room.advisor.advise()
    good = room.approve()
    stranger = Approval.give(room.advisor.session, STRANGER, reason="", time=1.0)
    replace = msgspec.structs.replace
    for approval, words in (
        (other.approve(), "another session"),
        (replace(good, session=replace(good.session, envelope="0")), "another session"),
        (stranger, "may not approve"),
        (replace(stranger, approver=PERSON.public.id), "does not hold"),
        (replace(good, reason="anything goes"), "does not hold"),
        (replace(good, signature="?"), "cannot be read"),
    ):
        with pytest.raises(PolicyError, match=words):
            room.advisor.close_loop(approval)
    assert room.advisor.stage is Stage.ADVISORY
    assert room.advisor.counts["approvals refused"] == 6


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda room: room.say(route=(-1.0, -1.0, 1.0)), "outside the envelope"),
        (lambda room: room.say(limit=1.0), "outside the envelope"),
        (lambda room: setattr(room, "now", room.now + 31.0) or room.say(), "its time is up"),
        (lambda room: room.advisor.step({}), "fallback: missing: asked"),
        (lambda room: room.advisor.advise(), "asked to"),
    ],
)
def test_a_loop_ends(what: Any, words: str) -> None:
    room = Room()
    room.loop()
    room.say()
    approval = room.advisor._approval
    assert approval is not None
    before = len(room.desk.requests)
    room.now += 1.0
    what(room)
    assert room.advisor.stage is Stage.ADVISORY
    assert len(room.desk.requests) == before
    assert words in [r for r in room.record if r["what"] == "stage"][-1]["cause"]
    with pytest.raises(PolicyError, match="spent"):
        room.advisor.close_loop(approval)


def test_a_desk_that_refuses_keeps_it_a_shadow_or_an_adviser() -> None:
    room = Room()
    room.desk.refuses = "read-only"
    with pytest.raises(StagetwinError, match="read-only"):
        room.advisor.advise()
    assert room.advisor.stage is Stage.SHADOW
    room.desk.refuses = ""
    room.advisor.advise()
    assert room.desk.sessions == ["releases 1"]
    room.desk.doubts = "nobody approved that"
    with pytest.raises(StagetwinError, match="nobody approved that"):
        room.advisor.close_loop(room.approve())
    assert room.advisor.stage is Stage.ADVISORY
    room.desk.doubts = ""
    room.advisor.close_loop(room.approve())  # what was not begun is not spent


def test_a_loop_that_ended_at_the_desk_is_over() -> None:
    room = Room()
    room.loop()
    room.say()
    assert room.desk.beats[-1] == ("loop", {})
    room.desk.silent = "the service ended it: its time is up"
    room.say(release=-1.0)
    assert room.advisor.stage is Stage.ADVISORY
    assert room.desk.ends == [room.desk.silent]
    assert room.desk.drafts == [(HOLD_1, True)]
    room.desk.silent = "no service"
    room.say()  # an adviser that nobody hears says so, once
    room.say()
    assert [one["what"] for one in room.record].count("unheard") == 1
    room.desk.silent = ""
    room.say()
    assert room.desk.beats[-1] == ("advisory", {HOLD_1: False, GOAL: "A", SPEED: 1.0})


def test_a_refusal_by_the_command_path_ends_it() -> None:
    room = Room()
    room.loop()
    room.desk.refuses = "no role"
    room.say()
    assert room.advisor.stage is Stage.ADVISORY
    # What would have followed it is drafted, for a person to look at.
    assert room.desk.drafts == FIRST[1:]


@pytest.mark.parametrize("bad", ["/Plant/AMR1.goal ended EXPIRED", "?"])
def test_requests_that_come_to_a_bad_end_end_it(bad: str) -> None:
    room = Room()
    room.loop()
    room.say()
    room.desk.bad = bad
    room.say(release=-1.0)
    assert room.advisor.stage is Stage.ADVISORY
    assert room.desk.drafts == [(HOLD_1, True)]


def test_so_many_commands_a_minute_and_no_more() -> None:
    room = Room(msgspec.structs.replace(ENVELOPE, per_minute=4))
    room.loop()
    room.say()
    room.say(release=-1.0)
    assert room.advisor.stage is Stage.LOOP
    room.say(release=1.0)
    assert room.advisor.stage is Stage.ADVISORY
    assert len(room.desk.requests) == 4


def test_a_session_ends_for_good() -> None:
    room = Room()
    room.loop()
    room.advisor.close()
    assert room.advisor.stage is Stage.SHADOW
    for call in (room.advisor.advise, lambda: room.advisor.step({})):
        with pytest.raises(PolicyError, match="closed"):
            call()


def test_it_speaks_no_faster_than_its_rate() -> None:
    room = Room()
    room.say()
    room.now += 0.5
    assert room.advisor.step({}) is None


def test_velocity_policies_do_not_advise() -> None:
    fast = msgspec.structs.replace(bundle().spec, kind="velocity", rate=10.0)
    runner = Runner(Bundle(spec=fast, model=bundle().model), untrusted=True)
    with pytest.raises(PolicyError, match="got velocity"):
        Advisor(runner, ADVICE, Paper(), envelope=ENVELOPE, author="")
    slow = Runner(bundle(), untrusted=True)
    wrong = (Switch(action="open", target=HOLD_1),)
    with pytest.raises(PolicyError, match="open"):
        Advisor(slow, wrong, Paper(), envelope=ENVELOPE, author="")


@given(st.one_of(st.booleans(), st.floats(), st.text(max_size=3), st.none(), st.integers()))
def test_nothing_but_what_is_named_is_within_an_envelope(value: Any) -> None:
    named = {
        HOLD_1: isinstance(value, bool),
        GOAL: value in ("A", "B"),
        SPEED: isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0.2 <= value <= 1.0,
        "/Plant/AMR2.goal": False,
    }
    for target, within in named.items():
        assert (ENVELOPE.refusal(target, value) == "") is within
    empty = Envelope(commands=())
    assert empty.refusal(HOLD_1, True)


def test_envelopes_that_cannot_be_are_refused() -> None:
    for changes in ({"seconds": 0.0}, {"seconds": float("inf")}, {"per_minute": 0}):
        with pytest.raises(CommandError):
            Envelope(commands=(), **changes)  # type: ignore[arg-type]
