"""What an adviser is told, what it reads, and how its record is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pytest

from stagetwin import ServiceError
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies import Route, SpeedLimit, Stage, Switch
from stagetwin_sim.policies._advise_command import event_text
from stagetwin_sim.policies._assignment import Assignment
from stagetwin_sim.policies._signals import SignalSource
from tests.sim.policies.test_advisor import ENVELOPE, GOAL, HOLD_1, SPEED, Room, bundle

SPEC = bundle().spec
TOLD: dict[str, Any] = {
    "seconds": 30.0,
    "per_minute": 10,
    "commands": [{"target": HOLD_1, "values": [True, False]}],
    "observations": {"asked": [f"/Plant/P{k}.asked" for k in range(5)]},
    "advice": [
        {"kind": "switch", "action": "release", "target": HOLD_1, "above": False, "below": True},
        {"kind": "route", "action": "route", "target": GOAL, "places": ["A", "B"]},
        {"kind": "speed-limit", "action": "limit", "target": SPEED},
    ],
}


def test_it_is_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "task.toml"
    file.write_text(
        f'seconds = 30.0\nper_minute = 10\n[[commands]]\ntarget = "{HOLD_1}"\n'
        f"values = [true, false]\n[observations]\nasked = {TOLD['observations']['asked']}\n"
    )
    made = Assignment.read(file, SPEC)
    assert made.envelope.commands == ENVELOPE.commands[:1]
    assert made.advice == ()
    with pytest.raises(PolicyError, match=r"none\.toml: cannot be read"):
        Assignment.read(tmp_path / "none.toml", SPEC)


def test_an_approval_is_of_all_that_is_told() -> None:
    made = Assignment.of(TOLD, SPEC)
    assert [type(one) for one in made.advice] == [Switch, Route, SpeedLimit]
    digests = {made.envelope.digest}
    for changes in (
        {"observations": {"asked": ["/Plant/Other.asked", *TOLD["observations"]["asked"][1:]]}},
        {"advice": TOLD["advice"][:1]},
        {"seconds": 31.0},
        {"commands": []},
    ):
        digests.add(Assignment.of({**TOLD, **changes}, SPEC).envelope.digest)
    assert len(digests) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observations": {}}, "observations are of asked, got 'asked' with 0 signals"),
        ({"observations": {"asked": ["/P.a"], "more": ["/P.b"]}}, "got 'more'"),
        ({"observations": {"asked": ["P.a"]}}, "signals are like /Prim.name"),
        ({"observations": {"asked": "/P.a"}}, "Expected `array`"),
        ({"advice": [{"kind": "switch", "action": "open", "target": HOLD_1}]}, "got open"),
        ({"advice": [{**TOLD["advice"][2], "index": 1}]}, "limit with at least 2"),
        ({"advice": [{"kind": "dance"}]}, "dance"),
        ({"advice": [{**TOLD["advice"][0], "speed": 1}]}, "unknown field `speed`"),
        ({"basis": "0"}, "basis follows"),
        ({"minutes": 1}, "unknown field `minutes`"),
        ({"seconds": 0}, "above 0 s"),
    ],
)
def test_what_does_not_fit_the_policy_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises((PolicyError, ServiceError), match=words):
        Assignment.of({**TOLD, **changes}, SPEC)


# -- what it reads


class Plant:
    """What a service says of signals; a client of it, too."""

    def __init__(self) -> None:
        self.rows = [
            {"prim": f"/Plant/P{k}", "signal": "asked", "unit": ("", "1")[k % 2]} for k in range(5)
        ]
        self.seen = [{"value": 0.1 * k, "quality": "good", "age": 0.5 + 0.1 * k} for k in range(5)]
        self.fault = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, *, op: str, prim: str) -> dict[str, Any]:
        if self.fault:
            raise ServiceError(self.fault)
        assert op == "values"
        found = [k for k, row in enumerate(self.rows) if row["prim"] == prim]
        return {
            "signals": [self.rows[k] for k in found],
            "frame": [self.seen[k] for k in found],
        }


def source(plant: Plant) -> SignalSource:
    return SignalSource(lambda: plant, Assignment.of(TOLD, SPEC), SPEC)  # type: ignore[arg-type, return-value]


def test_a_term_is_as_old_as_its_oldest_signal() -> None:
    plant = Plant()
    (name, reading), *rest = source(plant).read(100.0).items()
    assert (name, rest) == ("asked", [])
    assert reading.values == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert reading.time == pytest.approx(100.0 - 0.9)


@pytest.mark.parametrize("changes", [{"quality": "stale"}, {"value": None}, {"age": None}])
def test_what_is_not_known_to_be_good_is_missing(changes: dict[str, Any]) -> None:
    plant = Plant()
    plant.seen[3] |= changes
    assert source(plant).read(0.0) == {}


def test_signals_that_do_not_fit_are_refused_and_services_that_are_gone_are_not() -> None:
    for changes, words in (
        ({"unit": "m"}, "is in 1, signal /Plant/P2.asked in m"),
        ({"signal": "other"}, r"no signal /Plant/P2\.asked"),
    ):
        plant = Plant()
        plant.rows[2] |= changes
        with pytest.raises(PolicyError, match=words):
            source(plant).read(0.0)
    plant = Plant()
    plant.seen[2]["value"] = "open"
    with pytest.raises(PolicyError, match="is no number"):
        source(plant).read(0.0)
    plant.fault = "no service listens"
    gone = source(plant)
    assert gone.read(0.0) == {}
    assert gone.fault == "no service listens"


# -- how it is shown


def test_its_record_is_readable_and_moves_no_cursor() -> None:
    room = Room()
    room.loop()
    room.say()
    room.advisor.step({})
    room.now += 1.0
    room.advisor.step({})
    lines = [event_text(one).plain[10:] for one in room.record]
    assert lines[0].startswith("session ")
    assert f"asks      {HOLD_1} false" in lines
    assert "advisory  fallback: missing: asked" in lines
    assert any("approved  by key" in line and "watched it" in line for line in lines)
    nasty = {"time": 0.0, "what": "refused", "target": "/A.b", "cause": "\x1b[2Jgone\nnot"}
    assert event_text(nasty).plain[10:] == "refused    /A.b ?[2Jgone?not"
    assert {one["stage"] for one in room.record if one["what"] == "stage"} == {
        str(Stage.ADVISORY),
        str(Stage.LOOP),
    }
