"""The demo's scenes: each lets something happen, and is content only if the twin saw it rightly."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from stagetwin.cli._cells import counted
from stagetwin_bridges._errors import BridgeError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands._cast import Cast, Part
from stagetwin_bridges.commands._observer import Observer
from stagetwin_bridges.commands._words import (
    evidence_text,
    listed,
    number_text,
    signal_name,
    way_text,
)
from stagetwin_bridges.devices import DevicePark

__all__ = ["Scenes"]

Row = dict[str, Any]

_LIVE_SHARE = 0.995
_START_TIMEOUT = 60.0
_RECOVERY_TIMEOUT = 45.0
_FOLLOWS = 0.03
"""By how much of itself a witness must have followed a command, to speak against a lie."""
_STILL = 0.25
"""What a witness may move while its machine lies, as a share of what the honest command moved."""


class Scenes:
    """Plays one scene after the other.

    Args:
        observer: sees the service.
        park: the machines.
        broker: what most of them hang on.
        cast: which machine plays which part.
        say: tells what happens: kind (info, good, bad, note) and words.
    """

    def __init__(
        self,
        observer: Observer,
        park: DevicePark,
        broker: LocalBroker,
        cast: Cast,
        say: Callable[[str, str], None],
    ) -> None:
        self._observer, self._park, self._broker = observer, park, broker
        self._cast, self._say = cast, say
        self._home = 0.0
        self._moved = (0.0, 0.0)
        self._took = 0.0

    # -- alive

    def come_alive(self) -> None:
        """Wait until every signal has arrived and commands can leave."""
        see = self._observer
        see.wait_until(self._is_live, _START_TIMEOUT, "the plant did not come to life")
        clients = see.clients()
        see.wait_until(self._can_command, _START_TIMEOUT, "a command client stayed offline")
        ways = f", commands can leave on {len(clients)}" if clients else ""
        self._say(
            "good",
            f"{len(see.model.signals)} signals of {counted(len(see.links()), 'connection')} are "
            f"live on the stage{ways}",
        )

    def _is_live(self) -> bool:
        model = self._observer.model
        arrived = sum(reading.age is not None for reading in model.readings)
        online = all(state == "online" for state in self._observer.links().values())
        return online and 0 < arrived >= _LIVE_SHARE * len(model.signals)

    def _can_command(self) -> bool:
        return all(state == "online" for state in self._observer.clients().values())

    # -- a machine obeys

    def obey(self) -> None:
        """Command a machine, and see that it did what it was told."""
        part = self._part(self._cast.obeys)
        # Whoever plays along may have been at it.
        self._park.misbehave(part.command.asset, "none")
        before = self._observer.settled(part)
        value = self._observer.value_of(part)
        self._home = part.rounded(value)
        asked = time.monotonic()
        row = self._ask(part, part.another_value(value), "the demo asks")
        self._say("info", way_text(row))
        self._expect(part, row, "VERIFIED")
        self._say("good", f"VERIFIED: {evidence_text(row)}")
        if before is not None:
            after = self._observer.settled(part)
            assert after is not None
            self._moved, self._took = (before, after), time.monotonic() - asked
            if self._tells:
                self._say("info", f"and its {signal_name(part.witness)} went {self._change(part)}")

    @property
    def _tells(self) -> bool:
        """Whether the witness followed the honest command, so that it can speak against a lie."""
        before, after = self._moved
        return abs(after - before) > _FOLLOWS * max(abs(before), abs(after))

    def _change(self, part: Part) -> str:
        before, after = self._moved
        return f"from {number_text(before)} to {number_text(after, part.witness_unit)}"

    # -- a machine refuses

    def refuse(self) -> None:
        """Let a machine say no: the command fails, and what was asked for goes back."""
        part = self._part(self._cast.refuses)
        with self._misbehaving(part, "refuse"):
            self._say("bad", f"{part.name} is made to refuse every command")
            desired = self._observer.target(part.command.path)["desired"]
            wanted = part.another_value(self._observer.value_of(part))
            row = self._ask(part, wanted, "the demo asks in vain")
            self._expect(part, row, "FAILED")
            after = self._observer.target(part.command.path)["desired"]
            if after != desired:
                raise BridgeError(f"{part.label}: desired was {desired}, and became {after}")
            self._say("good", f"FAILED, and not asked again: {row['cause']}")

    # -- a machine lies

    def lie(self) -> None:
        """Let a machine report what it does not do: its read-back agrees, another signal does not.

        Left out where no signal told of the honest command.
        """
        part = self._part(self._cast.obeys)
        if not self._tells:
            self._say("note", f"no other signal of {part.name} tells whether it lies")
            return
        before = self._observer.settled(part)
        with self._misbehaving(part, "lie"):
            self._say("bad", f"{part.name} is made to lie: it says yes and does nothing")
            asked = time.monotonic()
            row = self._ask(part, self._home, "the demo asks a liar")
            self._expect(part, row, "VERIFIED")
            self._say("info", f"VERIFIED all the same: {evidence_text(row)}")
            # An honest machine would be there by then.
            self._observer.rest(max(asked + self._took - time.monotonic(), 0.0))
            after = self._observer.settled(part)
            assert before is not None
            assert after is not None
            name, unit = signal_name(part.witness), part.witness_unit
            honest = abs(self._moved[1] - self._moved[0])
            if abs(after - before) > _STILL * honest:
                raise BridgeError(
                    f"{part.name} lied, so expected its {name} to stay near "
                    f"{number_text(before, unit)}, got {number_text(after, unit)}"
                )
            self._say(
                "good",
                f"but its {name} stayed: {number_text(before)} before, "
                f"{number_text(after, unit)} after; the step that was done had moved it "
                f"{self._change(part)}",
            )
            self._say(
                "note",
                f"VERIFIED says what was read back, and here the liar said it; evidence from "
                f"another signal, such as {name}, would have told",
            )

    # -- a gateway leaves

    def drop_off(self) -> None:
        """Let a gateway leave: commands to it are refused at once, and none waits for it."""
        part = self._part(self._cast.drops_off)
        link, see = part.command.connection, self._observer
        reached = self._reached(part)
        with self._misbehaving(part, "offline"):
            self._say("bad", f"the gateway of {link} drops off, {part.name} with it")
            took = see.wait_until(
                lambda: "online" not in (see.links().get(link), see.clients().get(link)),
                _RECOVERY_TIMEOUT,
                f"the service did not notice that {link} is gone",
            )
            self._say("info", f"noticed within {took + 0.05:.1f} s: {link} is offline")
            self._ask_in_vain(part)
        back = time.monotonic()
        see.wait_until_ready(part, _RECOVERY_TIMEOUT)
        if self._reached(part) != reached:
            raise BridgeError(f"a command to {part.label} waited for its gateway")
        self._say(
            "good",
            f"{link} is online again {time.monotonic() - back:.1f} s after its gateway was back; "
            f"the command was not queued, no machine ever saw it",
        )

    # -- the broker dies

    def broker_dies(self, away: float) -> None:
        """Kill the broker and start it again.

        Args:
            away: how long it is gone [s].
        """
        see, part = self._observer, self._cast.obeys
        stale_before = see.model.count("stale")
        online = {name for name, state in see.links().items() if state == "online"}
        reached = self._reached(part) if part else 0
        pid = self._broker.pid
        self._broker.kill()
        killed = time.monotonic()
        self._say("bad", f"broker killed (SIGKILL to process {pid})")
        expected = online - self._served()
        noticed = see.wait_until(
            lambda: all(see.links().get(name) != "online" for name in expected),
            _RECOVERY_TIMEOUT,
            "the service did not notice that the broker is gone",
        )
        stay = listed(online - expected)
        stays = f"; {stay} needs no broker and stays" if stay else ""
        self._say(
            "info", f"noticed within {noticed + 0.05:.1f} s: {listed(expected)} offline{stays}"
        )
        if part is not None and part.command.connection in expected:
            see.wait_until(
                lambda: see.clients().get(part.command.connection) != "online",
                _RECOVERY_TIMEOUT,
                "the command client did not notice that the broker is gone",
            )
            self._ask_in_vain(part)
        see.rest(max(killed + away - time.monotonic(), 0.0))
        most = see.model.count("stale")
        self._say("info", f"{most} signals are stale by now; they keep their last values, marked")
        self._broker.restart()
        back = time.monotonic()
        self._say("info", f"broker started again, {back - killed:.1f} s after it was killed")
        took = see.wait_until(
            lambda: (
                all(state == "online" for state in see.links().values()) and self._can_command()
            ),
            _RECOVERY_TIMEOUT,
            "a connection stayed offline",
        )
        self._say("info", f"all connections online again {took:.1f} s later, unasked")
        see.wait_until(
            lambda: see.model.count("stale") <= stale_before,
            _RECOVERY_TIMEOUT,
            "signals stayed stale",
        )
        self._say(
            "good",
            f"recovered: no signal is stale {time.monotonic() - back:.1f} s after the broker was "
            f"back ({time.monotonic() - killed:.1f} s after it died)",
        )
        if part is not None:
            if self._reached(part) != reached:
                raise BridgeError(f"a command to {part.label} waited for the broker")
            self._ask_again(part)

    def _served(self) -> set[str]:
        """Return the connections that do without the broker."""
        rows = self._park.devices()
        return {str(row["connection"]) for row in rows if row["protocol"] == "opc.tcp"}

    def _ask_again(self, part: Part) -> None:
        """Command a machine after the broker's return."""
        self._observer.wait_until_ready(part)
        self._park.misbehave(part.command.asset, "none")
        value = self._observer.value_of(part)
        # Where it began, if it has ever left.
        left = self._took > 0 and abs(self._home - value) > 2 * part.command.tolerance
        wanted = self._home if left else part.another_value(value)
        row = self._ask(part, wanted, "the demo asks again")
        self._expect(part, row, "VERIFIED")
        self._say("good", f"and commands work again, VERIFIED: {evidence_text(row)}")

    # -- asking

    def _ask(self, part: Part, value: float, reason: str) -> Row:
        """Command a part once it can be commanded; returns the command's row at its end."""
        self._observer.wait_until_ready(part)
        before = number_text(self._observer.value_of(part))
        wanted = number_text(value, part.command.unit)
        self._say("info", f"asked for: {part.label} {before} → {wanted}")
        return self._observer.command(part.command.path, value, reason)

    def _ask_in_vain(self, part: Part) -> None:
        """Command a part that is offline; nothing may leave."""
        value = self._observer.target(part.command.path)["reported"]
        wanted = part.another_value(float(value) if isinstance(value, (int, float)) else 0.0)
        row = self._observer.command(part.command.path, wanted, "the demo asks who is not there")
        self._expect(part, row, "REJECTED", "offline")
        said = f"{part.label} → {number_text(wanted, part.command.unit)} meanwhile: REJECTED"
        self._say("good", f"{said}, {row['cause']}; nothing was sent")

    def _expect(self, part: Part, row: Row, state: str, code: str = "") -> None:
        if row["state"] == state and (not code or row["code"] == code):
            return
        wanted = f"{state} ({code})" if code else state
        said = f"{row['state']} ({row['code'] or 'no code'})"
        why = f": {row['cause']}" if row["cause"] else ""
        raise BridgeError(f"{part.label}: expected {wanted}, got {said}{why}")

    def _part(self, part: Part | None) -> Part:
        if part is None:
            raise BridgeError("the plant has no machine for this scene")
        return part

    @contextlib.contextmanager
    def _misbehaving(self, part: Part, mode: str) -> Iterator[None]:
        """Let a machine misbehave within the block, whatever it did before."""
        self._park.misbehave(part.command.asset, mode)
        try:
            yield
        finally:
            self._park.misbehave(part.command.asset, "none")

    def _reached(self, part: Part) -> int:
        """Return how many commands ever reached a machine."""
        return sum(entry.asset == part.command.asset for entry in self._park.log())
