"""What a reply says, and that nothing in doubt acknowledges."""

from __future__ import annotations

import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.actuation import CommandTarget, Transmission
from stagetwin.clock import ManualClock
from stagetwin_bridges.mqtt._replies import (
    HeardReply,
    Replies,
    UnreadableReplyError,
    read_reply,
)


def heard(
    payload: object,
    correlation: bytes | None = None,
    retained: bool = False,
    realm: str = "",
) -> HeardReply:
    """Return a message on the reply topic; what is not bytes becomes JSON."""
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return HeardReply(
        topic="r", payload=data, correlation=correlation, retained=retained, realm=realm
    )


def command(number: str, expires: float = 10.0) -> Transmission:
    """Return a command that was written."""
    target = CommandTarget(prim="/World/Pump", command="speed", address="a")
    return Transmission(
        id=number,
        target=target,
        value=1.0,
        asset="/World/Pump",
        guard="g",
        token=(1, 1),
        deadline=1.0,
        expires=expires,
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (heard({"id": "a", "ok": True}), ("a", True, "")),
        (heard({"id": "a", "ok": True, "cause": "fine"}), ("a", True, "")),
        (heard({"id": "a", "ok": False, "cause": "too \n hot"}), ("a", False, "too hot")),
        (heard({"id": "a", "ok": False}), ("a", False, "the device refused and gave no cause")),
        (
            heard({"id": "a", "ok": False, "cause": 5}),
            ("a", False, "the device refused and gave no cause"),
        ),
        (heard({"ok": True}, b"a"), ("a", True, "")),
        (heard({"id": "a", "ok": True}, b"a"), ("a", True, "")),
        (heard({"id": "a", "ok": False, "cause": "x" * 900}), ("a", False, "x" * 500)),
    ],
)
def test_a_reply_says_yes_or_no(message: HeardReply, expected: tuple[str, bool, str]) -> None:
    assert read_reply(message) == expected


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (heard(b""), "expected JSON"),
        (heard(b"\xff\xfe"), "expected JSON"),
        (heard(b"ok"), "expected JSON"),
        (heard(b"[" * 5000), "expected JSON"),
        (heard(True), "expected a JSON object, got true"),
        (heard([{"id": "a", "ok": True}]), "expected a JSON object"),
        (heard({"id": "a"}), "expected 'ok' to be true or false, got null"),
        (heard({"id": "a", "ok": 1}), "got 1"),
        (heard({"id": "a", "ok": "true"}), "got 'true'"),
        (heard({"ok": True}), "expected the command's id"),
        (heard({"id": 7, "ok": True}, b"7"), "expected the command's id, got 7"),
        (heard({"id": None, "ok": True}, b"a"), "expected the command's id, got null"),
        (heard({"id": "a", "ok": True}, b"b"), "differ"),
        (heard({"ok": True}, b"\xff"), "expected JSON"),
        (heard({"id": "a", "ok": True}, retained=True), "retained"),
        (heard(b" " * 70_000), "at most 65536 bytes"),
    ],
)
def test_what_says_neither_is_no_reply(message: HeardReply, said: str) -> None:
    with pytest.raises(UnreadableReplyError, match=said):
        read_reply(message)


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_noise_settles_nothing(noise: bytes) -> None:
    replies = Replies("simulation", lambda: 0.0)
    replies.expect(command("a"))
    assert replies.settle(heard(noise)) is None
    assert (len(replies), replies.odd) == (1, 1)


def test_a_reply_counts_once_and_only_for_its_command(caplog: pytest.LogCaptureFixture) -> None:
    replies = Replies("plant", lambda: 0.0)
    replies.expect(command("a"))
    replies.expect(command("b"))
    with caplog.at_level(logging.WARNING):
        assert replies.settle(heard({"id": "c", "ok": True})) is None
        assert replies.settle(heard({"id": "a", "ok": True}, realm="simulation")) is None
        assert replies.settle(heard({"id": "a", "ok": True}, realm="plant")) == ("a", True, "")
        assert replies.settle(heard({"id": "a", "ok": False})) is None
    assert replies.odd == 3
    said = [record.getMessage() for record in caplog.records]
    assert all("on the reply topic r changes nothing" in each for each in said)
    assert "no command waits for a reply to 'c'" in said[0]
    assert "realm is 'simulation' on a connection of realm 'plant'" in said[1]
    assert "no command waits for a reply to 'a'" in said[2]
    assert replies.abandon() == ["b"]
    assert len(replies) == 0


def test_a_command_is_forgotten_a_minute_after_its_time_to_live() -> None:
    clock = ManualClock()
    replies = Replies("simulation", clock.steady)
    replies.expect(command("a", expires=10.0))
    clock.advance(69.0)
    replies.forget()
    assert len(replies) == 1
    clock.advance(1.0)
    replies.forget()
    assert len(replies) == 0
    assert replies.settle(heard({"id": "a", "ok": True})) is None


def test_a_flood_of_odd_replies_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    replies = Replies("simulation", lambda: 0.0)
    with caplog.at_level(logging.WARNING):
        for _ in range(500):
            replies.settle(heard(b"?"))
    assert replies.odd == 500
    assert len(caplog.records) == 10
    assert caplog.records[-1].getMessage().endswith("only counted for a minute")
