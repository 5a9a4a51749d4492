"""Mirrors of the twin: the sync protocol, and what a viewer needs to follow and to draft.

A viewer may have no more than Python, numpy and pxr (Omniverse Kit does): nothing in here imports
pydantic, msgspec or a web server. A gateway has no stage: what touches one is loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stagetwin.sync._board import Board
from stagetwin.sync._frames import NO_TIME, Frame, Section, SectionKind, decode_frame, encode_frame
from stagetwin.sync._selection import Selection

if TYPE_CHECKING:
    from stagetwin.sync._asking import ask_session
    from stagetwin.sync._client import SyncClient
    from stagetwin.sync._client_state import ClientState
    from stagetwin.sync._mailbox import Mail, Mailbox
    from stagetwin.sync._mirror import Mirror
    from stagetwin.sync._questions import Answer
    from stagetwin.sync._rows import Ghost, Row, Summary
    from stagetwin.sync._session import LiveSession

__all__ = [
    "NO_TIME",
    "Answer",
    "Board",
    "ClientState",
    "Frame",
    "Ghost",
    "LiveSession",
    "Mail",
    "Mailbox",
    "Mirror",
    "Row",
    "Section",
    "SectionKind",
    "Selection",
    "Summary",
    "SyncClient",
    "ask_session",
    "decode_frame",
    "encode_frame",
]

_HOMES = {
    "Answer": "_questions",
    "ClientState": "_client_state",
    "Ghost": "_rows",
    "LiveSession": "_session",
    "Mail": "_mailbox",
    "Mailbox": "_mailbox",
    "Mirror": "_mirror",
    "Row": "_rows",
    "Summary": "_rows",
    "SyncClient": "_client",
    "ask_session": "_asking",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"stagetwin.sync.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
