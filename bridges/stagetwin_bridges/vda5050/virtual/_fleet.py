"""Many vehicles in one process, each a participant of its own at the broker."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from stagetwin.fleets import VehicleType, find_bodies
from stagetwin.ports import ConnectionSpec, Credential
from stagetwin_bridges._errors import NotConnectedError, RealmError
from stagetwin_bridges.mqtt._settling import settled
from stagetwin_bridges.vda5050.messages import (
    Action,
    Codec,
    Identity,
    InstantActions,
)
from stagetwin_bridges.vda5050.telemetry import FleetEndpoint
from stagetwin_bridges.vda5050.vehicle import (
    Device,
    TimedDevice,
    Vehicle,
    VehicleOptions,
    make_factsheet,
)
from stagetwin_bridges.vda5050.virtual._member import Counts, Member, Place
from stagetwin_bridges.vda5050.virtual._snapshot import Snapshot

if TYPE_CHECKING:
    from stagetwin.maps import RoadMap

__all__ = ["Pace", "VirtualFleet"]

T = TypeVar("T")

_SIMULATED = "simulation"
_ENCRYPTED = "vda5050+mqtts"
_LONGEST_STEP = 0.5
_FAREWELL = 2.0
"""How long sockets may take to close in order [s]."""
_TURNS = 5
"""Turns of the loop that it takes to close a socket that was broken off."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How often virtual vehicles move and speak.

    Attributes:
        step: between two steps of a vehicle [s].
        slices: parts of the fleet that step one after another, so that messages do not come in
            bursts.
        state_interval: longest time between two states of a vehicle [s].
        visualization_interval: between two visualizations [s]; 0 sends none.
        connecting: how many connect at once.
        keepalive: of the connections [s].
        connect_timeout: for a connection [s].
    """

    step: float = 0.1
    slices: int = 10
    state_interval: float = 1.0
    visualization_interval: float = 0.0
    connecting: int = 50
    keepalive: int = 15
    connect_timeout: float = 20.0


class VirtualFleet:
    """Simulated vehicles behind a real broker; a fleet control cannot tell them from others.

    Each has a client, a session and a last will of its own. They run in a thread of this process,
    between `start` and `stop`, or inside the context.

    Args:
        connection: where they connect to; its realm must be `simulation`.
        serials: of the vehicles, `MANUFACTURER/SERIAL`.
        poses: where they stand at first, shape (count, 3): x [m], y [m], theta [rad].
        kinds: type of each vehicle; one for all where there is one.
        credential: account at the broker.
        bodies: name of what drives them, see `stagetwin.fleets.find_bodies`; or what makes it.
        road_map: map that they are on.
        pace: how often they move and speak.
        options: further options of each vehicle.
        device: makes what does a vehicle's actions; None takes their time and succeeds.
        navigation: navigation type that their factsheets name first.
        seed: of the bodies.
        body_options: of the bodies.

    Raises:
        RealmError: the connection leads to a plant or a replay.
        ConnectionConfigError: the endpoint, its security, a name or the credential is wrong.
        ProtocolNotFoundError: nothing drives vehicles by that name.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        serials: Sequence[str],
        poses: npt.ArrayLike,
        kinds: Sequence[VehicleType] = (VehicleType(),),
        *,
        credential: Credential | None = None,
        bodies: str | Callable[..., Any] = "simulated",
        road_map: RoadMap | None = None,
        pace: Pace | None = None,
        options: VehicleOptions | None = None,
        device: Callable[[int], Device] | None = None,
        navigation: str = "VIRTUAL_LINE_GUIDED",
        seed: int = 0,
        body_options: Mapping[str, Any] | None = None,
    ) -> None:
        if connection.realm != _SIMULATED:
            raise RealmError(
                f"{connection.prim}: virtual vehicles belong to the realm 'simulation', the "
                f"connection's is {connection.realm!r}"
            )
        endpoint = FleetEndpoint.parse(connection.endpoint)
        settings = settled(connection, endpoint.broker, _ENCRYPTED, credential)
        self._pace = pace or Pace()
        self.counts = Counts({})
        place = Place(
            settings.host,
            settings.port,
            settings.tls,
            settings.username,
            settings.password,
            self._pace.keepalive,
            self._pace.connect_timeout,
        )
        where = np.asarray(poses, dtype=np.float64)
        if where.shape != (len(serials), 3):
            raise ValueError(f"poses: expected the shape ({len(serials)}, 3), got {where.shape}")
        types = list(kinds) * len(serials) if len(kinds) == 1 else list(kinds)
        if len(types) != len(serials):
            raise ValueError(f"kinds: expected 1 or {len(serials)}, got {len(kinds)}")
        make = find_bodies(bodies) if isinstance(bodies, str) else bodies
        self._bodies = Snapshot(make(types, where, road_map, seed=seed, options=body_options))
        codec = Codec(endpoint.options.version)
        base = options or VehicleOptions()
        base = msgspec.structs.replace(
            base,
            state_interval=self._pace.state_interval,
            visualization_interval=self._pace.visualization_interval,
        )
        self._members: dict[str, Member] = {}
        for index, name in enumerate(serials):
            manufacturer, _, serial = name.partition("/")
            identity = Identity(endpoint.interface, codec.version, manufacturer, serial)
            if name in self._members:
                raise ValueError(f"serial {name!r} is given twice")
            vehicle = Vehicle(
                identity,
                make_factsheet(types[index], codec.version, navigation=navigation),
                bodies=self._bodies,
                index=index,
                road_map=road_map,
                device=device(index) if device is not None else TimedDevice(),
                options=msgspec.structs.replace(
                    base, reverses=self._bodies.reverses and types[index].reverse_speed > 0
                ),
            )
            self._members[name] = Member(vehicle, codec, place, self.counts)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def names(self) -> tuple[str, ...]:
        """The vehicles, `MANUFACTURER/SERIAL`."""
        return tuple(self._members)

    @property
    def online(self) -> int:
        """How many the broker has taken."""
        return sum(member.up for member in self._members.values())

    @property
    def vehicles(self) -> dict[str, Vehicle]:
        """The vehicles by name; while the fleet runs they belong to its thread, see `ask`."""
        return {name: member.vehicle for name, member in self._members.items()}

    # -- running ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect and to move, in a thread."""
        if self._thread is not None:
            return
        begun = threading.Event()

        def body() -> None:
            try:
                asyncio.run(self.run(begun.set))
            except BaseException as error:
                self._failure = error
            finally:
                begun.set()

        self._failure = None
        self._thread = threading.Thread(target=body, name="virtual-fleet")
        self._thread.start()
        begun.wait()

    def stop(self) -> None:
        """Say OFFLINE for all, disconnect and end the thread.

        Raises:
            Exception: what ended it before.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        loop, over = self._loop, self._over
        if loop is not None and over is not None and thread.is_alive():
            loop.call_soon_threadsafe(over.set)
        thread.join()
        if self._failure is not None:
            raise self._failure

    async def run(self, begun: Callable[[], None] = lambda: None) -> None:
        """Connect, move and speak until `stop`; see `start`."""
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        gate = asyncio.Semaphore(self._pace.connecting)
        # Bodies may have to prepare: not while connections wait to be tended.
        self._bodies.step(self._pace.step)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(member.keep(gate, asyncio.sleep), name=f"link {name}")
                    for name, member in self._members.items()
                ]
                running.append(tasks.create_task(self._cycle(), name="cycle"))
                begun()
                await self._over.wait()
                for task in running:
                    task.cancel()
        finally:
            now = time.time()
            for member in self._members.values():
                if member.up:
                    member.say_goodbye(now)
                else:
                    member.leave()
            await self._closed()
            self._loop = self._over = None

    async def _closed(self) -> None:
        """Let what was written go out, and the sockets close, before the loop ends."""
        end = time.monotonic() + _FAREWELL
        while any(member.closing for member in self._members.values()):
            if time.monotonic() > end:
                for member in self._members.values():
                    member.abandon()
                break
            await asyncio.sleep(0.01)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def _cycle(self) -> None:
        pace, members = self._pace, list(self._members.values())
        slices = [members[k :: pace.slices] for k in range(pace.slices)]
        due = last = time.monotonic()
        count = 0
        while True:
            now = time.monotonic()
            self._bodies.step(min(now - last, _LONGEST_STEP))
            last = now
            for k, part in enumerate(slices):
                wait = due + pace.step * k / pace.slices - time.monotonic()
                await asyncio.sleep(max(wait, 0.0))
                moment = time.time()
                for member in part:
                    member.step(moment)
            count += 1
            if count % max(1, math.ceil(1.0 / pace.step)) == 0:
                for member in members:
                    member.tend()
            due += pace.step
            behind = time.monotonic() - due
            if behind > pace.step:
                self.counts.late += 1
                due += behind
            await asyncio.sleep(max(due - time.monotonic(), 0.0))

    # -- what happens to single vehicles ---------------------------------------------------------

    def kill(self, name: str) -> None:
        """Cut a vehicle's socket: the broker publishes its last will. It stays away."""
        self._do(lambda: self._member(name).cut())

    def revive(self, name: str) -> None:
        """Let a vehicle that was killed connect again."""
        self._do(lambda: self._member(name).come_back())

    def hibernate(self, name: str) -> None:
        """Let a vehicle go to sleep as if it had been told (3.0)."""
        self._instant(name, "startHibernation")

    def wake(self, name: str) -> None:
        """Wake a vehicle that hibernates."""
        self._instant(name, "stopHibernation")

    def ask(self, name: str, question: Callable[[Vehicle], T]) -> T:
        """Return what a question about a vehicle gives, asked on the fleet's own thread."""
        return self._do(lambda: question(self._member(name).vehicle))

    # -- parts -----------------------------------------------------------------------------------

    def _instant(self, name: str, kind: str) -> None:
        now = time.time()
        action = Action(action_type=kind, action_id=f"local-{kind}-{now}", blocking_type="NONE")
        message = InstantActions(actions=(action,))
        self._do(lambda: self._member(name).vehicle.receive(message, now))

    def _member(self, name: str) -> Member:
        member = self._members.get(name)
        if member is None:
            raise ValueError(f"no vehicle {name!r}; there are {len(self._members)}")
        return member

    def _do(self, what: Callable[[], T]) -> T:
        loop = self._loop
        if loop is None:
            raise NotConnectedError("the virtual fleet does not run")
        result: Future[T] = Future()

        def act() -> None:
            try:
                result.set_result(what())
            except BaseException as error:
                result.set_exception(error)

        loop.call_soon_threadsafe(act)
        return result.result(timeout=30.0)
