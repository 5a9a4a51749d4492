"""Proposals: what they may hold, what they show, and merges into the site layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin import AccessError, ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import Plant, ProposalDesk, ReviewConflictError
from stagetwin.reviews._ghosts import compose
from stagetwin.reviews._site import Site
from tests.stages.reviews.desks import ADA, BO, CY, EVERYBODY, Rights
from tests.stages.reviews.yards import SITE, Yard, moved, width


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


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


def test_many_edits_compose_the_plant_no_oftener_than_one(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[str] = []

    def counting(root: Sdf.Layer, edits: str, *more: Any) -> Usd.Stage:
        composed.append(edits)
        return compose(root, edits, *more)

    monkeypatch.setattr("stagetwin.reviews._proposals.compose", counting)
    yard.proposal({"kind": "add", "prim": "/World/N"})
    once = len(composed)
    composed.clear()
    identity = yard.proposal(
        {"kind": "add", "prim": "/World/A", "reference": "pump.usda"},
        {"kind": "add", "prim": "/World/A/B"},
        {"kind": "add", "prim": "/World/A/B/C"},
        moved(2, "/World/A/B/C"),
        {"kind": "clear", "path": "/World/A/B/C"},
        {"kind": "add", "prim": "/World/A/B/C", "type": "Scope"},
        {"kind": "remove", "prim": "/World/A/B"},
        {"kind": "restore", "prim": "/World/A/B"},
    )
    assert len(composed) == once
    touched = {each["prim"]: each["change"] for each in yard.desk.show(BO, identity)["touched"]}
    assert touched == dict.fromkeys(("/World/A", "/World/A/B", "/World/A/B/C"), "added")
    with pytest.raises(ReviewError, match="is there already"):
        yard.proposal({"kind": "add", "prim": "/World/D"}, {"kind": "add", "prim": "/World/D"})


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
