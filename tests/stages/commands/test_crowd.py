"""Many commands, and things that go wrong around one of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from stagetwin.actuation import Fate, Report, Transmission
from stagetwin.commands import Command, PublishRequest
from stagetwin.commands import _records as records
from stagetwin.commands._evidence import Watch
from stagetwin.commands._judge import Judge
from tests.stages.commands.conftest import Open
from tests.stages.commands.desk import SPEED, Desk, pump, running, speed
from tests.stages.plants import HEADER, asset, command, connection, prim, telemetry

TARGETS = 200
BAD = "/M7.set"


def crowd() -> str:
    machines = [
        prim(
            f"M{i}",
            asset(f"M{i}", level="twin", connection="line", roles=["operator"]),
            telemetry("rpm", address=f"rpm{i}"),
            command(
                "set",
                address=f"set{i}",
                hard=(0, 3000),
                approval="none",
                readback=f"/M{i}.twin:telemetry:rpm:value",
                settleTime=50.0,
                expiry=500.0,
            ),
        )
        for i in range(TARGETS)
    ]
    return HEADER + connection() + "".join(machines)


def test_two_thousand_commands_on_two_hundred_targets_and_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = running(crowd(), tmp_path)
    value = Judge.value

    def fail(self: Judge, made: Command, binding: Any) -> Any:
        if binding.path == BAD:
            raise RuntimeError("boom")
        return value(self, made, binding)

    monkeypatch.setattr(Judge, "value", fail)
    try:
        _command_all(desk)
    finally:
        desk.close()


def _command_all(desk: Desk) -> None:
    rpm = [0.0] * TARGETS
    answers: list[Transmission] = []
    desk.wire.on_send = answers.append
    for i in range(TARGETS):
        desk.feel(f"/M{i}.rpm", 0.0)
    made: list[Command] = []
    for k in range(10):
        for i in range(TARGETS):
            target = f"/M{i}.set"
            made.append(
                desk.path.publish(
                    PublishRequest(
                        target=target,
                        value=100.0 * k + i,
                        revision=desk.target(target).revision,
                    ),
                    "ann",
                )
            )
        desk.flush()
        # Devices answer on threads of their own, all at once.
        threads = [
            threading.Thread(target=_answer, args=(desk, answers[n::4], rpm)) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        answers.clear()
        desk.clock.advance(0.1)
        for i in range(TARGETS):
            desk.twin.hub.submit(_sample(desk, i, rpm[i]))
        desk.tick()
        desk.flush()
    good = [each for each in made if each.target != BAD]
    assert len(made) == 2000
    assert {each.state for each in good} == {"VERIFIED"}
    assert {(each.state, each.code) for each in made if each.target == BAD} == {
        ("REJECTED", "fault")
    }
    handed = [left.id for left in desk.wire.sent]
    assert len(handed) == len(set(handed)) == len(good)
    assert [desk.desired(f"/M{i}.twin:command:set:desired") for i in range(6)] == [
        900.0 + i for i in range(6)
    ]
    desk.durable()
    desk.ledger.verify()
    assert desk.path.records.counts == {"VERIFIED": len(good), "REJECTED": 10}
    assert desk.path.records.lives() == []


def _sample(desk: Desk, i: int, value: float) -> Any:
    from stagetwin.signals import Samples

    index = desk.plant.index(f"/M{i}.rpm")
    return Samples.of([index], [value], receive_time=desk.clock.wall())


def _answer(desk: Desk, answers: list[Transmission], rpm: list[float]) -> None:
    for left in answers:
        rpm[int(left.target.prim[2:])] = left.value
        for fate in (Fate.SENT, Fate.ACKNOWLEDGED):
            desk.path.report(Report(id=left.id, fate=fate, time=desk.clock.wall()))


# -- things that go wrong


def test_a_listener_that_fails_breaks_no_life(desk: Desk) -> None:
    def fail(_made: Command) -> None:
        raise RuntimeError("boom")

    desk.path.records.on_entered.insert(0, fail)
    made = desk.sent(1500.0)
    desk.tick(0.1)
    desk.feel("/Pump.rpm", 1500.0)
    assert made.state == "VERIFIED"
    assert desk.entered[-1] == (made.id, "VERIFIED")


def test_a_stage_that_cannot_show_a_state_breaks_no_life(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(desk.path.targets, "tell", fail)
    made = desk.sent(1500.0)
    desk.report(made, Fate.REFUSED)
    assert made.state == "FAILED"
    assert desk.target().holder == ""
    assert desk.states(made)[-1] == "FAILED"


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("line")])
def test_a_transport_that_fails_leaves_the_outcome_to_the_read_back(
    desk: Desk, error: Exception
) -> None:
    def fail(_left: Transmission) -> None:
        raise error

    desk.wire.on_send = fail
    made = desk.publish()
    assert made.state == "SENT"
    desk.wire.on_send = None
    desk.tick(3.5)
    assert made.state == "UNVERIFIED"
    desk.feel("/Pump.rpm", 1000.0)
    assert desk.publish(1400.0).state == "SENT", "the next one is another"
    assert [left.id for left in desk.wire.sent].count(made.id) == 1


def test_a_read_back_that_cannot_be_judged_ends_unverified(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    made = desk.publish()
    desk.report(made, Fate.SENT)
    monkeypatch.setattr(Watch, "sample", fail)
    for _ in range(40):
        desk.tick(0.1)
    assert (made.state, made.code) == ("UNVERIFIED", "fault")
    assert caplog.text.count("cannot be judged") < 5, "said, and not at every tick"
    assert desk.path.records.lives() == []
    assert desk.target().holder == ""


def test_an_event_that_fails_does_not_hold_up_the_next(desk: Desk) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    seen: list[int] = []
    desk.path.post(fail)
    desk.path.post(lambda: seen.append(1))
    desk.path.pump()
    assert seen == [1]


def test_clients_get_the_new_guards_even_if_the_stage_fails(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = opened(pump(speed(approval="single")))
    assert list(desk.wire.guards) == ["/Pump"]

    def fail(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(desk.path.targets, "rebind", fail)
    desk.plant.attr("/Pump.twin:command:speed:address").Set("elsewhere")
    with pytest.raises(RuntimeError, match="boom"):
        desk.twin.sync_structure()
    assert desk.wire.guards == {}


@pytest.mark.parametrize("words", ["x" * 1_000_000, "\ud800 half", "a\x00b", "\U0001f680\n\t"])
def test_any_words_of_people_and_devices_are_kept_readable(opened: Open, words: str) -> None:
    desk = opened(pump(speed(approval="single"), command("gate", approval="none")))
    cancelled = desk.publish()
    desk.path.cancel(cancelled.id, "bob", words)
    approved = desk.publish()
    desk.path.approve(approved.id, "bob", words)
    refused = desk.publish(1.0, target="/Pump.gate")
    desk.report(refused, Fate.SENT, Fate.REFUSED, cause=words)
    desk.flush()
    assert (cancelled.state, approved.state, refused.state) == ("CANCELLED", "SENT", "FAILED")
    assert max(len(m.cause) for made in (cancelled, refused) for m in made.history) < 2100
    assert not desk.ledger.broken
    assert desk.states(refused)[-1] == "FAILED"
    assert desk.word("status", signal="gate") == "FAILED"
    assert desk.word("cause", signal="gate") == refused.cause


def test_ended_commands_are_forgotten_and_still_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "KEPT", 5)
    made = [desk.publish(9999.0) for _ in range(20)]
    desk.durable()
    found = desk.path.records.find(made[0].id)
    assert found is not None
    assert found is not made[0]
    assert (found.state, found.cause) == (made[0].state, made[0].cause)
    assert [m.state for m in found.history] == [m.state for m in made[0].history]
    assert desk.path.records.find_one(made[-1].id[:-1]).id == made[-1].id


def test_lists_are_newest_first_and_of_one_prim(desk: Desk) -> None:
    made = [desk.publish(9999.0), desk.publish(1500.0), desk.publish(1600.0)]
    listed = desk.path.records.listed
    assert listed("/", False, 10) == made[::-1]
    assert listed("/Pump", False, 2) == made[:0:-1]
    assert listed(SPEED, True, 10) == made[:0:-1]
    assert listed("/Pum", False, 10) == []


def test_a_long_value_that_was_refused_takes_no_memory(desk: Desk) -> None:
    value = [float(i) for i in range(6000)]
    ids = [desk.publish(value).id for _ in range(20)]
    request = PublishRequest(id=ids[0], target=SPEED, value=value, revision=1)
    known = desk.path.records.find(ids[0])
    assert known is not None
    assert known.state == "REJECTED"
    assert isinstance(known.value, str)
    assert len(known.value) < 300
    assert known.value.startswith("[0.0,1.0,2.0,")
    assert desk.path.publish(request, "ann") is known, "the same request is the same still"
    desk.durable()
    assert desk.ledger.entries(ids[0])[0].body["value"] == value


def test_ended_commands_are_kept_by_their_size(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "KEPT_SIZE", 1_000_000)
    desk = opened(pump(command("speed", "double[]", approval="single")))
    value = [float(i) for i in range(3000)]
    made = []
    for _ in range(20):
        made.append(desk.publish(value))
        desk.path.deny(made[-1].id, "bob")
    desk.durable()
    kept = desk.path.records._ended
    assert 0 < len(kept) < 6
    assert desk.path.records._size == sum(command.size for command in kept.values()) <= 1_000_000
    found = desk.path.records.find(made[0].id)
    assert found is not None
    assert found.value == value, "the ledger has it"


def test_a_list_shows_the_beginning_of_a_long_value(opened: Open) -> None:
    desk = opened(pump(command("speed", "double[]", approval="single")))
    value = [float(i) for i in range(3000)]
    made = desk.publish(value)
    assert len(made.row(0.0)["value"]) < 300
    assert made.row(0.0, history=True)["value"] == value
    assert desk.publish([1.0, 2.0]).row(0.0)["value"] == [1.0, 2.0]


def test_a_text_is_shorter_than_an_array_may_be() -> None:
    PublishRequest(target=SPEED, value="x" * 4000)
    PublishRequest(target=SPEED, value=["x" * 10_000])
    for value in ("x" * 5000, 10**4200, {"x": "x" * 70_000}):
        with pytest.raises(ValueError, match="at most"):
            PublishRequest(target=SPEED, value=value)


def test_words_are_one_line(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    forged = "done\n12:00:00 INFO    command x: VERIFIED\x1b[2K\r\x9b31m\u2028\u202e"
    made = desk.publish(1.0)
    desk.report(made, Fate.SENT, Fate.REFUSED, cause=forged)
    assert made.state == "FAILED"
    assert made.cause.isprintable()
    assert made.cause.endswith("done 12:00:00 INFO    command x: VERIFIED?[2K ?31m ?")
    said = [r.getMessage() for r in caplog.records if made.id in r.getMessage()]
    assert said
    assert all(text.isprintable() for text in said)
