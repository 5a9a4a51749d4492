"""Opens the socket of a command client, so that another thread can call the attempt off."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable

__all__ = ["CalledOffError", "dial"]


class CalledOffError(OSError):
    """The attempt to connect was called off."""


def dial(
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    timeout: float,
    wake: int,
    called_off: Callable[[], bool],
) -> socket.socket:
    """Return a connected socket that does not block.

    Args:
        host: name or address.
        port: TCP port.
        tls: context of an encrypted connection; None for a plain one.
        timeout: for the whole of it, but for looking up the name [s].
        wake: file descriptor that is readable once `called_off` may have changed.
        called_off: whether to give up.

    Raises:
        CalledOffError: given up.
        OSError: not connected; the last address tried says why.
    """
    until = time.monotonic() + timeout
    failure: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if called_off():
            raise CalledOffError("called off")
        sock = socket.socket(family, kind, number)
        try:
            sock.setblocking(False)
            _connect(sock, address, until, wake, called_off)
            if tls is None:
                return sock
            # The handshake goes in steps; a class that closes itself at the first would not do.
            tls.sslsocket_class = ssl.SSLSocket
            sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            _shake_hands(sock, until, wake, called_off)
            return sock
        except BaseException as error:
            sock.close()
            if isinstance(error, (CalledOffError, ssl.SSLError)) or not isinstance(error, OSError):
                raise
            failure = error
    raise failure


def _connect(
    sock: socket.socket,
    address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    until: float,
    wake: int,
    called_off: Callable[[], bool],
) -> None:
    code = sock.connect_ex(address)
    if code in (errno.EINPROGRESS, errno.EWOULDBLOCK):
        _await(sock, select.POLLOUT, until, wake, called_off)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _shake_hands(
    sock: ssl.SSLSocket, until: float, wake: int, called_off: Callable[[], bool]
) -> None:
    while True:
        try:
            return sock.do_handshake()
        except ssl.SSLWantReadError:
            _await(sock, select.POLLIN, until, wake, called_off)
        except ssl.SSLWantWriteError:
            _await(sock, select.POLLOUT, until, wake, called_off)


def _await(
    sock: socket.socket, what: int, until: float, wake: int, called_off: Callable[[], bool]
) -> None:
    poller = select.poll()
    poller.register(sock.fileno(), what)
    poller.register(wake, select.POLLIN)
    while True:
        if called_off():
            raise CalledOffError("called off")
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        ready = dict(poller.poll(left * 1000))
        if sock.fileno() in ready:
            return
        if wake in ready and not called_off():
            os.read(wake, 4096)
