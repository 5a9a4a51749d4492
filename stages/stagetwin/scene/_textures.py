"""Images of textures: found by USD's resolvers, also inside packages, and taken as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pxr import Ar

__all__ = ["MAX_IMAGE", "MAX_IMAGES", "Image", "Images"]

MAX_IMAGE = 16 * 2**20
"""Size of one image [bytes]."""

MAX_IMAGES = 128 * 2**20
"""Size of the images of one model [bytes]."""

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded image.

    Attributes:
        content: PNG or JPEG.
        mime: which of the two.
    """

    content: bytes
    mime: str


@dataclass(slots=True)
class Images:
    """Images of one model, read once each.

    Attributes:
        size: what was read so far [bytes].
    """

    size: int = 0
    _known: dict[str, Image | str] = field(default_factory=dict)

    def read(self, path: str) -> Image | str:
        """Return an image, or why there is none.

        Args:
            path: resolved path of the asset, `package.usdz[inside.png]` too.
        """
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._read(path)
        return found

    def _read(self, path: str) -> Image | str:
        if not path:
            return "its file is not found"
        resolver: Any = Ar.GetResolver()
        asset = resolver.OpenAsset(Ar.ResolvedPath(path))
        if not asset:
            return "its file cannot be read"
        with asset:
            size = asset.GetSize()
            if size > MAX_IMAGE:
                return f"its file has {size} bytes, {MAX_IMAGE} are taken at most"
            if self.size + size > MAX_IMAGES:
                return f"the images of this model have more than {MAX_IMAGES} bytes"
            content = bytes(asset.GetBuffer())
        for magic, mime in _MAGIC:
            if content.startswith(magic):
                self.size += size
                return Image(content, mime)
        return "it is neither PNG nor JPEG"
