"""A plant of files with a proposal desk, for the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf, Usd

from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import Plant, ProposalDesk
from tests.stages.reviews.desks import ADA, BO, EVERYBODY, Rights

ROOT = """#usda 1.0
(
    defaultPrim = "World"
    subLayers = [@./site.usda@, @./plant.usda@]
    upAxis = "Z"
)
"""
SITE = """#usda 1.0

over "World"
{
    over "P101"
    {
        float width = 2
    }
}
"""
PLANT = """#usda 1.0

def Xform "World"
{
    def Xform "P101" (
        prepend apiSchemas = ["TwinAssetAPI", "TwinTelemetryAPI:flow", "TwinCommandAPI:speed"]
        variants = {
            string size = "small"
        }
        prepend variantSets = "size"
    )
    {
        uniform string twin:id = "P-101"
        uniform token twin:level = "twin"
        float width = 1
        double3 xformOp:translate = (1, 2, 3)
        float3 xformOp:rotateXYZ = (0, 0, 90)
        uniform token[] xformOpOrder = ["xformOp:translate", "xformOp:rotateXYZ"]
        double twin:telemetry:flow:value = 1 (
            limits = {
                dictionary hard = {
                    double maximum = 9
                }
            }
        )
        uniform string twin:telemetry:flow:address = "a"
        double twin:command:speed:desired = 1
        uniform string twin:command:speed:address = "set"
        rel twin:command:speed:permissives = </World/P101.free>
        bool free = true
        variantSet "size" = {
            "small" {
                float reach = 1
            }
            "large" {
                float reach = 2
            }
        }
    }
    def Xform "P102"
    {
        double3 xformOp:translate = (5, 0, 0)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }
    def Xform "Rack"
    {
    }
}
"""


class Yard:
    """A plant of files with a proposal desk."""

    def __init__(
        self,
        folder: Path,
        rights: Rights = EVERYBODY,
        driven: Callable[[str], str] = lambda _path: "",
        site_layer: bool = True,
        site: str = SITE,
    ) -> None:
        self.folder, self.rights, self.driven, self.site_layer = folder, rights, driven, site_layer
        self.site = folder / "plant" / "site.usda"
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.rereads = 0
        if not self.site.exists():
            self.site.parent.mkdir()
            self.site.write_text(site)
            (folder / "plant" / "root.usda").write_text(ROOT)
            (folder / "plant" / "plant.usda").write_text(PLANT)
            (folder / "plant" / "pump.usda").write_text(
                '#usda 1.0\n(\n    defaultPrim = "Pump"\n)\ndef Cube "Pump"\n'
                "{\n    double size = 3\n}\n"
            )
        self.open()

    def open(self) -> None:
        root = Sdf.Layer.FindOrOpen(str(self.folder / "plant" / "root.usda"))
        for layer in (root, *map(Sdf.Layer.FindOrOpen, self._files())):
            layer.Reload(force=True)
        self.stage = Usd.Stage.Open(root)
        plant = Plant(self.stage, self.site if self.site_layer else None, self.driven)
        self.desk = ProposalDesk(
            plant,
            self.folder / "state",
            self.rights,
            clock=lambda: 1000.0,
            publish=lambda prim, row: self.told.append((prim, row)),
        )
        self.desk.on_site.append(self.reread)

    def _files(self) -> list[str]:
        return [str(self.folder / "plant" / name) for name in ("site.usda", "plant.usda")]

    def reread(self) -> None:
        self.rereads += 1
        Sdf.Layer.FindOrOpen(str(self.site)).Reload(force=True)

    def do(self, who: Principal, kind: str, **fields: Any) -> dict[str, Any]:
        fields.setdefault("id", uuid7())
        row: dict[str, Any] = self.desk.perform({"kind": kind, **fields}, who)["proposal"]
        return row

    def proposal(self, *edits: dict[str, Any], who: Principal = ADA) -> str:
        """Make and submit a proposal of some edits; it is at revision 3."""
        identity = str(self.do(who, "create", title="Closer")["id"])
        self.do(who, "set", proposal=identity, revision=1, edits=list(edits))
        self.do(who, "submit", proposal=identity, revision=2)
        return identity

    def merge(self, identity: str, who: Principal = BO, revision: int = 3) -> dict[str, Any]:
        return self.do(who, "merge", proposal=identity, revision=revision)

    def set_site(self, path: str, value: Any) -> None:
        """Edit the site as somebody at an editor would."""
        layer = Sdf.Layer.FindOrOpen(str(self.site))
        layer.GetAttributeAtPath(path).default = value
        layer.Save()


def width(value: float, prim: str = "/World/P101") -> dict[str, Any]:
    return {"kind": "attribute", "path": f"{prim}.width", "value": value, "type": "float"}


def moved(x: float, prim: str = "/World/P102") -> dict[str, Any]:
    matrix = Gf.Matrix4d().SetTranslate(Gf.Vec3d(x, 0, 0))
    flat = [matrix[r, c] for r in range(4) for c in range(4)]
    return {"kind": "transform", "prim": prim, "matrix": flat}
