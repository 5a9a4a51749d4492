"""A simulated PLC: it cycles its machines, judges commands, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stagetwin import WireRangeError, WireTypeError
from stagetwin.bindings import BindingTable, CommandBinding, TelemetryBinding, read_bindings
from stagetwin.opening import open_stage
from stagetwin.ports import ConnectionSpec, ValueKind, find_model
from stagetwin.values import stage_value
from stagetwin_bridges._errors import BridgeError, RealmError
from stagetwin_bridges.devices._config import DeviceConfig
from stagetwin_bridges.devices._log import Answer, Entry, ExecutionLog, Fault, Outcome
from stagetwin_bridges.devices._misbehaviour import Misbehaviour, Mode
from stagetwin_bridges.devices._readings import Readings
from stagetwin_bridges.devices._siblings import Siblings

__all__ = ["Controller", "Order"]

_SHORTEST_STEP = 1e-3
_PATIENCE = 8.0
"""How long a device waits for its models [s]; those that compile for longer take over later."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it arrived.

    Attributes:
        command: what it is for.
        value: wire value; None if it cannot be read.
        id: empty if it has none.
        expires_in: what is left of its time to live [s]; None if it does not say.
        sent: when it was sent [s, Unix]; None if it does not say.
        realm: what it says of its sender; empty if nothing.
        unreadable: why the value cannot be read.
    """

    command: CommandBinding
    value: Any = None
    id: str = ""
    expires_in: float | None = None
    sent: float | None = None
    realm: str = ""
    unreadable: str = ""


class Controller:
    """The machines of one connection, or of a part of it.

    Args:
        config: what it serves.

    Raises:
        BridgeError: the stage has no such connection, or nothing on it to serve.
        RealmError: the connection leads to a plant: there, machines are real.

    Attributes:
        connection: the connection as the stage declares it.
        table: bindings of this connection and these assets alone.
        log: what became of commands.
    """

    def __init__(self, config: DeviceConfig) -> None:
        stage = open_stage(config.stage, config.sidecars, config.endpoints)
        whole = read_bindings(stage)
        self.connection = _connection(whole, config.connection)
        self.table = _part_of(whole, config)
        if not self.table.telemetry and not self.table.commands:
            raise BridgeError(
                f"connection {config.connection!r} carries no signal or command of "
                f"{', '.join(config.assets) or 'any asset'}"
            )
        began = config.began or time.time()
        self._park: Any = find_model("machines").of_stage(
            stage,
            self.table,
            config.seed,
            whole=whole if config.models else None,
            faults=config.faults,
            elapsed=max(time.time() - began, 0.0),
            patience=_PATIENCE,
        )
        unseen = self._park.machines.keys() - {b.asset for b in self._own()}
        self._siblings = Siblings(
            config.siblings, [c for c in whole.commands if c.asset in unseen], began
        )
        self.log = ExecutionLog(config.log)
        self.bindings: tuple[TelemetryBinding, ...] = tuple(self.table.telemetry.values())
        self.readings = Readings(self.bindings, self.table.commands)
        self._modes: dict[str, Misbehaviour] = {}
        self._under_way: dict[str, asyncio.Future[Answer]] = {}
        self._stepped = time.monotonic()
        self._cured = asyncio.Event()
        self.on_misbehaviour: Callable[[], None] = lambda: None

    # -- the cycle

    def values(self) -> list[Any]:
        """Move the machines on to this moment and return what their sensors say, by binding."""
        now = time.monotonic()
        elapsed = max(now - self._stepped, _SHORTEST_STEP)
        for command, value in self._siblings.news():
            self._park.command(command, value)
        self._park.step(elapsed)
        self._stepped = now
        return self.readings.told(self._park.values(), now)

    # -- commands

    async def obey(self, order: Order) -> Answer:
        """Judge and execute a command, and say what became of it.

        The same id is executed once; it is given the same answer again.
        """
        if order.id:
            known = self.log.answer_to(order.id)
            pending = self._under_way.get(order.id)
            if known is None and pending is not None:
                known = await asyncio.shield(pending)
            if known is not None:
                self._note(order, order.value, "duplicate")
                return known
        promise: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if order.id:
            self._under_way[order.id] = promise
        try:
            answer = await self._judge(order)
        finally:
            self._under_way.pop(order.id, None)
            if not promise.done():
                promise.cancel()
        return answer

    async def _judge(self, order: Order) -> Answer:
        mode = self.misbehaviour(order.command.asset)
        silent = mode.mode is Mode.MUTE
        value, cause, fault = self._read(order)
        if not cause and mode.mode is Mode.REFUSE:
            cause, fault = "the device refuses", "state"
        outcome: Outcome = "refused"
        if not cause:
            if mode.mode is Mode.DELAY:
                await asyncio.sleep(mode.seconds)
            if mode.mode.deaf:
                outcome = "ignored"
                self.readings.promise(order.command, value)
            else:
                # Time has passed since the last cycle, and interlocks judge the present.
                self.values()
                cause = self._park.command(order.command, value)
                fault = "state" if cause else ""
                outcome = "refused" if cause else "executed"
        answer = Answer(not cause, cause, fault, silent)
        if order.id:
            self.log.remember(order.id, answer)
            if (promise := self._under_way.get(order.id)) is not None:
                promise.set_result(answer)
        self._note(order, value, outcome, cause)
        return answer

    def _read(self, order: Order) -> tuple[Any, str, Fault]:
        """Return the value in the stage's unit, or why it is not taken."""
        command = order.command
        if order.unreadable:
            return order.value, order.unreadable, "type"
        if order.realm and order.realm != self.connection.realm:
            cause = f"a command of realm {order.realm}, this is {self.connection.realm}"
            return order.value, cause, "state"
        if order.expires_in is not None:
            age = max(time.time() - order.sent, 0.0) if order.sent is not None else 0.0
            if order.expires_in - age <= 0:
                return order.value, f"expired {age - order.expires_in:.1f} s ago", "expired"
        value = _on_stage(command, order.value)
        limits = command.limits
        try:
            stage_value(command.type_name, value, limits.hard_min, limits.hard_max)
        except WireTypeError as error:
            return value, str(error), "type"
        except WireRangeError as error:
            return value, f"{error} {command.unit}".rstrip(" 1"), "range"
        return value, "", ""

    def _note(self, order: Order, value: Any, outcome: Outcome, cause: str = "") -> None:
        entry = Entry(
            time=time.time(),
            asset=order.command.asset,
            command=order.command.signal,
            address=order.command.address,
            value=value,
            outcome=outcome,
            id=order.id,
            cause=cause,
        )
        self.log.add(entry)

    # -- misbehaviour

    def misbehaviour(self, asset: str) -> Misbehaviour:
        """Return how an asset misbehaves at present."""
        return self._modes.get(asset, Misbehaviour())

    def misbehave(self, asset: str, how: Misbehaviour) -> None:
        """Let an asset misbehave from now on; one that freezes repeats what it said last."""
        self._modes[asset] = how
        self.readings.misbehave(asset, how.mode, time.monotonic())
        self._cured.set()
        self._cured = asyncio.Event()
        self.on_misbehaviour()

    @property
    def offline(self) -> bool:
        """Whether any asset is told to be offline: the gateway takes the others with it."""
        return any(how.mode is Mode.OFFLINE for how in self._modes.values())

    async def silence(self, asset: str) -> None:
        """Wait until an asset is mute no longer."""
        while self.misbehaviour(asset).mode is Mode.MUTE:
            await self._cured.wait()

    # -- faults

    def fail(self, where: str, kind: str, how: dict[str, Any]) -> bool:
        """Let a machine or a sensor fail; `none` ends that. Tells whether it is one of these.

        Raises:
            StagetwinError: it cannot fail so; tells what is allowed.
        """
        if not self._park.faults.knows(where):
            return False
        if kind == "none":
            self._park.recover(where)
        else:
            self._park.fail(where, kind, **how)
        return True

    def faults(self, asset: str) -> dict[str, Any]:
        """Return the faults in force and the faults that may be of an asset, or of all."""
        rows = self._park.faults.rows()
        return {
            "faults": [row for row in rows if asset in ("", row["asset"])],
            "possible": self._park.faults.possible(asset),
        }

    def _own(self) -> list[TelemetryBinding | CommandBinding]:
        return [*self.table.telemetry.values(), *self.table.commands]

    def describe(self) -> list[dict[str, Any]]:
        """Return the assets served, for people and tests."""
        paths = sorted({b.asset for b in self._own()})
        failing: dict[str, list[str]] = {}
        for fault in self._park.faults.rows():
            if fault["level"] > 0:
                failing.setdefault(fault["asset"], []).append(fault["kind"])
        rows = []
        for path in paths:
            known = self.table.assets.get(path)
            rows.append(
                {
                    "asset": path,
                    "id": known.id if known else "",
                    "kind": self._park.machines[path].kind,
                    "connection": self.connection.name,
                    "misbehaviour": str(self.misbehaviour(path)),
                    "faults": failing.get(path, []),
                    "executed": self.log.count(path, "executed"),
                    "refused": self.log.count(path, "refused"),
                    "duplicate": self.log.count(path, "duplicate"),
                    "ignored": self.log.count(path, "ignored"),
                }
            )
        return rows


def _on_stage(command: CommandBinding, wire: Any) -> Any:
    """Return a wire value in the stage's unit; what has no scale stays as it is."""
    if isinstance(wire, list):
        return [_on_stage(command, item) for item in wire]
    if isinstance(wire, bool) or not isinstance(wire, (int, float)):
        return wire
    if command.scale == 1 and command.offset == 0:
        return wire
    scaled = wire * command.scale + command.offset
    return round(scaled) if command.value_type.kind is ValueKind.INTEGER else scaled


def _connection(table: BindingTable, name: str) -> ConnectionSpec:
    spec = table.connections.get(name)
    if spec is None:
        known = ", ".join(sorted(table.connections)) or "none"
        raise BridgeError(f"no connection {name!r} on the stage; there are {known}")
    if spec.realm == "plant":
        raise RealmError(
            f"{spec.prim}: connection {name!r} leads to a plant; simulated devices serve the "
            f"realms simulation and replay only"
        )
    return spec


def _part_of(table: BindingTable, config: DeviceConfig) -> BindingTable:
    """Return the bindings of one connection and its assets."""

    def served(binding: TelemetryBinding | CommandBinding) -> bool:
        return binding.connection == config.connection and _below(binding.asset, config.assets)

    return BindingTable(
        telemetry={i: b for i, b in table.telemetry.items() if served(b)},
        commands=[b for b in table.commands if served(b)],
        connections=table.connections,
        assets=table.assets,
    )


def _below(path: str, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(path == p or path.startswith(f"{p}/") for p in prefixes)
