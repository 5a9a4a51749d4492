"""What survives a restart, what the history holds, and a disk that fails."""

from __future__ import annotations

import json
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from stagetwin.alarms import AlarmBook, AlarmJournal
from tests.stages.alarms.conftest import Watch
from tests.stages.alarms.test_alarm_life import HOT, text_of
from tests.stages.alarms.watched import ADA, Watched
from tests.stages.plants import asset, plant, prim, telemetry


def again(w: Watched, watch: Watch, text: str, folder: Path, pause: float = 0.0) -> Watched:
    """End a plant and begin it anew, as another process would; its clock goes on."""
    now = w.clock.wall()
    w.book.close()
    fresh = watch(text, folder)
    fresh.clock.now = now + pause
    # Read what was kept as of then.
    fresh.book.close()
    fresh.plant.twin.on_rebind.clear()
    fresh.book = AlarmBook(fresh.plant.twin, AlarmJournal(folder / "alarms.db"))
    fresh.book.on_changed.append(fresh.told.append)
    fresh.run()
    return fresh


def test_states_survive_a_restart(watch: Watch, tmp_path: Path) -> None:
    text = text_of(limit=100, priority="high")
    w = watch(text, tmp_path)
    w.feel("flow", 150.0)
    w.book.acknowledge(HOT, ADA, "known")
    before = w.row(HOT)
    w = again(w, watch, text, tmp_path)
    assert w.row(HOT) == before
    assert w.get("/Plant/P.twin:alarm:hot:state") == "ACKED"
    assert w.get("/Plant/P.twin:alarmState") == "high"
    # Nothing is known yet, and that clears nothing; the first good value does.
    w.run(5.0)
    assert w.states()[HOT] == "ACKED"
    w.feel("flow", 50.0)
    assert HOT not in w.states()
    w = again(w, watch, text, tmp_path)
    assert HOT not in w.states()
    assert w.row(HOT)["count"] == 1


def test_shelves_survive_a_restart_and_no_longer(watch: Watch, tmp_path: Path) -> None:
    text = text_of(limit=100)
    w = watch(text, tmp_path)
    w.feel("flow", 150.0)
    w.book.shelve(HOT, ADA, 60.0, "noise")
    w = again(w, watch, text, tmp_path, pause=30.0)
    assert w.row(HOT)["shelved"]["reason"] == "noise"
    w.run(31.0)
    assert w.row(HOT)["state"] == "UNACK"
    w.book.shelve(HOT, ADA, 60.0, "noise")
    # A clock that was set back does not make it longer.
    w = again(w, watch, text, tmp_path, pause=-9999.0)
    w.run(59.0)
    assert w.row(HOT)["state"] == "SHELVED"
    w.run(2.0)
    assert w.row(HOT)["state"] == "UNACK"
    w.book.shelve(HOT, ADA, 60.0, "noise")
    w = again(w, watch, text, tmp_path, pause=61.0)
    assert w.row(HOT)["state"] == "UNACK"


def test_an_alarm_that_the_plant_lacks_for_a_life_is_kept(watch: Watch, tmp_path: Path) -> None:
    text = text_of(limit=100)
    w = watch(text, tmp_path)
    w.feel("flow", 150.0)
    w.book.acknowledge(HOT, ADA, "known")
    w = again(w, watch, plant(), tmp_path)
    assert w.book.rows() == []
    w = again(w, watch, text, tmp_path)
    assert w.row(HOT)["state"] == "ACKED"


def test_the_history_says_who_and_when(watch: Watch, tmp_path: Path) -> None:
    w = watch(text_of(limit=100), tmp_path)
    w.feel("flow", 150.0)
    began = w.clock.wall()
    w.book.acknowledge(HOT, ADA, "known")
    w.feel("flow", 50.0)
    w.book.shelve(HOT, ADA, 1.0, "noise")
    w.run(1.5)
    found = w.book.history()
    assert [entry["event"] for entry in found] == [
        "shelf_ended",
        "shelved",
        "cleared",
        "acknowledged",
        "raised",
    ]
    raised, acknowledged = found[-1], found[-2]
    assert raised["time"] == began
    assert (raised["id"], raised["prim"], raised["name"]) == (HOT, "/Plant/P", "hot")
    assert (raised["value"], raised["cause"]) == (150.0, "150 1 is above 100")
    assert (raised["state"], raised["priority"], raised["by"]) == ("UNACK", "medium", "")
    assert (acknowledged["by"], acknowledged["comment"]) == ("ada", "known")
    assert w.book.history("/Plant", 2) == found[:2]
    assert w.book.history(HOT) == found
    assert w.book.history("/Plan") == []
    assert w.book.history("/Plant/P.cold") == []
    # Written or not yet, it is the same.
    w.book.close()
    w.book.journal = AlarmJournal(tmp_path / "alarms.db")
    assert w.book.history() == found
    assert w.book.history("/Plant") == w.book.history("/Plant/P") == w.book.history(HOT) == found
    assert w.book.history("/Plan") == []
    assert stat.S_IMODE((tmp_path / "alarms.db").stat().st_mode) == 0o600


def test_chatter_does_not_fill_the_history(watch: Watch, tmp_path: Path) -> None:
    w = watch(text_of(limit=100), tmp_path)
    for _ in range(30):
        w.feel("flow", 150.0)
        w.feel("flow", 50.0)
    assert w.row(HOT)["count"] == 30
    assert len(w.book.history()) == 20
    w.book.acknowledge(HOT, ADA, "it chatters")
    assert w.book.history()[0]["event"] == "acknowledged", "people are always entered"
    w.run(61.0)
    w.feel("flow", 150.0)
    assert w.book.history()[0]["skipped"] == 40


def entry(number: int, at: float) -> dict[str, object]:
    return {"time": at, "id": f"/P.a{number}", "prim": "/P", "event": "raised"}


def test_what_is_old_or_too_much_goes(tmp_path: Path) -> None:
    now = time.time()
    path = tmp_path / "a.db"
    journal = AlarmJournal(path, age=100.0, count=10)
    for number in range(20):
        journal.enter(entry(number, now - (1000 if number < 5 else 0)))
    journal.close()
    journal = AlarmJournal(path, age=100.0, count=10)
    journal.enter(entry(99, now))
    journal.close()
    journal = AlarmJournal(path, age=100.0, count=10)
    left = [each["id"] for each in journal.history("/", 100)]
    journal.close()
    assert left == ["/P.a99", *(f"/P.a{number}" for number in range(19, 10, -1))]


def test_a_damaged_journal_is_put_aside(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "alarms.db").write_bytes(b"this is no database" * 100)
    w = watch(text_of(limit=100), tmp_path)
    w.feel("flow", 150.0)
    assert [each["event"] for each in w.book.history()] == ["raised"]
    assert w.book.fault == ""
    assert [p for p in tmp_path.iterdir() if ".damaged-" in p.name]


def test_a_state_that_cannot_be_read_costs_that_alarm(watch: Watch, tmp_path: Path) -> None:
    text = text_of(limit=100)
    w = watch(text, tmp_path)
    w.feel("flow", 150.0)
    w.book.close()
    with sqlite3.connect(tmp_path / "alarms.db") as database:
        database.execute("update alarms set body = ?", (json.dumps({"holds": True}),))
    database.close()
    w = watch(text, tmp_path)
    w.feel("flow", 50.0)
    assert w.states() == {}


def test_a_disk_that_fails_costs_the_history_alone(
    watch: Watch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    w = watch(text_of(limit=100), blocked)
    w.feel("flow", 150.0)
    assert w.states() == {HOT: "UNACK"}
    w.book.acknowledge(HOT, ADA, "known")
    assert w.book.fault
    assert [each["event"] for each in w.book.history()] == ["acknowledged", "raised"]
    assert sum("cannot be written" in record.message for record in caplog.records) == 1
    blocked.unlink()
    # It is tried again at the latest when it ends.
    w.book.close()
    journal = AlarmJournal(blocked / "alarms.db")
    assert [each["event"] for each in journal.history("/", 9)] == ["acknowledged", "raised"]
    assert journal.states()[HOT]["known"]
    journal.close()


def test_an_implicit_alarm_is_taken_up_as_well(watch: Watch, tmp_path: Path) -> None:
    text = plant(prim("P", asset("p"), telemetry("flow", address="flow", soft=(0, 10))))
    w = watch(text, tmp_path)
    w.feel("flow", 50.0, 3.0)
    before = w.row("/Plant/P.flow_high")
    w = again(w, watch, text, tmp_path)
    assert w.row("/Plant/P.flow_high") == before
