"""The connection of fleet control: writes as every command client does, and hears the vehicles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from paho.mqtt.subscribeoptions import SubscribeOptions

from stagetwin_bridges.mqtt._causes import cause_of_refusal
from stagetwin_bridges.mqtt._client import ClientSettings
from stagetwin_bridges.mqtt._command_client import CommandClient
from stagetwin_bridges.mqtt._replies import HeardReply
from stagetwin_bridges.vda5050.messages import qos_of

__all__ = ["FleetClient"]

_MANY = 500
"""Subscriptions of one packet."""


class FleetClient(CommandClient):
    """One connection to a broker, subscribed to what vehicles say of themselves.

    What the broker retains (connection and factsheet) is wanted, unlike with replies.

    Args:
        settings: where to, and as whom.
        filters: topic filters.
        wake: file descriptor that ends a wait when it becomes readable.
        called_off: whether to give up connecting.
        heard: told of every message.
    """

    def __init__(
        self,
        settings: ClientSettings,
        filters: Iterable[str],
        wake: int,
        called_off: Callable[[], bool],
        heard: Callable[[HeardReply], None],
    ) -> None:
        self._filters = sorted(set(filters))
        self._asked: dict[int, list[str]] = {}
        super().__init__(settings, "", wake, called_off, heard)

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe to more, once connected."""
        wanted = sorted(set(filters) - set(self._filters))
        self._filters += wanted
        if self._online and wanted:
            self._ask(wanted)

    def _ask(self, filters: list[str]) -> None:
        five = self._settings.version == "5"
        for at in range(0, len(filters), _MANY):
            part = filters[at : at + _MANY]
            wish: list[Any] = []
            for each in part:
                qos = qos_of(each.rpartition("/")[2])
                wish.append((each, SubscribeOptions(qos=qos) if five else qos))
            _, number = self._paho.subscribe(wish)
            if number is not None:
                self._asked[number] = part

    def _on_connect(self, client: Any, _data: Any, _flags: Any, reason: Any, more: Any) -> None:
        del client
        if reason.is_failure:
            self.cause = cause_of_refusal(reason, self._settings.version)
            self.refused = True
            return
        self._online = True
        self._largest = getattr(more, "MaximumPacketSize", 0)
        self._ask(self._filters)
        self.granted = not self._filters

    def _on_subscribe(
        self, _client: Any, _data: Any, number: int, reasons: Any, _more: Any
    ) -> None:
        asked = self._asked.pop(number, [])
        refused = [
            f"{name} ({str(reason).lower()})"
            for name, reason in zip(asked, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self.cause = f"subscription refused: {', '.join(refused[:3])}"
            self.refused = True
        elif not self._asked:
            self.granted = True
