"""What commands that speak for a stage's connection share."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from stagetwin.ports import Credential
from stagetwin.service import load_credentials
from stagetwin_bridges._errors import ConnectionConfigError

__all__ = ["credential_of", "endpoints_of", "interruptible"]


def endpoints_of(pairs: Sequence[str]) -> dict[str, str]:
    """Return endpoints by connection of `NAME=URI`s."""
    from stagetwin.cli._app import parse_endpoints

    return parse_endpoints(list(pairs))


def credential_of(name: str, source: Path | None) -> Credential | None:
    """Return a credential by its name; None where there is no name, or nowhere to look.

    Args:
        name: of it.
        source: TOML file, or folder of them; None is the folder that systemd hands over.

    Raises:
        ConnectionConfigError: it is not there; names those that are.
    """
    if source is None and (folder := os.environ.get("CREDENTIALS_DIRECTORY")):
        source = Path(folder)
    if not name or source is None:
        return None
    known = load_credentials(source)
    if name not in known:
        raise ConnectionConfigError(
            f"no credential named {name!r} in {source}; there are "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    return known[name]


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn Ctrl-C and SIGTERM into an event, so that a summary can still be told."""
    interrupt = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        interrupt.set()

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
