"""Pictures as arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QImage

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SEEN = 48
"""Alpha of what is there at all: glass, and a quarter of a pixel."""

__all__ = ["SEEN", "Mask", "Pixels", "overlap", "pixels_of", "silhouette"]


def pixels_of(picture: bytes | Path) -> Pixels:
    """Return a picture as RGBA, shape (height, width, 4)."""
    data = picture.read_bytes() if isinstance(picture, Path) else picture
    image = QImage.fromData(data)
    assert not image.isNull(), "it is no picture"
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    return rows[:, : 4 * image.width()].reshape(image.height(), image.width(), 4).copy()


def silhouette(picture: bytes | Path, seen: int = SEEN) -> Mask:
    """Return where something of at least this alpha is drawn on a transparent picture."""
    return pixels_of(picture)[..., 3] >= seen


def overlap(one: Mask, other: Mask) -> float:
    """Return the intersection of two silhouettes over their union."""
    assert one.shape == other.shape
    union = int((one | other).sum())
    assert union > 0, "both are empty"
    return int((one & other).sum()) / union
