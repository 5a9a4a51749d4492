"""Topics: what operations make of them, who may, and how they stand on the stage."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin import AccessError, ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import FrozenValue, ReviewConflictError
from tests.stages.reviews.desks import ADA, BO, CY, HALL, Office, Rights, png


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


def test_topic_becomes_prims_of_the_review_layer(office: Office) -> None:
    anchor = {"prim": "/World/P101/Handle", "point": [1, 2, 3], "normal": [0, 0, 1]}
    topic = office.do(
        ADA, "create", title="Handle hits", anchors=[anchor], labels=["layout"], type="clash"
    )
    office.do(BO, "comment", topic=topic["id"], text="Turn it.")
    name = "/Review/Topic_" + topic["id"].replace("-", "_")
    prim = office.stage.GetPrimAtPath(name)
    assert prim.GetAttribute("review:title").Get() == "Handle hits"
    assert prim.GetAttribute("review:author").Get() == "ada"
    targets = prim.GetRelationship("review:targets").GetTargets()
    assert targets == [Sdf.Path("/World/P101/Handle")]
    comment = next(c for c in prim.GetChildren() if c.GetName().startswith("Comment_"))
    assert comment.GetAttribute("review:text").Get() == "Turn it."
    assert comment.GetAttribute("review:author").Get() == "bo"
    stacks = {s.layer for s in prim.GetPrimStack()}
    assert stacks == {office.layer}
    assert topic["anchors"][0]["id"] == "P-101"
    assert topic["prims"] == ["/World/P101/Handle"]
    assert [prim for prim, _ in office.told] == ["/World/P101/Handle"] * 2


def test_camera_looks_where_the_viewpoint_does(office: Office) -> None:
    view = {"position": [0, -5, 1], "target": [0, 0, 1], "up": [0, 0, 1], "fov": 60.0}
    topic = office.do(
        ADA,
        "create",
        title="Look",
        anchors=[{"prim": "/World/P101"}],
        viewpoint={**view, "in": "/World/P101"},
    )
    path = "/Review/Topic_" + topic["id"].replace("-", "_") + "/Viewpoint"
    camera = UsdGeom.Camera.Get(office.stage, path)
    assert camera.GetPurposeAttr().Get() == "guide"
    frustum = camera.GetCamera().frustum
    assert Gf.IsClose(frustum.position, Gf.Vec3d(10, -5, 1), 1e-9)
    assert Gf.IsClose(frustum.ComputeViewDirection(), Gf.Vec3d(0, 1, 0), 1e-9)
    assert camera.GetCamera().GetFieldOfView(Gf.Camera.FOVVertical) == pytest.approx(60, abs=1e-4)
    assert topic["viewpoint"] == {**view, "orthographic": None, "in": "/World/P101"}


def test_looking_straight_down_and_in_parallel(office: Office) -> None:
    view = {"position": [0, 0, 9], "target": [0, 0, 0], "up": [0, 0, 1], "orthographic": 4.0}
    topic = office.do(ADA, "create", title="Plan", viewpoint=view)
    path = "/Review/Topic_" + topic["id"].replace("-", "_") + "/Viewpoint"
    camera = UsdGeom.Camera.Get(office.stage, path).GetCamera()
    assert camera.projection == Gf.Camera.Orthographic
    window = camera.frustum.window
    assert window.GetSize()[1] == pytest.approx(4.0)
    assert Gf.IsClose(camera.frustum.ComputeViewDirection(), Gf.Vec3d(0, 0, -1), 1e-9)


def test_edits_compare_and_swap(office: Office) -> None:
    topic = office.do(ADA, "create", title="One")
    office.do(BO, "comment", topic=topic["id"], text="A comment is no edit.")
    edited = office.do(BO, "edit", topic=topic["id"], revision=1, title="Two", labels=["a", "b"])
    assert (edited["title"], edited["revision"], edited["labels"]) == ("Two", 2, ["a", "b"])
    with pytest.raises(ReviewConflictError, match="at revision 2, the edit was made on 1") as error:
        office.do(CY, "edit", topic=topic["id"], revision=1, title="Three")
    assert error.value.present["title"] == "Two"
    assert error.value.present["revision"] == 2
    assert office.desk.row(ADA, topic["id"])["title"] == "Two"


def test_comment_is_replaced_by_another_of_its_author(office: Office) -> None:
    topic = office.do(ADA, "create", title="One")
    first = uuid7()
    office.do(BO, "comment", id=first, topic=topic["id"], text="Turm it.")
    row = office.do(BO, "comment", topic=topic["id"], text="Turn it.", replaces=first)
    assert [c["text"] for c in row["comments"]] == ["Turm it.", "Turn it."]
    assert row["comments"][1]["replaces"] == first
    with pytest.raises(ReviewError, match="bo's, who alone may replace it"):
        office.do(CY, "comment", topic=topic["id"], text="No.", replaces=first)
    with pytest.raises(ReviewError, match="has no comment"):
        office.do(BO, "comment", topic=topic["id"], text="No.", replaces=uuid7())


def test_approval_is_somebody_elses_and_of_what_they_saw(office: Office) -> None:
    topic = office.do(ADA, "create", title="One", approval="requested")
    identity = topic["id"]
    with pytest.raises(ReviewError, match="ada's: somebody else"):
        office.do(ADA, "approve", topic=identity, revision=1)
    approved = office.do(BO, "approve", topic=identity, revision=1, text="Good.")
    assert (approved["approval"], approved["comments"][0]["text"]) == ("approved", "Good.")
    kept = office.do(CY, "status", topic=identity, revision=2, status="in_progress")
    assert kept["approval"] == "approved"
    edited = office.do(CY, "edit", topic=identity, revision=3, description="But longer.")
    assert edited["approval"] == "none"
    with pytest.raises(ReviewError, match="cy's: somebody else"):
        office.do(CY, "approve", topic=identity, revision=4)
    assert office.do(BO, "reject", topic=identity, revision=4)["approval"] == "rejected"


def test_closed_topic_takes_comments_and_a_status(office: Office) -> None:
    topic = office.do(ADA, "create", title="One")
    office.do(ADA, "status", topic=topic["id"], revision=1, status="closed")
    office.do(BO, "comment", topic=topic["id"], text="Written offline.")
    with pytest.raises(ReviewError, match="is closed"):
        office.do(ADA, "edit", topic=topic["id"], revision=2, title="Two")
    again = office.do(ADA, "status", topic=topic["id"], revision=2, status="open")
    assert (again["status"], len(again["comments"])) == ("open", 1)


def test_values_are_frozen_by_the_service(tmp_path: Path) -> None:
    flows = iter([1.5, 2.5])

    def freeze(path: str) -> FrozenValue:
        if path != "/World/P101.flow":
            raise ReviewError(f"no signal is bound at {path}")
        return FrozenValue(path, "/World/P101", next(flows), "m3/h", "good", None, 1000.0)

    office = Office(tmp_path, freeze=freeze)
    topic = office.do(ADA, "create", title="Flow", values=["/World/P101.flow"])
    row = office.do(ADA, "values", topic=topic["id"], revision=1, values=["/World/P101.flow"])
    assert [v["value"] for v in row["values"]] == [1.5, 2.5]
    assert row["values"][0]["quality"] == "good"
    assert row["prims"] == ["/World/P101"]
    with pytest.raises(ReviewError, match="no signal"):
        office.do(ADA, "values", topic=topic["id"], revision=2, values=["/World/P101.level"])
    office.close()
    again = Office(tmp_path)
    assert again.desk.row(ADA, topic["id"]) == row
    again.close()


def test_anchors_of_renamed_and_vanished_prims(office: Office) -> None:
    topic = office.do(ADA, "create", title="Pin", anchors=[{"prim": "/World/P101/Handle"}])
    assert not topic["anchors"][0]["orphaned"]
    told = len(office.told)
    root = office.stage.GetRootLayer()
    edit = Sdf.BatchNamespaceEdit()
    edit.Add("/World/P101", "/World/P201")
    assert root.Apply(edit)
    office.desk.refresh()
    (anchor,) = office.desk.row(ADA, topic["id"])["anchors"]
    assert (anchor["orphaned"], anchor["moved_to"]) == (True, "/World/P201/Handle")
    assert len(office.told) == told + 1
    office.desk.refresh()
    assert len(office.told) == told + 1
    moved = office.do(
        BO,
        "anchor",
        topic=topic["id"],
        revision=1,
        anchors=[{"prim": "/World/P201/Handle", "replaces": 0}],
    )
    (anchor,) = moved["anchors"]
    assert (anchor["orphaned"], anchor["history"]) == (False, ["/World/P101/Handle"])
    office.stage.RemovePrim("/World/P201")
    office.desk.refresh()
    (anchor,) = office.desk.row(ADA, topic["id"])["anchors"]
    assert (anchor["orphaned"], anchor["moved_to"]) == (True, "")


def test_another_machine_at_the_old_path_is_no_anchor(office: Office) -> None:
    topic = office.do(ADA, "create", title="Pin", anchors=[{"prim": "/World/P101"}])
    swap = {"/World/P101": "P-102", "/World/P102": "P-101"}
    for path, identity in swap.items():
        office.stage.GetPrimAtPath(path).GetAttribute("twin:id").Set(identity)
    office.desk.refresh()
    (anchor,) = office.desk.row(ADA, topic["id"])["anchors"]
    assert (anchor["orphaned"], anchor["moved_to"]) == (True, "/World/P102")


def test_rights_of_anchors_decide(tmp_path: Path) -> None:
    rights = Rights(
        ada={"read": ["/"], "review": ["/"], "approve": ["/"]},
        bo={"read": ["/World/P101"], "review": ["/World/P101"]},
        cy={"read": ["/World"], "review": ["/World/P102"]},
    )
    office = Office(tmp_path, rights)
    one = office.do(ADA, "create", title="Both", anchors=[{"prim": "/World/P101"}])
    two = office.do(
        ADA, "create", title="Vault", anchors=[{"prim": "/World/P101"}, {"prim": "/World/Vault"}]
    )
    whole = office.do(ADA, "create", title="Whole")
    assert [t["title"] for t in office.desk.rows(BO)] == ["Both"]
    assert {t["title"] for t in office.desk.rows(CY)} == {"Both", "Vault"}
    assert office.desk.rows(Principal("stranger")) == []
    for unseen in (two, whole):
        with pytest.raises(ReviewError, match="there is no topic"):
            office.do(BO, "comment", topic=unseen["id"], text="Me too.")
    office.do(BO, "comment", topic=one["id"], text="Seen.")
    with pytest.raises(AccessError, match="cy may not review at /World/P101"):
        office.do(CY, "comment", topic=one["id"], text="Me too.")
    with pytest.raises(AccessError, match="bo may not review at /World/P102"):
        office.do(BO, "anchor", topic=one["id"], revision=1, anchors=[{"prim": "/World/P102"}])
    with pytest.raises(AccessError, match=r"bo may not review at /$"):
        office.do(BO, "create", title="Everything")
    with pytest.raises(AccessError, match="bo may not approve"):
        office.do(BO, "approve", topic=one["id"], revision=1)
    plane = {"prim": "/World/Vault", "point": [0, 0, 0], "normal": [1, 0, 0]}
    with pytest.raises(AccessError, match="may not read all"):
        office.do(BO, "edit", topic=one["id"], revision=1, sections=[plane])
    with pytest.raises(AccessError, match="may not read at /World/Vault"):
        office.do(BO, "values", topic=one["id"], revision=1, values=["/World/Vault.gold"])
    with pytest.raises(AccessError, match="not known"):
        office.do(Principal(""), "create", title="Nobody")
    office.close()


def test_same_operation_twice_is_once(office: Office) -> None:
    operation = {"id": uuid7(), "kind": "create", "title": "One"}
    first = office.desk.perform(operation, ADA)
    again = office.desk.perform(operation, ADA)
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert first["topic"] == again["topic"]
    assert len(office.desk) == 1
    with pytest.raises(ReviewError, match="its content differs"):
        office.desk.perform({**operation, "title": "Two"}, ADA)
    with pytest.raises(ReviewError, match="its content differs"):
        office.desk.perform(operation, BO)
    with pytest.raises(ReviewError, match="is there already"):
        office.do(BO, "create", title="Mine", topic=operation["id"])


def test_picture_is_checked_and_kept_by_its_hash(office: Office) -> None:
    picture = png()
    topic = office.do(ADA, "create", title="Seen", snapshot=picture)
    assert len(topic["snapshot"]) == 64
    assert office.desk.snapshot(BO, topic["id"]) == base64.b64decode(picture)
    prim = office.stage.GetPrimAtPath("/Review/Topic_" + topic["id"].replace("-", "_"))
    assert prim.GetAttribute("review:snapshot").Get().path == f"./review/{topic['snapshot']}.png"
    office.desk.save()
    assert (office.folder / "review" / f"{topic['snapshot']}.png").exists()
    broken = base64.b64encode(base64.b64decode(picture)[:-6]).decode()
    for wrong, why in (
        ("no base64!", "base64"),
        (base64.b64encode(b"<svg onload=alert(1)>").decode(), "must be a PNG"),
        (broken, "ends early"),
        (png(5000), "5000 x 5000"),
        (base64.b64encode(base64.b64decode(picture) + b"PK").decode(), "follows"),
    ):
        with pytest.raises(ReviewError, match=why):
            office.do(ADA, "create", title="Bad", snapshot=wrong)
    assert len(office.desk) == 1


_GOOD: dict[str, Any] = {"id": uuid7(), "kind": "create", "title": "x"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "../../etc"}, "UUID"),
        ({"id": "0198C0DE-0000-7000-8000-000000000001"}, "UUID"),
        ({"topic": 'x" { def Evil'}, "UUID"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "200 characters"),
        ({"title": "a\nb"}, "one line"),
        ({"title": "a\x1b[31m"}, r"U\+001B"),
        ({"title": "a\x00"}, r"U\+0000"),
        ({"description": "a\ufffe"}, r"U\+FFFE"),
        ({"description": "\ud800"}, "description|JSON|unicode|surrogate"),
        ({"description": "x" * 8001}, "8000"),
        ({"kind": "explode"}, "kind|explode"),
        ({"extra": 1}, "extra"),
        ({"priority": "mild"}, "priority"),
        ({"labels": ["x"] * 21}, "labels"),
        ({"anchors": [{"prim": "World"}]}, "path of a prim"),
        ({"anchors": [{"prim": "/World/../Etc"}]}, "path of a prim"),
        ({"anchors": [{"prim": "/World/P 1"}]}, "path of a prim"),
        ({"anchors": [{"prim": "/World/P{a=b}"}]}, "path of a prim"),
        ({"anchors": [{"prim": "/World.size"}]}, "path of a prim"),
        ({"anchors": [{"prim": "/W", "point": [1, 2]}]}, "point"),
        ({"anchors": [{"prim": "/W", "point": [1, 2, "3"]}]}, "point"),
        ({"anchors": [{"prim": "/W", "point": [1, 2, True]}]}, "point"),
        ({"anchors": [{"prim": "/W", "point": [1, 2, math.inf]}]}, "JSON"),
        ({"anchors": [{"prim": "/W", "point": [1, 2, 1e300]}]}, "point"),
        ({"anchors": [{"prim": "/W", "normal": [0, 0, 0]}]}, "length"),
        ({"anchors": [{"prim": "/W"}] * 65}, "anchors"),
        ({"viewpoint": {"position": [0, 0, 0], "target": [0, 0, 0]}}, "length"),
        ({"values": ["nothing"]}, "values"),
    ],
)
def test_malformed_operation_is_refused_and_changes_nothing(
    office: Office, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(ReviewError, match=why):
        office.desk.perform({**_GOOD, **change}, ADA)
    assert len(office.desk) == 0
    assert not (office.folder / "review.log").exists()


def test_texts_never_make_names(office: Office) -> None:
    nasty = 'x" } def Evil "y" { </World> @a@ \\ \' é \u202e \U0001f600'
    topic = office.do(ADA, "create", title=nasty, description=nasty + "\n\t", labels=[nasty[:9]])
    office.do(ADA, "comment", topic=topic["id"], text=nasty)
    office.desk.save()
    layer = Sdf.Layer.OpenAsAnonymous(str(office.folder / "review.usda"))
    root = layer.GetPrimAtPath("/Review")
    assert [child.name for child in root.nameChildren] == ["Topic_" + topic["id"].replace("-", "_")]
    assert [p.name for p in layer.rootPrims] == ["Review"]
    stage = Usd.Stage.Open(layer)
    prim = stage.GetPrimAtPath("/Review/Topic_" + topic["id"].replace("-", "_"))
    assert prim.GetAttribute("review:title").Get() == nasty


def test_rows_are_narrowed(office: Office) -> None:
    one = office.do(ADA, "create", title="One", anchors=[{"prim": "/World/P101"}])
    office.now += 1
    office.do(ADA, "create", title="Two", anchors=[{"prim": "/World/P102"}])
    office.do(ADA, "status", topic=one["id"], revision=1, status="closed")
    assert [t["title"] for t in office.desk.rows(BO)] == ["Two", "One"]
    assert [t["title"] for t in office.desk.rows(BO, prim="/World/P10")] == []
    assert [t["title"] for t in office.desk.rows(BO, prim="/World/P102")] == ["Two"]
    assert [t["title"] for t in office.desk.rows(BO, status="closed")] == ["One"]
    assert len(office.desk.rows(BO, limit=1)) == 1


def test_layer_leaves_the_plant_alone(office: Office) -> None:
    before = office.stage.GetRootLayer().ExportToString()
    office.do(ADA, "create", title="One", anchors=[{"prim": "/World/P101"}])
    assert office.stage.GetRootLayer().ExportToString() == before
    assert HALL.count("Review") == 0
