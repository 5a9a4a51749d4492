"""Telling systemd that the service is ready, alive, or stopping (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Notifier"]


class Notifier:
    """Sends datagrams to the address systemd gave; does nothing without one."""

    def __init__(self, address: str) -> None:
        # A leading @ stands for the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def send(self, message: str) -> None:
        """Send one message such as READY=1; losing it is no reason to stop."""
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.connect(self._address)
            sender.sendall(message.encode())
