"""A running MQTT connection: subscriptions in, samples out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from stagetwin.ports import ChannelSpec, ConnectionSpec, ConnectionState, Reject, Sink
from stagetwin_bridges._sinks import SafeSink
from stagetwin_bridges.mqtt._client import Client, ClientSettings, Receiver
from stagetwin_bridges.mqtt._dialect import Dialect, PlainDialect
from stagetwin_bridges.mqtt._options import MqttOptions
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.mqtt._routes import Routes

__all__ = ["MakeClient", "MqttBridge"]

logger = logging.getLogger(__name__)

_PERIOD = 0.005
"""Shortest time between two hand-overs to the sink [s]."""
_ROWS = 50_000
"""Samples that are handed over without waiting for the period."""
_NAMED = 3
_PREPARED = 20_000
"""Topics whose decoders are compiled before their first message."""
_REMEMBERED = 200_000
"""Topics whose clock and counter are kept through a rebinding, whether still met or not."""

MakeClient = Callable[[ClientSettings, Receiver], Client]


class MqttBridge:
    """`Bridge` of one MQTT connection, and the `Receiver` of its client.

    Samples are handed over at once while messages are rare, and in batches every 5 ms while they
    are many. What can be said about loss is `MqttOptions.loss_class`; a connection that comes back
    without its session is recorded as `rejected(Reject.LOST, 0, ...)`: a gap whose size is unknown,
    unless the payloads carry a sequence, which then counts it.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        options: MqttOptions,
        settings: ClientSettings,
        channels: Sequence[ChannelSpec],
        sink: Sink,
        make_client: MakeClient,
        capacity: int = 1_000_000,
        dialect: Dialect | None = None,
    ) -> None:
        self._dialect = dialect or PlainDialect()
        self._plant = connection.realm == "plant"
        self._options = options
        self._sink = SafeSink(sink)
        self._output = Output(capacity)
        self._reading = Reading(options.time, options.time_unit, options.sequence)
        self._lock = threading.RLock()
        self._rebinding = threading.Lock()
        self._states: dict[bytes, Clockwork] = {}
        self._living: set[str] = set()
        self._denied: dict[str, str] = {}
        self._dropped = 0
        self._handed_over = 0.0
        self._online = False
        self._subscribed = False
        self._lost_at: float | None = None
        self._cause = ""
        self._use(self._route(channels))
        self._client = make_client(settings, self)

    # -- Bridge ----------------------------------------------------------------------------------

    def start(self) -> None:
        """See Bridge."""
        self._client.start()

    def rebind(self, channels: Sequence[ChannelSpec]) -> None:
        """See Bridge. Only the difference is subscribed and unsubscribed.

        A channel that is new on a topic already subscribed has no initial value before the next
        message: to ask for the retained one again would disturb the channels that stay.
        """
        with self._rebinding:
            routes = self._route(channels)  # takes long; messages go on meanwhile
            self._swap(routes)

    def stop(self) -> None:
        """See Bridge."""
        self._client.close()
        with self._lock:
            self._online = False
            self._hand_over()
        self._sink.state(ConnectionState.OFFLINE, "stopped")

    # -- Receiver --------------------------------------------------------------------------------

    def connecting(self) -> None:
        """See Receiver."""
        self._sink.state(ConnectionState.CONNECTING, self._cause)

    def connected(self, session_present: bool) -> None:
        """See Receiver."""
        with self._lock:
            self._online = True
            self._denied.clear()
            if self._lost_at is not None and not session_present and not self._reading.sequence:
                gap = time.monotonic() - self._lost_at
                self._output.count(
                    Reject.LOST, 0, f"not connected for {gap:.1f} s: unknown how many were missed"
                )
            self._lost_at = None
            self._subscribed = not self._filters
            self._client.subscribe(self._filters)
        self.alive()

    def subscribed(self) -> None:
        """See Receiver."""
        self._subscribed = True
        self._sink.state(ConnectionState.ONLINE, self._shortfall())

    def lost(self, cause: str, refused: bool) -> None:
        """See Receiver."""
        with self._lock:
            if self._online:
                self._lost_at = time.monotonic()
            self._online = False
            self._living.clear()
            self._dialect.lost()
            self._hand_over()
        self._cause = cause
        self._sink.state(ConnectionState.FAILED if refused else ConnectionState.OFFLINE, cause)

    def refused(self, filters: Sequence[str], cause: str) -> None:
        """See Receiver."""
        with self._lock:
            self._denied.update(dict.fromkeys(filters, cause))
            self._output.count(
                Reject.UNBOUND, len(filters), f"subscription to {filters[0]} refused: {cause}"
            )

    def messages(self, batch: Sequence[tuple[bytes, bytes, int, str]]) -> None:
        """See Receiver."""
        now = time.time()
        with self._lock:
            routes = self._routes
            known = routes.decoders.get
            most = self._options.max_payload
            for topic, payload, flags, realm in batch:
                try:
                    if realm and realm != "plant" and self._plant:
                        self._refuse_realm(topic, realm)
                        continue
                    if len(payload) > most:
                        self._refuse_size(topic, len(payload))
                        continue
                    (known(topic) or routes.find(topic))(payload, flags, now)
                except Exception:
                    # A payload must never stop the others; that it could is a defect of ours.
                    logger.exception("decoding a message on %r failed", topic)
                    self._output.count(Reject.MALFORMED, 1, f"{topic!r}: could not be decoded")

    def drained(self) -> float | None:
        """See Receiver."""
        output = self._output
        waiting = len(output.buffer)
        if not waiting and not output.refused:
            return None
        left = self._handed_over + _PERIOD - time.monotonic()
        if left > 0 and waiting < _ROWS:
            return left
        with self._lock:
            self._hand_over()
        return None

    def alive(self) -> None:
        """See Receiver."""
        if self._subscribed:
            self._sink.state(ConnectionState.ONLINE, self._shortfall())
        else:
            self._sink.state(
                ConnectionState.CONNECTING, "waiting for the answer to the subscriptions"
            )
        with self._lock:
            living = [index for topic in self._living for index in self._routes.behind(topic)]
            living.extend(self._dialect.living())
        if living:
            self._sink.vouch(living, True)

    # -- parts -----------------------------------------------------------------------------------

    def _route(self, channels: Sequence[ChannelSpec]) -> Routes:
        sound: list[ChannelSpec] = []
        for channel in channels:
            problems = self._dialect.problems(channel)
            if problems:
                logger.warning("%s, %s: %s", channel.prim, channel.signal, "; ".join(problems))
            else:
                sound.extend(self._dialect.wired(channel))
        routes = Routes(
            sound, self._reading, self._output, self._states, self._on_device, self._dialect
        )
        routes.prepare(_PREPARED)
        return routes

    def _use(self, routes: Routes) -> None:
        self._routes = routes
        self._outside = routes.outside(self._options.subscribe)
        self._filters = routes.filters(self._options.subscribe)

    def _swap(self, routes: Routes) -> None:
        with self._lock:
            self._hand_over()
            before = set(self._filters)
            if len(self._states) > _REMEMBERED:
                known = self._routes.decoders
                for topic in [topic for topic in self._states if topic not in known]:
                    del self._states[topic]
            self._use(routes)
            self._living = {topic for topic in self._living if routes.behind(topic)}
            wanted = set(self._filters)
            self._denied = {f: cause for f, cause in self._denied.items() if f in wanted}
            if self._online:
                self._client.subscribe(sorted(wanted - before))
                self._client.unsubscribe(sorted(before - wanted))

    def _on_device(self, topic: str, indices: Sequence[int], lives: bool) -> None:
        if lives:
            self._living.add(topic)
        else:
            self._living.discard(topic)
        # What it sent before it went comes first.
        self._hand_over()
        self._sink.vouch(indices, lives)

    def _refuse_realm(self, topic: bytes, realm: str) -> None:
        name = topic.decode(errors="replace")
        self._output.count(
            Reject.REALM, 1, f"{name}: a message of realm {realm!r} on a plant's connection"
        )

    def _refuse_size(self, topic: bytes, size: int) -> None:
        name, most = topic.decode(errors="replace"), self._options.max_payload
        self._output.count(
            Reject.MALFORMED,
            1,
            f"{name}: expected at most {most} bytes of payload (option max_payload), got {size}",
        )

    def _shortfall(self) -> str:
        """Return what is not as it should be though the connection stands."""
        parts: list[str] = []
        if self._denied:
            some = ", ".join(f"{f} ({c})" for f, c in list(self._denied.items())[:_NAMED])
            parts.append(
                f"{len(self._denied)} of {len(self._filters)} subscriptions refused: {some}"
            )
        if self._outside:
            some = ", ".join(self._outside[:_NAMED])
            parts.append(f"{len(self._outside)} addresses outside the option subscribe: {some}")
        return "; ".join(parts)

    def _hand_over(self) -> None:
        """Give the sink what was decoded."""
        output, sink = self._output, self._sink
        batch = output.buffer.take()
        dropped = output.buffer.dropped - self._dropped
        if dropped:
            self._dropped += dropped
            output.count(Reject.OVERFLOW, dropped, "the oldest samples made room for newer ones")
        refused, examples = output.refused, output.examples
        output.refused, output.examples = {}, {}
        self._handed_over = time.monotonic()
        if batch is not None:
            sink.samples(batch)
        for reason, count in refused.items():
            sink.rejected(reason, count, examples.get(reason, ""))
