"""Mirrors of the twin: the sync protocol, and what a viewer needs to follow and to draft.

A viewer may have no more than Python, numpy and pxr (Omniverse Kit does): nothing in here imports
pydantic, msgspec or a web server.
"""

from stagetwin.sync._frames import NO_TIME, Frame, Section, SectionKind, decode_frame, encode_frame

__all__ = [
    "NO_TIME",
    "Frame",
    "Section",
    "SectionKind",
    "decode_frame",
    "encode_frame",
]
