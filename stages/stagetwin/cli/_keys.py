"""Keys of a terminal, one press at a time, and the terminal as it was found afterwards."""

from __future__ import annotations

import codecs
import os
import re
import select
import termios
import tty
from typing import Any

__all__ = ["Keyboard", "decode_keys"]

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z])")
_NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\b": "backspace",
}


def decode_keys(text: str) -> list[str]:
    """Return the keys that a terminal's input stands for: characters, and names such as `up`.

    Sequences of keys that have no name here are left out.
    """
    keys: list[str] = []
    at = 0
    while at < len(text):
        match = _SEQUENCE.match(text, at)
        piece = match.group() if match else text[at]
        at += len(piece)
        key = _NAMES.get(piece, piece)
        if key.isprintable():
            keys.append(key)
    return keys


class Keyboard:
    """Reads keys without waiting for a line; a context manager that restores the terminal.

    Ctrl-C still interrupts. Suspending is off, else a shell would come up inside the full screen.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._found: list[Any] = []

    def __enter__(self) -> Keyboard:
        self._found = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSANOW)
        attributes = termios.tcgetattr(self._fd)
        attributes[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._fd, termios.TCSANOW, attributes)
        return self

    def __exit__(self, *_: object) -> None:
        # What was typed ahead for us is not for the shell.
        termios.tcsetattr(self._fd, termios.TCSAFLUSH, self._found)

    def read(self, timeout: float) -> list[str]:
        """Return the keys pressed, after at most `timeout` [s].

        Raises:
            EOFError: the terminal is gone.
        """
        if not select.select([self._fd], [], [], timeout)[0]:
            return []
        try:
            data = os.read(self._fd, 1024)
        except OSError:
            data = b""
        if not data:
            raise EOFError
        return decode_keys(self._decoder.decode(data))
