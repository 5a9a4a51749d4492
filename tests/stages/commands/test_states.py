"""The states of a command: only the ways of the design exist, and an end is an end."""

from __future__ import annotations

import itertools

import pytest

from stagetwin._errors import TransitionError
from stagetwin.actuation import Fate
from stagetwin.commands import ENDS, TRANSITIONS, UNSENT, State, check_transition
from tests.stages.commands.desk import Desk

# Written out from the design, section 6.
_LEAVE = {"REJECTED", "CANCELLED", "SUPERSEDED", "EXPIRED"}
ALLOWED: dict[str, set[str]] = {
    "DRAFT": {"REQUESTED"},
    "REQUESTED": {"VALIDATED", *_LEAVE},
    "VALIDATED": {"REHEARSED", *_LEAVE},
    "REHEARSED": {"APPROVED", "DENIED", *_LEAVE},
    "APPROVED": {"ARMED", *_LEAVE},
    "ARMED": {"SENT", *_LEAVE},
    "SENT": {"ACKNOWLEDGED", "VERIFIED", "FAILED", "UNVERIFIED"},
    "ACKNOWLEDGED": {"VERIFIED", "FAILED", "UNVERIFIED"},
    "VERIFIED": set(),
    "REJECTED": set(),
    "DENIED": set(),
    "CANCELLED": set(),
    "SUPERSEDED": set(),
    "EXPIRED": set(),
    "FAILED": set(),
    "UNVERIFIED": set(),
}


def test_the_states_are_those_of_the_design() -> None:
    assert {str(state) for state in State} == set(ALLOWED)
    assert {str(state) for state in ENDS} == {s for s, after in ALLOWED.items() if not after}
    assert {str(state) for state in UNSENT} == {
        state for state, after in ALLOWED.items() if "EXPIRED" in after
    }


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_every_pair_of_states_is_as_designed(before: State, after: State) -> None:
    if str(after) in ALLOWED[str(before)]:
        check_transition(before, after)
        return
    with pytest.raises(TransitionError, match=f"{after} cannot follow {before}; allowed: ") as said:
        check_transition(before, after)
    assert all(state in str(said.value) for state in ALLOWED[str(before)])


def test_after_the_sending_four_states_remain() -> None:
    reached, ways = set(), [State.SENT]
    while ways:
        for state in TRANSITIONS[ways.pop()] - reached:
            reached.add(state)
            ways.append(state)
    assert reached == {State.ACKNOWLEDGED, State.VERIFIED, State.FAILED, State.UNVERIFIED}


@pytest.mark.parametrize("fate", list(Fate))
def test_late_news_annotates_an_end_and_changes_none(desk: Desk, fate: Fate) -> None:
    made = desk.sent()
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED"
    history = [moment.state for moment in made.history]
    desk.report(made, fate, cause="late word")
    assert made.state == "VERIFIED"
    assert desk.word("status") == "VERIFIED"
    assert [moment.state for moment in made.history] == [*history, "NOTE"]
    assert made.history[-1].cause == f"late: {fate}, late word"
    assert desk.states(made)[-1] == "NOTE"


@pytest.mark.parametrize("state", sorted(ENDS))
def test_an_end_is_followed_by_nothing(desk: Desk, state: State) -> None:
    made = desk.publish()
    life = desk.path.records.life(made.id)
    assert life is not None
    made.state = state  # put there, to try every way out
    for after in State:
        with pytest.raises(TransitionError, match="it is an end"):
            desk.path.records.enter(life, after)
        assert made.state is state


def test_the_way_of_a_command_lands_on_its_prim_and_in_the_ledger(desk: Desk) -> None:
    seen: list[tuple[str, str, str]] = []
    desk.path.records.on_entered.append(
        lambda command: seen.append((str(command.state), desk.word("status"), desk.word("cause")))
    )
    made = desk.sent()
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    way = [
        *("REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED"),
        *("SENT", "ACKNOWLEDGED", "VERIFIED"),
    ]
    assert [state for state, _, _ in seen] == way
    assert [status for _, status, _ in seen] == way
    assert [moment.state for moment in made.history] == way
    assert [cause or "" for _, _, cause in seen] == [moment.cause for moment in made.history]
    assert desk.states(made) == way
    state = desk.twin.layers.state
    assert state.GetAttributeAtPath("/Pump.twin:command:speed:status").default == "VERIFIED"
    assert desk.twin.layers.desired.GetAttributeAtPath("/Pump.twin:command:speed:status") is None
