"""The ledger: durable in order, chained, anchored, and owned by one process."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin import LedgerDamagedError, LedgerError
from stagetwin.commands import Ledger
from stagetwin.commands import _ledger as module


def written(path: Path, count: int = 5, **fields: Any) -> None:
    """Make a ledger of `OPENED` and some entries."""
    ledger = Ledger(path, **fields)
    for i in range(count):
        ledger.append(f"c{i % 2}", "REQUESTED" if i < 2 else "NOTE", 10.0 + i, {"i": i})
    ledger.close()


def edit(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "commands.db"


def test_entries_come_back_as_they_were_written(path: Path) -> None:
    written(path)
    ledger = Ledger(path)
    entries = ledger.entries("c0")
    assert [(e.seq, e.state, e.time, e.body) for e in entries] == [
        (2, "REQUESTED", 10.0, {"i": 0}),
        (4, "NOTE", 12.0, {"i": 2}),
        (6, "NOTE", 14.0, {"i": 4}),
    ]
    assert ledger.verify() == 7, "and that it was opened twice"
    assert ledger.newest(10) == ["c1", "c0"]
    assert ledger.newest(1) == ["c1"]
    ledger.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@given(
    body=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_plain_body_is_kept_and_the_chain_holds(
    body: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "l.db"
    ledger = Ledger(path)
    ledger.append("c", "REQUESTED", 1, body)
    ledger.close()
    ledger = Ledger(path)
    assert ledger.entries("c")[0].body == body
    assert ledger.verify() == 3
    ledger.close()


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "\U0001f680", "x" * 100_000, "'; drop table"])
def test_odd_words_do_not_end_the_record(path: Path, text: str) -> None:
    ledger = Ledger(path)
    ledger.append("c", "NOTE", 1.0, {"cause": text})
    ledger.close()
    assert not ledger.broken
    ledger = Ledger(path)
    assert ledger.entries("c")[0].body == {"cause": text}
    ledger.close()


def test_an_entry_that_no_database_takes_breaks_the_ledger_and_says_so(path: Path) -> None:
    ledger = Ledger(path)
    said: list[str] = []
    done = threading.Event()
    ledger.append("\ud800", "NOTE", 1.0, {}, said.append)
    ledger.append("c", "NOTE", 1.0, {}, lambda why: (said.append(why), done.set()))
    assert done.wait(30)
    assert all("surrogates" in why for why in said)
    assert len(said) == 2
    ledger.close()


def test_entries_become_durable_in_order(path: Path) -> None:
    ledger = Ledger(path)
    order: list[int] = []
    seen: list[int] = []

    def durable(i: int) -> Callable[[str], None]:
        def done(why: str) -> None:
            assert why == ""
            order.append(i)
            if i % 100 == 0:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                    seen.append(db.execute("select max(seq) from entries").fetchone()[0])
                db.close()

        return done

    for i in range(1000):
        ledger.append("c", "NOTE", float(i), {"i": i}, durable(i))
    ledger.close()
    assert order == list(range(1000))
    assert all(found >= 2 + 100 * k for k, found in enumerate(seen))
    ledger = Ledger(path)
    assert [e.body["i"] for e in ledger.entries("c")] == order
    ledger.close()


def test_a_callback_that_fails_costs_the_others_nothing(path: Path) -> None:
    ledger = Ledger(path)
    done = threading.Event()

    def fail(_why: str) -> None:
        raise RuntimeError("event loop is closed")

    ledger.append("c", "NOTE", 1.0, {}, fail)
    ledger.append("c", "NOTE", 2.0, {}, lambda _: done.set())
    assert done.wait(30)
    ledger.close()
    assert not ledger.broken


# -- tampering

TAMPERED = {
    "a body": "update entries set body = '{\"i\":9}' where seq = 3",
    "a time": "update entries set time = 99 where seq = 3",
    "a state": "update entries set state = 'VERIFIED' where seq = 4",
    "a command": "update entries set command = 'c9' where seq = 2",
    "a hash": "update entries set hash = x'00' where seq = 5",
    "a removal": "delete from entries where seq = 3",
    "the first removed": "delete from entries where seq = 1",
    "the last removed": "delete from entries where seq = 6",
    "all removed": "delete from entries",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_every_change_of_the_past_is_noticed(path: Path, what: str) -> None:
    written(path)
    edit(path, TAMPERED[what])
    with pytest.raises(LedgerError, match=r"entry \d of the ledger (was|is)|it was cut|ends at"):
        Ledger(path)
    with pytest.raises(LedgerError):
        Ledger(path)


def test_a_reordering_is_noticed(path: Path) -> None:
    written(path)
    edit(
        path,
        "update entries set seq = 100 where seq = 3",
        "update entries set seq = 3 where seq = 4",
        "update entries set seq = 4 where seq = 100",
    )
    with pytest.raises(LedgerError, match="entry 3 of the ledger was changed"):
        Ledger(path)


def test_a_past_that_was_written_anew_is_noticed_by_the_anchor(path: Path) -> None:
    written(path)
    head = path.with_suffix(".head").read_bytes()
    for file in path.parent.glob("commands.db*"):
        file.unlink()
    path.with_suffix(".head").unlink()
    written(path, count=9)
    path.with_suffix(".head").write_bytes(head)
    with pytest.raises(LedgerError, match="is not the one that its anchor knows"):
        Ledger(path)


def test_a_database_that_is_gone_is_noticed_by_the_anchor(path: Path) -> None:
    written(path)
    for file in path.parent.glob("commands.db*"):
        file.unlink()
    with pytest.raises(LedgerError, match="its anchor knows entry 6: it was cut"):
        Ledger(path)


def test_the_anchor_may_lie_elsewhere_and_be_behind(path: Path, tmp_path: Path) -> None:
    anchor = tmp_path / "other disk" / "head"
    written(path, anchor=anchor)
    assert json.loads(anchor.read_text())["seq"] == 6
    old = anchor.read_bytes()
    written(path, anchor=anchor)
    anchor.write_bytes(old)  # a power cut between an entry and its anchor
    Ledger(path, anchor).close()
    assert not path.with_suffix(".head").exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"seq": "x", "hash": "00"}', '{"seq": 1, "hash": "xy"}']
)
def test_a_damaged_anchor_is_an_error(path: Path, text: str) -> None:
    written(path)
    path.with_suffix(".head").write_text(text)
    with pytest.raises(LedgerError, match=r"anchor .* is damaged"):
        Ledger(path)


def test_a_missing_anchor_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    written(path)
    path.with_suffix(".head").unlink()
    Ledger(path).close()
    assert "anchor" in caplog.text
    assert "is missing" in caplog.text


def test_an_anchor_that_cannot_be_written_is_said_and_stops_nothing(
    path: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    ledger = Ledger(path, tmp_path / "file" / "head")
    (tmp_path / "file").write_text("")
    ledger.anchor()
    assert "cannot be written" in caplog.text
    ledger.close()


def test_beyond_the_tail_verify_looks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(path, count=20)
    monkeypatch.setattr(module, "_TAIL", 5)
    edit(path, "update entries set body = '{}' where seq = 3")
    ledger = Ledger(path)
    with pytest.raises(LedgerError, match="entry 3 of the ledger was changed"):
        ledger.verify()
    ledger.close()
    edit(path, "update entries set body = '{}' where seq = 19")
    with pytest.raises(LedgerError, match="entry 19"):
        Ledger(path)


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_what_is_no_ledger_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger(path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        Ledger(tmp_path / "file" / "commands.db")


# -- one owner


def test_a_second_owner_is_refused_until_the_first_gives_it_up(path: Path) -> None:
    ledger = Ledger(path)
    with pytest.raises(LedgerError, match="another service owns"):
        Ledger(path)
    ledger.close()
    Ledger(path).close()


def test_a_failed_opening_gives_the_ledger_up(path: Path) -> None:
    written(path)
    held = path.with_suffix(".head").read_text()
    path.with_suffix(".head").write_text("{")
    with pytest.raises(LedgerError, match="damaged"):
        Ledger(path)
    path.with_suffix(".head").write_text(held)
    Ledger(path).close()


def test_epochs_and_tokens_only_rise(path: Path) -> None:
    newest, epochs = (0, 0), []
    for _ in range(3):
        ledger = Ledger(path)
        epochs.append(ledger.epoch)
        for _ in range(5):
            token = ledger.token()
            assert token > newest
            newest = token
        ledger.close()
    assert epochs == [1, 2, 3]


def test_open_commands_are_those_whose_newest_state_is_no_end(path: Path) -> None:
    ledger = Ledger(path)
    for command, states in (
        ("a", ["REQUESTED", "SENT", "NOTE"]),
        ("b", ["REQUESTED", "REJECTED", "NOTE"]),
        ("c", ["REQUESTED"]),
    ):
        for state in states:
            ledger.append(command, state, 1.0, {})
    ledger.close()
    ledger = Ledger(path)
    found = ledger.open_commands(frozenset({"REJECTED"}))
    assert [entries[0].command for entries in found] == ["a", "c"]
    ledger.close()


# -- faults that pass, and those that do not


def said_of(ledger: Ledger, command: str, *states: str) -> list[str]:
    """Append entries and return what is said of each once it is settled."""
    said: list[str] = []
    done = threading.Event()
    for state in states:
        ledger.append(command, state, 1.0, {}, said.append)
    ledger.append("", "NOTE", 1.0, {}, lambda _: done.set())
    assert done.wait(60)
    return said


def healed(ledger: Ledger) -> None:
    """Wait until a ledger is written again, without asking it for anything."""
    limit = threading.Event()
    for _ in range(3000):
        if not ledger.broken:
            return
        limit.wait(0.01)
    raise AssertionError(f"still broken: {ledger.broken}")


@contextlib.contextmanager
def held_by_another(path: Path) -> Iterator[None]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("begin immediate")
    yield
    db.execute("rollback")
    db.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a database that another process holds be given up at once, and tried again soon."""
    monkeypatch.setattr(module, "_BUSY", 0.05)
    monkeypatch.setattr(module, "_AGAIN", 0.05)


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_another_held_heals_by_itself_without_a_hole(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ledger = Ledger(path)
    assert said_of(ledger, "a", "REQUESTED", "VALIDATED") == ["", ""]
    with held_by_another(path):
        assert said_of(ledger, "a", "SENT") == ["database is locked"]
        assert ledger.broken == "database is locked"
    healed(ledger)
    assert said_of(ledger, "b", "REQUESTED", "SENT") == ["", ""]
    assert ledger.verify() > 4, "the chain has no hole"
    ledger.close()
    ledger = Ledger(path)
    assert [e.state for e in ledger.entries("a")] == ["REQUESTED", "VALIDATED"]
    gaps = [e.body for e in ledger.entries("") if "lost" in e.body]
    assert len(gaps) == 1
    assert gaps[0]["cause"] == "database is locked"
    assert gaps[0]["lost"] >= 1
    ledger.close()
    levels = [r.levelname for r in caplog.records if "written" in r.message]
    assert levels == ["CRITICAL", "INFO"]


def test_a_disk_that_was_full_and_is_freed_is_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.05)
    ledger = Ledger(path)
    # The database's own limit answers as a full disk does.
    pages = ledger._db.execute("pragma page_count").fetchone()[0]
    ledger._db.execute(f"pragma max_page_count = {pages}")
    big = {"text": "x" * 500_000}
    lost: list[str] = []
    done = threading.Event()
    ledger.append("a", "REQUESTED", 1.0, big, lost.append)
    ledger.append("", "NOTE", 1.0, {}, lambda _: done.set())
    assert done.wait(30)
    assert lost == ["database or disk is full"]
    ledger._db.execute("pragma max_page_count = 1000000")
    healed(ledger)
    assert said_of(ledger, "b", "REQUESTED", "SENT") == ["", ""]
    ledger.close()
    again = Ledger(path)
    assert again.entries("a") == []
    again.close()


@pytest.mark.usefixtures("impatient")
def test_a_command_of_which_an_entry_was_lost_never_leaves(path: Path) -> None:
    ledger = Ledger(path)
    assert said_of(ledger, "late", "REQUESTED") == [""]
    with held_by_another(path):
        assert said_of(ledger, "headless", "REQUESTED") == ["database is locked"]
        assert said_of(ledger, "late", "ARMED") == ["database is locked"]
    healed(ledger)
    lost = "an entry of this command was lost before"
    assert said_of(ledger, "headless", "VALIDATED", "SENT", "REJECTED") == [lost] * 3
    assert said_of(ledger, "late", "SENT", "REJECTED") == [lost, ""]
    ledger.close()
    ledger = Ledger(path)
    assert ledger.entries("headless") == []
    assert [e.state for e in ledger.entries("late")] == ["REQUESTED", "REJECTED"]
    ledger.close()


def test_a_fault_that_does_not_pass_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN", 0.0)
    ledger = Ledger(path)
    assert "surrogates" in said_of(ledger, "\ud800", "NOTE")[0]
    assert "surrogates" in said_of(ledger, "c", "NOTE")[0]
    ledger.close()


# -- content that no ledger ever wrote

FOREIGN = {
    "a body that is a BLOB": "update entries set body = x'ff00' where seq = 3",
    "a command that is a BLOB": "update entries set command = x'ff' where seq = 3",
    "a state that is a BLOB": "update entries set state = x'ff' where seq = 3",
    "a time that is a text": "update entries set time = 'noon' where seq = 3",
    "a hash that is a text": "update entries set hash = 'abc' where seq = 3",
    "another column": "alter table entries add column more",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_content_is_damage_and_names_the_file(path: Path, what: str) -> None:
    written(path)
    edit(path, FOREIGN[what])
    with pytest.raises(LedgerDamagedError, match=str(path)):
        Ledger(path)


@pytest.mark.parametrize("what", ["hash = 'abc'", "hash = x'00'"])
def test_a_foreign_entry_before_the_tail_is_damage(
    path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path, count=20)
    monkeypatch.setattr(module, "_TAIL", 5)
    edit(path, f"update entries set {what} where seq = 16")
    with pytest.raises(LedgerDamagedError, match="entry 17"):
        Ledger(path)


@pytest.mark.parametrize(
    "body", ["{}", "[1]", "nothing", '{"epoch": 1e999}', '{"epoch": null}', "[" * 100_000]
)
def test_an_epoch_that_is_none_is_damage(
    path: Path, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(path, count=20)
    monkeypatch.setattr(module, "_TAIL", 5)
    edit(path, f"update entries set body = '{body}' where seq = 1")
    with pytest.raises(LedgerDamagedError, match=str(path)):
        Ledger(path)


@pytest.mark.parametrize("seq", ["1e999", str(2**63), str(10**400), "-1", "0"])
def test_an_anchor_of_a_number_that_no_entry_has_is_damaged(path: Path, seq: str) -> None:
    written(path)
    path.with_suffix(".head").write_text(f'{{"seq": {seq}, "hash": "00"}}')
    with pytest.raises(LedgerDamagedError, match=r"anchor .* is damaged"):
        Ledger(path)


def test_damage_that_shows_later_is_said_as_damage(path: Path) -> None:
    written(path)
    ledger = Ledger(path)
    edit(path, "update entries set body = '{' where command = 'c0'")
    with pytest.raises(LedgerDamagedError, match=str(path)):
        ledger.entries("c0")
    ledger.close()


def test_a_second_owner_is_no_damage_even_where_the_lock_file_was_removed(path: Path) -> None:
    ledger = Ledger(path)
    path.with_suffix(".lock").unlink()
    with pytest.raises(LedgerError, match="another service owns") as caught:
        Ledger(path)
    assert not isinstance(caught.value, LedgerDamagedError)
    ledger.close()
    Ledger(path).close()


# -- the whole chain


def test_verifying_runs_beside_writing_and_counts_all(path: Path) -> None:
    written(path, count=2500)
    ledger = Ledger(path)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(ledger.verify()))
    thread.start()
    assert set(said_of(ledger, "c", *["NOTE"] * 50)) == {""}
    thread.join(60)
    assert 2502 <= found[0] <= 2553
    ledger.close()


def test_verifying_ends_with_the_ledger(path: Path) -> None:
    written(path)
    ledger = Ledger(path)
    ledger.close()
    with pytest.raises(LedgerError, match="was not checked to its end"):
        ledger.verify()


def test_a_row_before_the_first_is_found(path: Path) -> None:
    written(path)
    ledger = Ledger(path)
    edit(path, "insert into entries values (-5, 'c0', 'NOTE', 1, '{}', x'00')")
    with pytest.raises(LedgerDamagedError, match="entry 1 of the ledger is missing"):
        ledger.verify()
    ledger.close()
