"""A service that is killed at any moment: the next one sends nothing again, and finds out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stagetwin.actuation import Fate
from stagetwin.commands import Command, Entry
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import Desk, pump, speed

ROOT = Path(__file__).parents[3]
TEXT = pump(speed(approval="single", safe="0"))


def killed(folder: Path, when: str) -> str:
    """Let a process die at a state, and return the id of its command."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed.py")), str(folder), when],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "stages")])},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    return (folder / "id").read_text()


def handed_over(folder: Path) -> list[str]:
    file = folder / "sent"
    return file.read_text().split() if file.exists() else []


def recovered(opened: Open, name: str) -> tuple[Desk, Command]:
    desk = opened(TEXT)
    desk.path.recover()
    found = desk.path.records.find(name)
    assert found is not None
    return desk, found


@pytest.mark.parametrize("when", ["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED"])
def test_what_had_not_left_expires(opened: Open, tmp_path: Path, when: str) -> None:
    name = killed(tmp_path, when)
    desk, found = recovered(opened, name)
    assert (found.state, found.code) == ("EXPIRED", "restart")
    for _ in range(50):
        desk.tick(1.0)
    desk.flush()
    assert desk.wire.sent == []
    assert handed_over(tmp_path) == []
    assert desk.states(found)[-1] == "EXPIRED"
    assert desk.word("status") == "EXPIRED"
    assert desk.ledger.epoch == 2
    desk.ledger.verify()


@pytest.mark.parametrize("shows", [True, False])
@pytest.mark.parametrize("when", ["between", "SENT", "ACKNOWLEDGED"])
def test_what_may_have_left_is_looked_for_and_never_sent_again(
    opened: Open, tmp_path: Path, when: str, shows: bool
) -> None:
    name = killed(tmp_path, when)
    desk, found = recovered(opened, name)
    # At the entry into SENT nothing is handed over yet; the service died a moment before.
    assert handed_over(tmp_path) == ([name] if when == "ACKNOWLEDGED" else [])
    assert found.state == ("ACKNOWLEDGED" if when == "ACKNOWLEDGED" else "SENT")
    assert desk.target().holder == name
    desk.tick(2.0)
    assert not found.ended, "telemetry has time to come back"
    desk.clock.advance(1.0)
    if shows:
        desk.feel("/Pump.rpm", 1500.0)
        assert found.state == "VERIFIED"
        assert found.evidence is not None
        assert found.evidence.before == 1000.0
    else:
        for _ in range(20):
            desk.clock.advance(1.0)
            desk.feel("/Pump.rpm", 1000.0)
        assert (found.state, found.code) == ("UNVERIFIED", "mismatch")
    assert desk.wire.sent == []
    assert desk.target().holder == ""
    states = [entry.state for entry in _entries(desk, name)]
    assert states.count("SENT") == 1
    assert states[-1] == found.state
    again = desk.publish(1600.0)
    assert again.state == "REHEARSED"


def _entries(desk: Desk, name: str) -> list[Entry]:
    desk.durable()
    return desk.ledger.entries(name)


def test_what_was_left_without_a_read_back_is_unverified(opened: Open) -> None:
    text = pump(speed(readback=""))
    first = opened(text)
    made = first.publish()
    first.close()
    second = opened(text)
    second.path.recover()
    found = second.path.records.find(made.id)
    assert found is not None
    assert (found.state, found.code) == ("UNVERIFIED", "no-readback")
    assert second.target().holder == ""


def test_what_was_left_for_a_target_that_is_no_more_ends_too(opened: Open) -> None:
    first = opened(TEXT)
    sent = first.publish()
    first.path.approve(sent.id, "bob")
    first.flush()
    # As if killed: nothing is ended.
    first.ledger.close()
    first.path._closed = True
    second = opened(pump("double x = 0"))
    second.path.recover()
    found = second.path.records.find(sent.id)
    assert found is not None
    assert (found.state, found.code) == ("UNVERIFIED", "restart")
    assert "/Pump.speed is no more on the stage" in found.cause
    assert second.states(found)[-1] == "UNVERIFIED"


def test_late_news_of_another_life_annotates(opened: Open) -> None:
    first = opened(TEXT)
    made = first.publish()
    first.path.deny(made.id, "bob")
    first.close()
    second = opened(TEXT)
    second.path.recover()
    second.report(made, Fate.ACKNOWLEDGED)
    assert second.states(made)[-1] == "NOTE"
    found = second.path.records.find(made.id)
    assert found is not None
    assert found.state == "DENIED"


def test_late_evidence_is_looked_for_after_a_restart_too(opened: Open) -> None:
    first = opened()
    made = first.sent()
    first.close()
    second = opened()
    second.path.recover()
    found = second.path.records.find(made.id)
    assert found is not None
    for _ in range(18):
        second.clock.advance(1.0)
        second.feel("/Pump.rpm", 1000.0)
    assert found.state == "UNVERIFIED"
    second.clock.advance(1.0)
    second.feel("/Pump.rpm", 1500.0)
    assert found.history[-1].cause == "late: /Pump.rpm is 1500.0"


def test_one_entry_that_cannot_be_taken_up_costs_the_others_nothing(
    opened: Open,
) -> None:
    first = opened(pump(speed(approval="single")))
    made = first.publish()
    first.ledger.append("odd", "REQUESTED", 1.0, {"from": "another version"})
    first.ledger.close()
    first.path._closed = True
    second = opened(TEXT)
    second.path.recover()
    found = second.path.records.find(made.id)
    assert found is not None
    assert found.state == "EXPIRED"
