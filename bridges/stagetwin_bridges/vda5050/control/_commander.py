"""The command client of a fleet: goals become orders, and orders are released as vehicles drive."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stagetwin.actuation import (
    RENEWED_FOR,
    CommandSink,
    CommandTarget,
    Fate,
    Renewal,
    Report,
    Transmission,
)
from stagetwin.clock import Clock, WallClock
from stagetwin.maps import MapError, RoadMap
from stagetwin.ports import ConnectionSpec
from stagetwin_bridges._errors import ConnectionConfigError, MessageError, OrderError
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._command_client import CommandClient, Written
from stagetwin_bridges.mqtt._command_payload import message_packet
from stagetwin_bridges.mqtt._command_thread import CommandThread
from stagetwin_bridges.mqtt._replies import HeardReply
from stagetwin_bridges.vda5050.control._blind import Blind
from stagetwin_bridges.vda5050.control._control import Control
from stagetwin_bridges.vda5050.control._fields import address_of, is_order, target_problems
from stagetwin_bridges.vda5050.control._followed import Followed, News
from stagetwin_bridges.vda5050.control._link import FleetClient
from stagetwin_bridges.vda5050.control._making import made_of, sent_words
from stagetwin_bridges.vda5050.control._releases import Releases
from stagetwin_bridges.vda5050.control._standing import STANDSTILL, Standing
from stagetwin_bridges.vda5050.messages import Codec, Identity, Message, topic_of

__all__ = ["FleetCommander"]

logger = logging.getLogger(__name__)

_HEARD = ("connection", "factsheet", "state")
_LATE = 600.0
"""How long after its time to live a confirmation is still looked for [s]."""

_ASK_AFTER, _ASK_AGAIN = 1.5, 5.0
"""A vehicle that is online and says no state for so long is asked for one, then again [s]."""
_WARN_EVERY = 10.0
"""What is wrong with the messages of one topic is logged at most so often [s]."""
_ASK_FOR_SHEET = 2
"""How often a vehicle without a factsheet is asked for one in a connection, at most."""


class FleetCommander(CommandThread):
    """`Commander` of one VDA 5050 connection; it renews and repeats.

    Args:
        connection: the connection, its map included.
        settings: how to connect.
        interface: first level of all topics.
        version: of the standard.
        blind: the longest way that a vehicle may drive blind.
        snap: how far from a goal pose the node may lie that is taken for it [m].
        largest: a longer message of a vehicle is not looked at [bytes].
        standstill: a vehicle with an order that stands for so long is noted [s].
        targets: what may be commanded.
        sink: told of everything.
        clock: the clock of deadlines.

    Raises:
        ConnectionConfigError: the connection's map cannot be read.
    """

    turn = 0.2

    def __init__(
        self,
        connection: ConnectionSpec,
        settings: ClientSettings,
        interface: str,
        version: str,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        *,
        blind: Blind | None = None,
        snap: float = 2.0,
        largest: int = 1_048_576,
        standstill: float = STANDSTILL,
        clock: Clock | None = None,
    ) -> None:
        clock = clock if clock is not None else WallClock()
        try:
            road_map = RoadMap.decode(connection.map) if connection.map else None
        except MapError as error:
            raise ConnectionConfigError(f"{connection.prim}: {error}") from None
        self._map, self._interface, self._codec = road_map, interface, Codec(version)
        self._blind, self._snap, self._largest = blind, snap, largest
        self._standstill = standstill
        self._releases = Releases(road_map, clock=clock) if road_map is not None else None
        self._controls: dict[str, Control] = {}
        self._assets: dict[str, list[str]] = {}
        self._followed: dict[str, Followed] = {}
        self._renewed: dict[str, Renewal] = {}
        self._found: set[str] = set()
        self._asked: dict[str, tuple[float, int]] = {}
        self._warned: dict[str, tuple[float, int]] = {}
        super().__init__(connection, settings, targets, sink, clock)

    # -- Commander -------------------------------------------------------------------------------

    def rebind(self, targets: Sequence[CommandTarget]) -> None:
        """See Commander."""
        super().rebind(targets)
        with self._lock:
            wanted: dict[str, list[str]] = {}
            for target in self._targets.values():
                wanted.setdefault(target.address, []).append(target.prim)
            self._assets = wanted
        self._waker.wake()

    def renew(self, renewal: Renewal) -> None:
        """See RenewedCommander."""
        with self._lock:
            self._renewed[renewal.id] = renewal
        self._waker.wake()

    # -- CommandThread ---------------------------------------------------------------------------

    def _problems_of(self, target: CommandTarget) -> list[str]:
        return target_problems(target)

    def _client(self) -> FleetClient:
        return FleetClient(
            self._settings,
            self._topics(),
            self._waker.fileno(),
            lambda: self._closing,
            self._hear,
        )

    def _topics(self) -> list[str]:
        with self._lock:
            addresses = list(self._assets)
        return [topic_of(self._control(each).identity, t) for each in addresses for t in _HEARD]

    def _control(self, address: str) -> Control:
        control = self._controls.get(address)
        if control is None:
            who = Identity(self._interface, self._codec.version, *address_of(address))
            control = self._controls[address] = Control(
                who,
                self._map,
                blind=self._blind,
                snap=self._snap,
                releases=self._releases,
                clock=self._clock,
            )
        return control

    def _write(self, client: CommandClient, transmission: Transmission) -> None:
        """Write one command for the first time, or withhold it."""
        if not self._is_new(transmission.id):
            return
        try:
            problem, followed, message = self._made(transmission)
            packet = self._packet(message, self._gate.remaining(transmission)) if message else b""
        except (OrderError, MessageError) as error:
            problem, followed, packet = str(error), None, b""
        except Exception as error:
            # Whatever one vehicle or map brings about, the others keep their connection.
            logger.exception("command %s cannot be made", transmission.id)
            problem, followed, packet = f"it cannot be made: {error!r}", None, b""
        problem = problem or client.obstacle(len(packet)) or self._gate.withheld(transmission)
        if problem or followed is None:
            self._withdraw(followed)
            self._withhold(transmission, problem)
            return
        written, cause = client.write(packet)
        if written is Written.NOTHING:
            self._withdraw(followed)
            self._withhold(transmission, cause)
            return
        self._note_written(transmission.id)
        followed.until = self._clock.steady() + RENEWED_FOR
        self._followed[transmission.id] = followed
        self._report_sent(followed)
        if written is Written.PART and not followed.is_order:
            followed.over = True
            self._tell(followed, (Fate.UNKNOWN, f"a part of it may have left: {cause}", True))

    def _made(self, transmission: Transmission) -> tuple[str, Followed | None, Message | None]:
        """Return why a command must not be written, and what is written for it.

        Raises:
            OrderError: the vehicle cannot be given it.
        """
        if problem := self._obstacle(transmission):
            return problem, None, None
        control = self._control(transmission.target.address)
        problem, followed, message = made_of(transmission, control, self._map)
        if followed is not None:
            followed.standing = Standing(self._standstill)
        return problem, followed, message

    @staticmethod
    def _withdraw(followed: Followed | None) -> None:
        """Forget what was made and never left."""
        if followed is not None and followed.is_order:
            followed.control.withdraw(followed.wire_id)

    def _report_sent(self, followed: Followed) -> None:
        words, shows = sent_words(followed)
        self._sink.report(
            Report(
                id=followed.transmission.id,
                fate=Fate.SENT,
                cause=words,
                time=self._clock.wall(),
                shows=shows,
            )
        )

    def _turned(self, client: CommandClient) -> None:
        assert isinstance(client, FleetClient)
        client.subscribe(self._topics())
        self._take_renewals()
        now = self._clock.steady()
        for number, followed in list(self._followed.items()):
            for news in followed.expire(now):
                self._tell(followed, news)
            lost = followed.expired and now > followed.transmission.expires + _LATE
            if followed.over or (lost and not followed.accepted):
                del self._followed[number]
            elif followed.is_order or followed.transfer is not None:
                self._go_on(client, followed, now)

    def _go_on(self, client: CommandClient, followed: Followed, now: float) -> None:
        """Write what a command asks for now: a repetition, an extension, an answer, a zone set."""
        sent, order = followed.transmission, followed.control.order
        for news in followed.bring():
            self._tell(followed, news)
        if followed.is_order:
            if order is None or order.id != followed.wire_id:
                return  # leave for one order is none for another of the same vehicle
            if why := followed.standing.look(order, followed.control.mirror, now):
                self._tell(followed, (Fate.NOTED, why, False))
        if not self._online or self._gate.lapsed(sent.asset, sent.guard, followed.until):
            return
        try:
            if followed.is_order:
                due = followed.control.outgoing(leave=True)
            else:
                # Sent once: not begun where the socket takes nothing.
                due = [] if client.obstacle(0) else followed.control.transfers()
            for message in due:
                packet = self._packet(message, RENEWED_FOR)
                # What cannot be written now is repeated, for no state will show it.
                if not client.obstacle(len(packet)):
                    client.write(packet)
        except (OrderError, MessageError) as error:
            logger.warning("%s: order %s does not go on: %s", sent.target.path, sent.id, error)
            followed.over = True
            self._tell(followed, (Fate.NOTED, f"nothing more of it is released: {error}", False))
        except Exception as error:
            logger.exception("%s: order %s does not go on", sent.target.path, sent.id)
            followed.over = True
            self._tell(followed, (Fate.NOTED, f"nothing more of it is released: {error!r}", False))

    def _second(self, client: CommandClient) -> None:
        """Ask vehicles that are online and silent for a state and a factsheet."""
        now = self._clock.steady()
        with self._lock:
            prims = {address: list(each) for address, each in self._assets.items()}
        for address, control in self._controls.items():
            mirror = control.mirror
            missing = mirror.state is None or mirror.limits.factsheet is None
            if mirror.connection != "ONLINE" or not missing or address not in prims:
                self._asked.pop(address, None)
                continue
            due, asked = self._asked.setdefault(address, (now + _ASK_AFTER, 0))
            kind = "stateRequest" if mirror.state is None else "factsheetRequest"
            if now < due or (kind == "factsheetRequest" and asked >= _ASK_FOR_SHEET):
                continue
            if not any(self._gate.is_guarded(prim) for prim in prims[address]):
                continue
            self._asked[address] = now + _ASK_AGAIN, asked + 1
            packet = self._packet(control.ask(kind), RENEWED_FOR)
            if not client.obstacle(len(packet)):
                client.write(packet)

    def _ended(self, cause: str) -> None:
        del cause  # the service says it: what is not renewed does not go on
        for control in self._controls.values():
            control.forget()
        self._asked.clear()

    # -- what vehicles say -----------------------------------------------------------------------

    def _hear(self, heard: HeardReply) -> None:
        root, _, topic = heard.topic.rpartition("/")
        address = "/".join(root.split("/")[-2:])
        control = self._controls.get(address)
        if control is None or topic not in _HEARD or control.identity.root != root:
            return
        if heard.realm and heard.realm != self._realm:
            self._warn(heard.topic, f"a message of realm {heard.realm!r} is not heard")
            return
        if len(heard.payload) > self._largest:
            self._warn(heard.topic, f"{len(heard.payload)} bytes are not read")
            return
        if topic == "state" and heard.retained:
            return  # of a time that nobody knows
        try:
            message = self._codec.decode(topic, heard.payload)
        except MessageError as error:
            if topic == "state":
                control.mirror.state = None  # it said something, and nobody knows what
            self._warn(heard.topic, str(error))
            return
        try:
            events = control.receive(message)
        except MessageError as error:
            self._warn(heard.topic, str(error))
            return
        for event in events:
            for followed in list(self._followed.values()):
                if followed.control is control and followed.wire_id == event.id:
                    for news in followed.judge(event):
                        self._tell(followed, news)

    def _warn(self, topic: str, words: str) -> None:
        """Log what is wrong with a message, seldom for each topic: it may come again and again."""
        now = self._clock.steady()
        due, unsaid = self._warned.get(topic, (now, 0))
        if now < due:
            self._warned[topic] = due, unsaid + 1
            return
        more = f" ({unsaid} more of this topic were not logged)" if unsaid else ""
        logger.warning("%s: %s%s", topic, words, more)
        self._warned[topic] = now + _WARN_EVERY, 0

    # -- renewals --------------------------------------------------------------------------------

    def _take_renewals(self) -> None:
        with self._lock:
            renewed, self._renewed = self._renewed, {}
        for number, renewal in renewed.items():
            followed = self._followed.get(number)
            if followed is None:
                if number not in self._written:
                    self._find(renewal)
            elif renewal.guard == followed.transmission.guard:
                followed.until = renewal.until

    def _find(self, renewal: Renewal) -> None:
        """Look for a command that a client before this one sent: by its id on the wire.

        It is followed by the service's read-back; nothing more of it is released.
        """
        if renewal.id in self._found or renewal.target.address not in self._controls:
            return
        control = self._controls[renewal.target.address]
        state = control.mirror.state
        if state is None:
            return
        try:
            wire_id = control.mirror.limits.id_of(renewal.id)
        except OrderError as error:
            self._found.add(renewal.id)
            logger.warning("%s: order %s is not found: %s", renewal.target.path, renewal.id, error)
            return
        if is_order(renewal.target.field):
            found = state.order_id == wire_id
        else:
            action = control.mirror.instant_action(wire_id)
            found = action is not None and action.action_status != "FAILED"
        if found:
            self._found.add(renewal.id)
            words = "the vehicle has it; sent by a client before, nothing more of it is released"
            for fate in (Fate.ACKNOWLEDGED, Fate.NOTED):
                self._report(renewal.id, fate, words)

    # -- small parts -----------------------------------------------------------------------------

    def _tell(self, followed: Followed, news: News) -> None:
        fate, cause, final = news
        self._report(followed.transmission.id, fate, cause, final=final)

    def _packet(self, message: Message, expires_in: float) -> bytes:
        """Return a message as it is written, checked by its schema."""
        who = Identity(
            self._interface, self._codec.version, message.manufacturer, message.serial_number
        )
        data = self._codec.encode(message)
        most = self._control(who.name).mirror.limits.message
        if len(data) > most:
            raise OrderError(f"{who.name}: {len(data)} bytes, the vehicle takes {most}")
        topic = topic_of(who, message.topic)
        return message_packet(topic, data, expires_in, self._realm, self._settings.version)
