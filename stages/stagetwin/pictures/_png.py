"""Texts in a PNG: what a picture is of."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from stagetwin._errors import PictureError

__all__ = ["SIGNATURE", "with_texts"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_HEADER_END = len(SIGNATURE) + 4 + 4 + 13 + 4


def with_texts(png: bytes, texts: Mapping[str, str]) -> bytes:
    """Return a PNG with texts by keyword, as `iTXt` chunks (PNG specification, 11.3.3.4).

    Raises:
        PictureError: it is no PNG.
    """
    if not png.startswith(SIGNATURE) or png[12:16] != b"IHDR" or len(png) < _HEADER_END:
        raise PictureError(f"the browser gave {len(png)} bytes that are no PNG")
    chunks = b"".join(_text(keyword, text) for keyword, text in texts.items() if text)
    return png[:_HEADER_END] + chunks + png[_HEADER_END:]


def _text(keyword: str, text: str) -> bytes:
    # Keyword; neither compressed nor of any language; the text.
    body = keyword.encode("latin-1") + b"\0\0\0\0\0" + text.encode()
    data = b"iTXt" + body
    return struct.pack(">I", len(body)) + data + struct.pack(">I", zlib.crc32(data))
