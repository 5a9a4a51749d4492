"""Parameters that are followed beside a machine: a pump that wears, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagetwin.bindings import Severity
from stagetwin.signals import Quality
from stagetwin_sim.machines import MachinePark
from tests.sim.faults.lines import P1, T1, V1, line_text, own, park_of, value_of
from tests.sim.host.talk import Talk
from tests.sim.plant.stages import model, read
from tests.stages.plants import HEADER, Part, connection, prim, telemetry

MakeTalk = Callable[[str], Talk]

SIGNALS = ("speed", "flow", "head")
MODEL = "/World/Line1/P1.curve"
DRIFT, DRIFTED, TRACKED = (
    f"{P1}.twin:model:curve:out:{what}_rated_head" for what in ("drift", "drifted", "tracked")
)
PARAMETERS = {
    "rated_flow": (50.0, "m3/h"),
    "rated_head": (3200.0, "cm"),
    "rated_speed": (2850.0, "1/min"),
}


def signals() -> list[Part]:
    return [
        telemetry("speed", address="plant/p1/speed", unit="1/min", hard=(0, 3600)),
        telemetry("flow", address="plant/p1/flow", unit="m3/h", hard=(0, 120)),
        telemetry("head", address="plant/p1/head", unit="m", hard=(0, 100)),
    ]


def track(name: str = "curve", **shares: float) -> Part:
    return Part(
        "", "".join(f"double twin:model:{name}:track:{k} = {v}\n" for k, v in shares.items())
    )


def devices() -> str:
    """The line as it is: its pump belongs to a network, and can wear."""
    return line_text(
        pumped=prim(
            "P1",
            own("P1"),
            *signals(),
            telemetry("discharge_pressure", address="plant/p1/p", unit="bar", hard=(-1, 16)),
            model(
                "hydraulics",
                "pump",
                parameters=PARAMETERS,
                reads=value_of(P1, "speed"),
                writes=[value_of(P1, "flow"), value_of(P1, "head")],
                inlet=T1,
                outlet=V1,
            ),
        )
    )


def twin(*more: Part, **shares: float) -> str:
    """What is known of the line: the curve of its pump, which is followed."""
    pump = prim(
        "P1",
        own("P1"),
        *signals(),
        model(
            "curve",
            "pump-curve",
            parameters=PARAMETERS,
            reads=[value_of(P1, "speed"), value_of(P1, "flow")],
            writes=value_of(P1, "head"),
        ),
        track("curve", **(shares or {"rated_head": 0.05})),
        *more,
    )
    return HEADER + connection() + prim("World", prim("Line1", pump))


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[MakeTalk]:
    made: list[Talk] = []

    def make(text: str) -> Talk:
        made.append(Talk(tmp_path / "plant.usda", text))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Line:
    """The devices of the line, and a twin that hears them."""

    def __init__(self, it: Talk) -> None:
        self.it = it
        self.park: MachinePark
        self.park, table = park_of(devices())
        paths = [binding.target for binding in table.telemetry.values()]
        self._at = {name: paths.index(value_of(P1, name)) for name in SIGNALS}

    def on(self, seconds: int, quality: Quality = Quality.GOOD) -> None:
        """Let both go on, a second at a time."""
        for _ in range(seconds):
            self.park.step(1.0)
            said = self.park.values()
            self.it.tell({value_of(P1, name): said[i] for name, i in self._at.items()}, quality)
            self.it.run(1.0)
        self.it.listen()

    def said(self, path: str) -> float:
        return self.it.heard.values.get(path, math.nan)


def test_wear_of_a_pump_is_a_drift_of_its_curve(talk: MakeTalk) -> None:
    line = Line(talk(twin()))
    assert [p.code for p in line.it.opened.plant.problems] == []
    outputs = {output.path: output for output in line.it.heard.table.outputs}
    assert outputs[DRIFT].model == MODEL
    line.on(60)
    assert line.said(DRIFT) == pytest.approx(0.0, abs=0.02)
    assert line.said(DRIFTED) == 0.0
    assert line.said(TRACKED) == pytest.approx(3200.0, rel=0.02)  # in the unit of the stage
    line.park.fail(P1, "wear", amount=0.15, ramp=240.0)
    line.on(40)
    assert abs(line.said(DRIFT)) < 0.05
    assert line.said(DRIFTED) == 0.0
    line.on(260)
    # A share of the head is lost at every flow, which is the same share of the rated head.
    assert line.said(DRIFT) == pytest.approx(-0.15, abs=0.02)
    assert line.said(DRIFTED) == 1.0
    assert line.said(TRACKED) == pytest.approx(0.85 * 3200.0, rel=0.02)


def test_who_begins_anew_goes_on_with_what_was_known(talk: MakeTalk) -> None:
    line = Line(talk(twin()))
    line.on(40)
    line.park.fail(P1, "wear", amount=0.2)
    line.on(40)
    before = line.said(TRACKED)
    assert before == pytest.approx(0.8 * 3200.0, rel=0.03)
    line.it.reopen(twin() + "\n# the same plant\n")
    line.on(1)
    assert line.said(TRACKED) == pytest.approx(before, rel=0.01)
    line.it.reopen(twin().replace("3200.0", "2560.0"))  # what it was fitted to anew
    line.on(10)
    assert line.said(DRIFTED) == 0.0
    assert line.said(DRIFT) == pytest.approx(0.0, abs=0.02)


def test_what_is_not_known_moves_no_parameter(talk: MakeTalk) -> None:
    line = Line(talk(twin()))
    line.on(40)
    line.park.fail(P1, "wear", amount=0.3)
    line.on(60, Quality.BAD)
    assert abs(line.said(DRIFT)) < 0.02
    assert line.said(DRIFTED) == 0.0
    line.on(60)
    assert line.said(DRIFT) == pytest.approx(-0.3, abs=0.03)


def test_what_cannot_be_followed_is_a_warning_and_costs_nothing() -> None:
    found = read(
        prim("A", model("m", "test-lag"), track("m", tau=0.1)),
        prim(
            "B",
            telemetry("temperature", unit="K", address="t"),
            model("m", "test-lag", writes="/Plant/B.twin:telemetry:temperature:value"),
            track("m", mass=0.1, tau=0.1),
        ),
        prim(
            "C",
            telemetry("head", unit="m", address="h"),
            model("m", "pump-curve", writes="/Plant/C.twin:telemetry:head:value"),
            track("m", wear=0.1),
        ),
        prim("D", model("m", "reservoir"), track("m", elevation=0.1)),
    )
    problems = [problem for problem in found.problems if problem.code == "model-track"]
    assert [problem.prim for problem in problems] == [f"/Plant/{name}" for name in "ABCD"]
    assert {problem.severity for problem in problems} == {Severity.WARNING}
    assert sorted(found.instances) == [f"/Plant/{name}.m" for name in "ABCD"]
    said = [problem.message for problem in problems]
    assert "no signal measures" in said[0]
    assert "track:mass: a test-lag has tau" in said[1]
    assert "param:wear is 0" in said[2]
    assert "a reservoir is no batch" in said[3]
