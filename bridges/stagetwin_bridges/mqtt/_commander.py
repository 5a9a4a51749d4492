"""The command client of one MQTT connection: writes a command at most once, now or never."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stagetwin.actuation import CommandSink, CommandTarget, Fate, Transmission
from stagetwin.clock import Clock, WallClock
from stagetwin.ports import ConnectionSpec
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._command_client import CommandClient, Written
from stagetwin_bridges.mqtt._command_payload import (
    carries_id,
    command_problems,
    packet_of,
    payload_of,
)
from stagetwin_bridges.mqtt._command_thread import CommandThread
from stagetwin_bridges.mqtt._replies import HeardReply, Replies
from stagetwin_bridges.mqtt._values import RefusedError

__all__ = ["MqttCommander"]


class MqttCommander(CommandThread):
    """`Commander` of one MQTT connection.

    Where the connection ends while a command waits for its reply, the command is `unknown`.

    Args:
        connection: the connection.
        settings: how to connect.
        reply_topic: where devices reply.
        targets: what may be commanded.
        sink: told of everything.
        clock: the clock of deadlines.
    """

    def __init__(
        self,
        connection: ConnectionSpec,
        settings: ClientSettings,
        reply_topic: str,
        targets: Sequence[CommandTarget],
        sink: CommandSink,
        clock: Clock | None = None,
    ) -> None:
        self._reply_topic = reply_topic
        clock = clock if clock is not None else WallClock()
        self._replies = Replies(connection.realm, clock.steady)
        super().__init__(connection, settings, targets, sink, clock)

    @property
    def reply_topic(self) -> str:
        """Topic that devices reply to."""
        return self._reply_topic

    @property
    def odd_replies(self) -> int:
        """How many messages on the reply topic changed nothing."""
        return self._replies.odd

    # -- CommandThread ---------------------------------------------------------------------------

    def _problems_of(self, target: CommandTarget) -> list[str]:
        return command_problems(target)

    def _client(self) -> CommandClient:
        return CommandClient(
            self._settings,
            self._reply_topic,
            self._waker.fileno(),
            lambda: self._closing,
            self._hear,
        )

    def _second(self, client: CommandClient) -> None:
        del client
        self._replies.forget()

    def _ended(self, cause: str) -> None:
        for number in self._replies.abandon():
            self._report(
                number, Fate.UNKNOWN, f"the connection ended before a reply: {cause}", final=True
            )

    def _write(self, client: CommandClient, transmission: Transmission) -> None:
        """Write one command, or withhold it."""
        number = transmission.id
        if not self._is_new(number):
            return
        try:
            problem, packet = self._packet(transmission)
        except RefusedError as error:
            problem, packet = str(error), b""
        problem = problem or client.obstacle(len(packet)) or self._gate.withheld(transmission)
        if problem:
            self._withhold(transmission, problem)
            return
        written, cause = client.write(packet)
        if written is Written.NOTHING:
            self._withhold(transmission, cause)
            return
        self._note_written(number)
        if written is Written.PART:
            self._report(number, Fate.SENT)
            self._report(number, Fate.UNKNOWN, f"a part of it may have left: {cause}", final=True)
            return
        answerable = carries_id(transmission.target, self._settings.version)
        if answerable:
            self._replies.expect(transmission)
        self._report(number, Fate.SENT, final=not answerable)

    def _packet(self, transmission: Transmission) -> tuple[str, bytes]:
        """Return why a command must not be written, and its packet.

        Raises:
            RefusedError: the value cannot be written.
        """
        if problem := self._obstacle(transmission):
            return problem, b""
        left, now = self._gate.remaining(transmission), time.time()
        payload = payload_of(transmission, left, self._reply_topic, now)
        version = self._settings.version
        return "", packet_of(transmission, payload, left, self._reply_topic, now, version)

    def _hear(self, heard: HeardReply) -> None:
        reply = self._replies.settle(heard)
        if reply is not None:
            number, accepted, cause = reply
            self._report(number, Fate.ACKNOWLEDGED if accepted else Fate.REFUSED, cause, final=True)
