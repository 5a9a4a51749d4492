"""Review desks for the tests: a small hall, people with rights, and a clock that stands still."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pxr import Sdf, Usd

from stagetwin import AccessError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal, Right
from stagetwin.reviews import FrozenValue, ReviewDesk

HALL = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "World"
{
    def Xform "P101" (prepend apiSchemas = ["TwinAssetAPI"])
    {
        uniform string twin:id = "P-101"
        double3 xformOp:translate = (10, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
        def Cube "Handle" { }
    }
    def Xform "P102" (prepend apiSchemas = ["TwinAssetAPI"])
    {
        uniform string twin:id = "P-102"
    }
    def Xform "Vault" { }
}
"""


class Rights:
    """Who may what: by name, rights and the prims that they hold below.

    Nobody else may anything; the same principle as the policy's, without its file.
    """

    def __init__(self, **held: dict[str, Iterable[str]]) -> None:
        self._held = held

    def may(self, who: Principal, right: Right, path: str) -> bool:
        below = self._held.get(who.name, {}).get(str(right), ())
        return any(root == "/" or path == root or path.startswith(f"{root}/") for root in below)

    def require(self, who: Principal, right: Right, path: str) -> None:
        if not self.may(who, right, path):
            raise AccessError(f"{who.name} may not {right} at {path}")

    def same_person(self, one: str, other: str) -> bool:
        return one == other


EVERYBODY = Rights(
    **{
        name: {"read": ["/"], "review": ["/"], "approve": ["/"]}
        for name in ("ada", "bo", "cy", "dee")
    }
)
ADA, BO, CY = Principal("ada"), Principal("bo"), Principal("cy")


def hall(text: str = HALL) -> Usd.Stage:
    """Open a stage from text."""
    layer = Sdf.Layer.CreateAnonymous("hall.usda")
    layer.ImportFromString(text)
    return Usd.Stage.Open(layer)


class Office:
    """A desk with its stage, which may be closed and opened again."""

    def __init__(
        self,
        folder: Path,
        rights: Rights = EVERYBODY,
        freeze: Callable[[str], FrozenValue] | None = None,
        text: str = HALL,
    ) -> None:
        self.folder = folder
        self.now = 1000.0
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.stage = hall(text)
        self.layer = Sdf.Layer.CreateAnonymous("review.usda")
        self.stage.GetSessionLayer().subLayerPaths.append(self.layer.identifier)
        more = {"freeze": freeze} if freeze is not None else {}
        self.desk = ReviewDesk(
            self.stage,
            self.layer,
            folder,
            rights,
            clock=lambda: self.now,
            publish=lambda prim, row: self.told.append((prim, row)),
            **more,
        )

    def do(self, who: Principal, kind: str, **fields: Any) -> dict[str, Any]:
        """Do an operation and return the topic."""
        fields.setdefault("id", uuid7())
        row: dict[str, Any] = self.desk.perform({"kind": kind, **fields}, who)["topic"]
        return row

    def close(self) -> None:
        self.desk.close()


def png(side: int = 2, shade: int = 0) -> str:
    """Return a small grey picture, base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes([shade]) * side for _ in range(side)))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)
    return base64.b64encode(data + chunk(b"IEND", b"")).decode()
