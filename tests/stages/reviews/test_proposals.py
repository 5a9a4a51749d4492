"""Proposals: what they may hold, what they show, and three-way merges into the site layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin import AccessError, ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import Plant, ProposalDesk, ReviewConflictError
from stagetwin.reviews._fields import fields_of, values_of
from stagetwin.reviews._merge import apply_merge, three_way, undo_merge
from stagetwin.reviews._site import Site
from tests.stages.reviews.desks import ADA, BO, CY, EVERYBODY, Rights

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


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def width(value: float, prim: str = "/World/P101") -> dict[str, Any]:
    return {"kind": "attribute", "path": f"{prim}.width", "value": value, "type": "float"}


def moved(x: float, prim: str = "/World/P102") -> dict[str, Any]:
    matrix = Gf.Matrix4d().SetTranslate(Gf.Vec3d(x, 0, 0))
    flat = [matrix[r, c] for r in range(4) for c in range(4)]
    return {"kind": "transform", "prim": prim, "matrix": flat}


def test_proposal_changes_nothing_and_shows_a_ghost(yard: Yard) -> None:
    before = yard.site.read_bytes()
    identity = yard.proposal(
        moved(8),
        {"kind": "variant", "prim": "/World/P101", "set": "size", "selection": "large"},
        {"kind": "add", "prim": "/World/P103", "type": "Xform", "reference": "pump.usda"},
        moved(2, "/World/P103"),
        {"kind": "remove", "prim": "/World/Rack"},
    )
    row = yard.desk.show(BO, identity)
    touched = {each["prim"]: each for each in row["touched"]}
    assert touched["/World/P102"]["before"]["world"][12:15] == [5, 0, 0]
    assert touched["/World/P102"]["after"]["world"][12:15] == [8, 0, 0]
    assert (touched["/World/P103"]["change"], touched["/World/P103"]["before"]) == ("added", None)
    assert touched["/World/P103"]["after"]["local"][12:15] == [2, 0, 0]
    assert (touched["/World/Rack"]["change"], touched["/World/Rack"]["after"]) == ("removed", None)
    assert touched["/World/P101"]["change"] == "changed"
    assert row["conflicts"] == []
    assert yard.site.read_bytes() == before
    assert not yard.stage.GetPrimAtPath("/World/P103")
    layer = Sdf.Layer.OpenAsAnonymous(str(yard.folder / "state/proposals" / f"{identity}.usda"))
    assert layer.GetPrimAtPath("/World/P103").typeName == "Xform"


def test_merge_and_undo(yard: Yard) -> None:
    before = Sdf.Layer.OpenAsAnonymous(str(yard.site)).ExportToString()
    identity = yard.proposal(
        moved(8),
        width(3),
        {"kind": "add", "prim": "/World/P103", "type": "Xform", "reference": "pump.usda"},
        {"kind": "remove", "prim": "/World/Rack"},
    )
    row = yard.merge(identity)
    assert (row["status"], row["merged_by"]) == ("merged", "bo")
    assert yard.rereads == 1
    assert UsdGeom.Xformable(yard.stage.GetPrimAtPath("/World/P102")).GetLocalTransformation()[
        3, 0
    ] == pytest.approx(8)
    assert yard.stage.GetAttributeAtPath("/World/P101.width").Get() == 3
    assert yard.stage.GetAttributeAtPath("/World/P103.size").Get() == 3
    assert not yard.stage.GetPrimAtPath("/World/Rack").IsActive()
    undone = yard.do(CY, "undo", proposal=identity, revision=4)
    assert undone["status"] == "undone"
    assert Sdf.Layer.OpenAsAnonymous(str(yard.site)).ExportToString() == before
    records = [
        json.loads(line)
        for line in (yard.folder / "state/proposals/merges.log").read_text().splitlines()
    ]
    assert [(r["kind"], r["author"], r["approver"]) for r in records] == [
        ("merge", "ada", "bo"),
        ("undo", "ada", "cy"),
    ]


def test_transform_keeps_the_operations_of_the_prim(yard: Yard) -> None:
    turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(1, 2, 3), 40))
    matrix = turn * Gf.Matrix4d().SetTranslate(Gf.Vec3d(1, 2, 3))
    flat = [matrix[r, c] for r in range(4) for c in range(4)]
    yard.merge(yard.proposal({"kind": "transform", "prim": "/World/P101", "matrix": flat}))
    layer = Sdf.Layer.FindOrOpen(str(yard.site))
    names = [a.name for a in layer.GetPrimAtPath("/World/P101").attributes]
    assert "xformOp:rotateXYZ" in names
    assert "xformOp:transform" not in names
    got = UsdGeom.Xformable(yard.stage.GetPrimAtPath("/World/P101")).GetLocalTransformation()
    assert Gf.IsClose(got, matrix, 1e-5)


def test_what_both_changed_is_a_conflict_and_nothing_is_merged(yard: Yard) -> None:
    identity = yard.proposal(width(3), moved(8))
    yard.set_site("/World/P101.width", 7.0)
    before = yard.site.read_bytes()
    with pytest.raises(ReviewConflictError, match=r"changed otherwise at /World/P101\.width") as e:
        yard.merge(identity)
    (conflict,) = e.value.present["conflicts"]
    assert (conflict["base"], conflict["site"], conflict["proposal"]) == ("2.0", "7.0", "3.0")
    assert e.value.present["status"] == "submitted"
    assert yard.site.read_bytes() == before
    assert yard.desk.show(BO, identity)["conflicts"] == [conflict]
    yard.set_site("/World/P101.width", 3.0)
    assert yard.merge(identity)["status"] == "merged"


def test_undo_refuses_what_somebody_edited_since(yard: Yard) -> None:
    identity = yard.proposal(width(3), moved(8))
    yard.merge(identity)
    yard.set_site("/World/P101.width", 4.0)
    before = yard.site.read_bytes()
    with pytest.raises(ReviewConflictError, match="edited since the merge"):
        yard.do(CY, "undo", proposal=identity, revision=4)
    assert yard.site.read_bytes() == before


def test_prims_that_vanished_or_were_edited_are_conflicts(yard: Yard) -> None:
    gone = yard.proposal(moved(8))
    removed = yard.proposal({"kind": "remove", "prim": "/World/P101"})
    plant = Sdf.Layer.FindOrOpen(str(yard.folder / "plant" / "plant.usda"))
    edit = Sdf.BatchNamespaceEdit()
    edit.Add("/World/P102", "/World/P202")
    assert plant.Apply(edit)
    with pytest.raises(ReviewConflictError, match="/World/P102"):
        yard.merge(gone)
    yard.set_site("/World/P101.width", 4.0)
    with pytest.raises(ReviewConflictError, match="/World/P101"):
        yard.merge(removed)
    plant.Reload(force=True)


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        ({"path": "/World/P101.twin:command:speed:desired", "value": 5.0}, "requested value"),
        ({"path": "/World/P101.twin:telemetry:flow:value", "value": 5.0}, "measured"),
        ({"path": "/World/P101.twin:telemetry:flow:quality", "value": "good"}, "while the twin"),
        ({"path": "/World/P101.twin:command:speed:request", "value": "x"}, "while the twin"),
        ({"path": "/World/P101.twin:command:speed:status", "value": "x"}, "while the twin"),
        (
            {"path": "/World/P101.twin:alarm:hot:state", "value": "x", "type": "token"},
            "while the twin",
        ),
        ({"path": "/World/P101.twin:state", "value": "online", "type": "token"}, "while the twin"),
        ({"path": "/World/P101.driven", "value": 1.0, "type": "float"}, "driven by telemetry"),
        ({"path": "/World/P101.width", "value": "wide"}, "expected a number"),
        ({"path": "/World/P101.width", "value": 1.0, "type": "double"}, "is a float"),
        ({"path": "/World/P101.nothing", "value": 1.0}, "needs its type"),
        ({"path": "/World/P999.width", "value": 1.0}, "no prim"),
        ({"path": '/World/P101.a" (', "value": 1.0, "type": "float"}, "property"),
        ({"path": "/Review/Topic_1.x", "value": 1.0, "type": "float"}, "service's own"),
        ({"kind": "add", "prim": "/World/P101"}, "there already"),
        ({"kind": "add", "prim": "/World/X/Y"}, "no prim /World/X"),
        ({"kind": "add", "prim": "/World/X", "type": "Nonsense"}, "no type"),
        ({"kind": "add", "prim": "/World/X", "type": "TwinConnection"}, "connection"),
        ({"kind": "add", "prim": "/World/X", "reference": "../../etc/passwd"}, "below the site"),
        ({"kind": "add", "prim": "/World/X", "reference": "/etc/x.usda"}, "below the site"),
        ({"kind": "add", "prim": "/World/X", "reference": "http://a/x.usda"}, "below the site"),
        ({"kind": "add", "prim": "/World/X", "reference": "none.usda"}, "no file"),
        ({"kind": "variant", "prim": "/World/P101", "set": "size", "selection": "x"}, "one of"),
        ({"kind": "variant", "prim": "/World/P101", "set": "colour", "selection": "x"}, "variant"),
        ({"kind": "transform", "prim": "/World/P101", "matrix": [0] * 16}, "no transform"),
        ({"kind": "clear", "path": "/World/P102"}, "says nothing"),
    ],
)
def test_what_a_proposal_may_not_hold(tmp_path: Path, edit: dict[str, Any], why: str) -> None:
    yard = Yard(tmp_path, driven=lambda path: "telemetry" * path.endswith(".driven"))
    identity = yard.do(ADA, "create", title="Bad")["id"]
    with pytest.raises(ReviewError, match=why):
        yard.do(
            ADA,
            "set",
            proposal=identity,
            revision=1,
            edits=[width(9), {"kind": "attribute", **edit}],
        )
    assert yard.desk.show(ADA, identity)["edits"] == []


def test_transform_of_what_telemetry_moves_is_refused(tmp_path: Path) -> None:
    yard = Yard(tmp_path, driven=lambda path: "telemetry" * path.endswith("xformOp:translate"))
    identity = yard.do(ADA, "create", title="Bad")["id"]
    with pytest.raises(ReviewError, match="driven by telemetry"):
        yard.do(ADA, "set", proposal=identity, revision=1, edits=[moved(3)])


def test_who_may_what(tmp_path: Path) -> None:
    rights = Rights(
        ada={"read": ["/"], "review": ["/World/P101"], "approve": ["/"]},
        bo={"read": ["/"], "approve": ["/World/P101"]},
        cy={"read": ["/"], "approve": ["/World/P102"]},
        dee={"read": ["/World/P102"], "review": ["/"]},
    )
    yard = Yard(tmp_path, rights)
    with pytest.raises(AccessError):
        yard.do(ADA, "create", title="All")
    identity = yard.do(ADA, "create", title="One", prim="/World/P101")["id"]
    with pytest.raises(AccessError, match="/World/P102"):
        yard.do(ADA, "set", proposal=identity, revision=1, edits=[moved(3)])
    yard.do(ADA, "set", proposal=identity, revision=1, edits=[width(3)])
    with pytest.raises(AccessError, match="ada's"):
        yard.do(BO, "submit", proposal=identity, revision=2)
    with pytest.raises(ReviewError, match="is draft"):
        yard.merge(identity, revision=2)
    yard.do(ADA, "submit", proposal=identity, revision=2)
    for who, why in ((ADA, "own"), (CY, "approve at /World/P101")):
        with pytest.raises(AccessError, match=why):
            yard.merge(identity, who)
    with pytest.raises(ReviewError, match="no proposal"):
        yard.merge(identity, Principal("dee"))
    assert yard.desk.rows(Principal("dee")) == []
    assert yard.merge(identity)["merged_by"] == "bo"


def test_without_a_site_layer_nothing_is_merged(tmp_path: Path) -> None:
    yard = Yard(tmp_path, site_layer=False)
    before = yard.site.read_bytes()
    identity = yard.proposal(width(3))
    with pytest.raises(ReviewError, match="no --site-layer"):
        yard.merge(identity)
    assert yard.site.read_bytes() == before


def test_site_layer_must_be_the_plants(yard: Yard) -> None:
    other = yard.folder / "other.usda"
    other.write_text("#usda 1.0\n")
    with pytest.raises(ReviewError, match="no layer of the stage"):
        ProposalDesk(Plant(yard.stage, other), yard.folder / "more", EVERYBODY)


def test_stronger_layers_are_named(yard: Yard) -> None:
    root = yard.stage.GetRootLayer()
    spec = Sdf.AttributeSpec(
        Sdf.CreatePrimInLayer(root, "/World/P101"), "width", Sdf.ValueTypeNames.Float
    )
    spec.default = 9.0
    identity = yard.proposal(width(3))
    assert yard.desk.show(ADA, identity)["overridden"] == ["/World/P101.width"]
    root.Reload(force=True)


def test_operations_are_idempotent_and_swap_by_revision(yard: Yard) -> None:
    create = {"id": uuid7(), "kind": "create", "title": "One"}
    first = yard.desk.perform(create, ADA)
    assert yard.desk.perform(create, ADA) == {**first, "duplicate": True}
    identity = first["proposal"]["id"]
    edit = {"id": uuid7(), "kind": "set", "proposal": identity, "revision": 1, "edits": [width(3)]}
    yard.desk.perform(edit, ADA)
    yard.open()
    assert yard.desk.perform(edit, ADA)["duplicate"]
    with pytest.raises(ReviewError, match="content differs"):
        yard.desk.perform({**edit, "edits": [width(4)]}, ADA)
    with pytest.raises(ReviewConflictError, match="at revision 2") as error:
        yard.do(ADA, "set", proposal=identity, revision=1, edits=[width(4)])
    assert error.value.present["revision"] == 2
    cleared = yard.do(
        ADA,
        "set",
        proposal=identity,
        revision=2,
        edits=[{"kind": "clear", "path": "/World/P101"}],
    )
    assert cleared["edits"] == []
    with pytest.raises(ReviewError, match="changes nothing"):
        yard.do(ADA, "submit", proposal=identity, revision=3)


def test_merge_that_was_cut_off_is_finished_or_undone(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends between the site's file and the proposal's, or before both."""
    identity = yard.proposal(width(3))

    class Cut(BaseException):
        pass

    def cut(*_arguments: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(Site, "_settle", cut)
        with pytest.raises(Cut):
            yard.merge(identity)
    yard.open()
    assert yard.desk.show(BO, identity)["status"] == "merged"
    assert yard.stage.GetAttributeAtPath("/World/P101.width").Get() == 3
    assert not (yard.folder / "state/proposals/merge.json").exists()

    with monkeypatch.context() as patch:
        patch.setattr("stagetwin.reviews._site.digest_of_file", cut)
        with pytest.raises(Cut):
            yard.do(CY, "undo", proposal=identity, revision=4)
    yard.open()
    assert yard.desk.show(BO, identity)["status"] == "merged"


def test_file_changed_between_looking_and_writing_is_not_overwritten(yard: Yard) -> None:
    identity = yard.proposal(width(3))
    merge = {"id": uuid7(), "kind": "merge", "proposal": identity, "revision": 3}
    ready = yard.desk.judge(merge, BO)
    yard.site.write_text(SITE.replace("= 2", "= 5"))
    with pytest.raises(ReviewError, match="changed meanwhile"):
        yard.desk.write(ready)
    assert "= 5" in yard.site.read_text()
    assert not (yard.folder / "state/proposals/merge.json").exists()


def test_damaged_proposal_is_set_aside(yard: Yard) -> None:
    identity = yard.proposal(width(3))
    path = yard.folder / "state/proposals" / f"{identity}.usda"
    path.write_text("#usda 1.0\nnonsense {")
    yard.open()
    assert yard.desk.rows(ADA) == []
    (fault,) = yard.desk.faults
    assert str(path) in fault
    assert [p.name for p in path.parent.glob("*.damaged-*")] != []


def test_relationship_and_limits(yard: Yard) -> None:
    identity = yard.proposal(
        {
            "kind": "relationship",
            "path": "/World/P101.twin:command:speed:permissives",
            "targets": [],
        },
        {
            "kind": "limits",
            "path": "/World/P101.twin:telemetry:flow:value",
            "hard": {"maximum": 5},
        },
    )
    before = Sdf.Layer.OpenAsAnonymous(str(yard.site)).ExportToString()
    yard.merge(identity)
    prim = yard.stage.GetPrimAtPath("/World/P101")
    assert prim.GetRelationship("twin:command:speed:permissives").GetTargets() == []
    attr = prim.GetAttribute("twin:telemetry:flow:value")
    assert attr.GetMetadata("limits")["hard"]["maximum"] == 5
    assert attr.Get() == 1
    yard.do(CY, "undo", proposal=identity, revision=4)
    assert Sdf.Layer.OpenAsAnonymous(str(yard.site)).ExportToString() == before


# -- properties of the merge itself

_PRIMS = ("/A", "/A/B", "/C")
_NAMES = ("x", "y")
_Opinions = st.fixed_dictionaries(
    {},
    optional={
        (prim, name): st.integers(0, 3)
        for prim in _PRIMS
        for name in (*_NAMES, "variant", "active", "def")
    },
)


def layer_of(opinions: dict[tuple[str, str], int]) -> Sdf.Layer:
    """Return a layer that says something of a few prims."""
    layer = Sdf.Layer.CreateAnonymous("some.usda")
    for (path, name), value in sorted(opinions.items()):
        prim = Sdf.CreatePrimInLayer(layer, path)
        if name == "variant":
            prim.variantSelections["set"] = f"v{value}"
        elif name == "active":
            prim.active = bool(value % 2)
        elif name == "def":
            prim.specifier = Sdf.SpecifierDef
            prim.typeName = ("Xform", "Cube", "Scope", "Mesh")[value]
        else:
            spec = Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.IntArray)
            spec.default = [value, 1]
    return layer


def all_of(layer: Sdf.Layer) -> dict[Any, Any]:
    return values_of(layer, fields_of(layer))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_Opinions, _Opinions, _Opinions)
def test_merges_of_disjoint_edits_commute(
    site: dict[Any, int], one: dict[Any, int], other: dict[Any, int]
) -> None:
    apart = {key: value for key, value in other.items() if key[0] not in {k[0] for k in one}}
    results = []
    for order in ((one, apart), (apart, one)):
        layer = layer_of(site)
        base = layer_of(site)
        for edits in order:
            theirs = all_of(layer_of(edits))
            merge = three_way(values_of(base, theirs), values_of(layer, theirs), theirs)
            assert merge.conflicts == ()
            apply_merge(layer, merge.changes)
        results.append(all_of(layer))
    assert results[0] == results[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_Opinions, _Opinions, _Opinions)
def test_three_way_rules_hold_and_undo_gives_back_every_byte(
    before: dict[Any, int], now: dict[Any, int], edits: dict[Any, int]
) -> None:
    base, site = layer_of(before), layer_of(now)
    theirs = all_of(layer_of(edits))
    was, is_now = values_of(base, theirs), values_of(site, theirs)
    merge = three_way(was, is_now, theirs)
    conflicts = {conflict.field for conflict in merge.conflicts}
    for field, wanted in theirs.items():
        if is_now[field] == was[field] != wanted:
            assert merge.changes[field] == wanted
        elif wanted in (was[field], is_now[field]):
            assert field not in merge.changes
            assert field not in conflicts
        else:
            assert field in conflicts
    text = site.ExportToString()
    old = values_of(site, merge.changes)
    created = apply_merge(site, merge.changes)
    assert values_of(site, merge.changes) == dict(merge.changes)
    assert undo_merge(site, old, merge.changes, created) == ()
    assert site.ExportToString() == text
