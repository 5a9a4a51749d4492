"""A simulator in a process of its own: from the first frame to the last."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from stagetwin.simulation import Line, wire
from stagetwin_sim.host._host import Host
from tests.sim.host.talk import Child
from tests.sim.plant.stages import model, value_of
from tests.stages.plants import HEADER, asset, plant, prim, telemetry

AMBIENT = value_of("T1", "ambient")
TANK = prim(
    "T1",
    asset(level="twin"),
    telemetry("ambient", unit="Cel", address="a"),
    telemetry("temperature", unit="Cel", address="t"),
    model("heat", "test-lag", reads=AMBIENT, writes=value_of("T1", "temperature")),
)


@pytest.fixture
def child(installed: Path) -> Iterator[Child]:
    made = Child(installed)
    yield made
    if made.process.poll() is None:
        made.close()


def stage(folder: Path, *bodies: str) -> Path:
    path = folder / "plant.usda"
    path.write_text(plant(*bodies))
    return path


def test_beside_from_the_first_frame_to_the_last(child: Child, tmp_path: Path) -> None:
    bad = prim("B", model("m", "no-such-kind"))
    table = child.open(stage(tmp_path, TANK, bad))
    assert [row.path for row in table.models] == ["/Plant/T1.heat"]
    assert [(p.prim, p.code) for p in table.problems] == [("/Plant/B", "kind")]
    assert [(s.path, s.state) for s in table.states] == [("/Plant/T1.heat", "starting")]
    assert list(table.guards) == ["/Plant/T1"]
    child.tell({AMBIENT: 60.0})
    expected = "/Plant/T1.twin:telemetry:temperature:predicted"
    child.until(lambda: expected in child.heard.values)
    assert child.heard.values[expected] == pytest.approx(60.0)
    child.tell({AMBIENT: 20.0})
    child.until(lambda: child.heard.values[expected] < 40.0)
    child.until(lambda: len(child.heard.health) > 1)
    assert child.heard.health[-1].factor > 0
    assert child.heard.health[-1].device == "cpu"
    assert child.heard.states["/Plant/T1.heat"].state == "running"
    answer = child.ask("present")
    assert answer.fault is None
    assert len(answer.data) > 100
    other = child.ask("rehearse", 2)
    assert other.fault is not None
    assert other.fault.code == "unknown"
    again = child.open(tmp_path / "plant.usda")
    assert again.revision == table.revision
    status, _ = child.close()
    assert status == 0


def test_a_plant_that_cannot_be_read_is_a_problem_and_no_end(child: Child, tmp_path: Path) -> None:
    table = child.open(tmp_path / "nowhere.usda")
    assert [problem.code for problem in table.problems] == ["unreadable"]
    table = child.open(stage(tmp_path, TANK))
    assert [row.path for row in table.models] == ["/Plant/T1.heat"]
    (tmp_path / "broken.usda").write_text(HEADER + "def (")
    table = child.open(tmp_path / "broken.usda")
    assert [problem.code for problem in table.problems] == ["unreadable"]
    assert [row.path for row in table.models] == ["/Plant/T1.heat"]
    child.send(wire.encode(wire.Kind.OPEN, {"files": 3}))
    assert child.ask("present").fault is not None
    status, log = child.close()
    assert status == 0
    assert "cannot be read" in log


def test_ahead_says_its_table_once_all_is_loaded(installed: Path, tmp_path: Path) -> None:
    order: list[str] = []

    class Told(Line):
        """A line that notes what is done before what is said."""

        def busy(self, limit: float = 600.0) -> AbstractContextManager[None]:
            order.append("works")
            return super().busy(limit)

        def say(self, kind: wire.Kind, body: Any) -> None:
            order.append(kind.name)
            super().say(kind, body)

    request = wire.Open(wire.Files(str(stage(tmp_path, TANK))), "ahead")
    line = Told(io.BytesIO(), io.BytesIO())
    Host(line)._obey(wire.Kind.OPEN, wire.encode(wire.Kind.OPEN, request)[wire.HEADER.size :])
    line.close()
    assert order == ["works", "works", "TABLE"]  # it reads the plant, and loads what futures run


def test_ahead_answers_questions(child: Child, tmp_path: Path) -> None:
    table = child.open(stage(tmp_path, TANK), "ahead")
    assert table.measured == []
    answer = child.ask("no-such-operation")
    assert answer.fault is not None
    assert answer.fault.code == "invalid"
    child.send(wire.encode(wire.Kind.CANCEL, wire.Cancel(9)))
    answer = child.ask("what_if", 9, given={"scenario": {}})
    assert answer.fault is not None
    assert answer.fault.code == "cancelled"
    answer = child.ask("what_if", 10, data=b"no present")
    assert answer.fault is not None
    assert answer.fault.code == "invalid"
