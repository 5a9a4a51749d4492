"""BCF 3.0: read back by an independent reader, taken in from one, and hostile archives."""

from __future__ import annotations

import base64
import datetime
import io
import math
import uuid
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stagetwin import ReviewError
from stagetwin.identifiers import uuid7
from stagetwin.people import Principal
from stagetwin.reviews import BcfExchange, FrozenValue
from stagetwin.reviews._bcf_archive import Archive, parse_xml
from tests.stages.reviews.desks import ADA, BO, HALL, Office, Rights, png

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import bcf.v3.model as mdl
    from bcf.v3.bcfxml import BcfXml
    from bcf.v3.visinfo import VisualizationInfoHandler
    from xsdata.models.datatype import XmlDateTime

Y_UP = HALL.replace('upAxis = "Z"', 'upAxis = "Y"').replace(
    "metersPerUnit = 1", "metersPerUnit = 0.01"
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path / "one")
    yield office
    office.close()


def take(office: Office, data: bytes, who: Principal = ADA) -> tuple[int, list[str]]:
    """Take an archive in; return how many operations were taken, and the problems."""
    exchange = BcfExchange(office.stage, office.desk)
    topics, problems = exchange.read(data)
    count = 0
    for found in topics:
        for operation in exchange.operations(found, who):
            office.desk.perform(operation, who)
            count += 1
    return count, problems


def exported(office: Office, who: Principal = ADA) -> bytes:
    return BcfExchange(office.stage, office.desk).export(who)[0]


def opened(data: bytes, folder: Path) -> BcfXml:
    path = folder / "read.bcfzip"
    path.write_bytes(data)
    made = BcfXml.load(path)
    assert made is not None
    return made


def full_topic(office: Office) -> dict[str, Any]:
    """Make a topic that has everything."""
    topic = office.do(
        ADA,
        "create",
        title="Handle <hits> & scrapes",
        description="Über dem Rohr",
        type="clash",
        priority="high",
        assigned="bo",
        labels=["layout", "safety"],
        anchors=[{"prim": "/World/P101/Handle", "point": [1, 0, 0]}, {"prim": "/World/P102"}],
        viewpoint={"position": [0, -2, 1], "target": [0, 0, 1], "fov": 50.0, "in": "/World/P101"},
        sections=[{"prim": "/World/P101", "point": [1, 0, 0], "normal": [0, 0, 2]}],
        snapshot=png(),
    )
    office.do(BO, "comment", topic=topic["id"], text="Turn it.\nBy 90°.")
    plan = {"position": [0, 0, 9], "target": [0, 0, 0], "up": [0, 1, 0], "orthographic": 12.0}
    office.do(ADA, "comment", topic=topic["id"], text="From above.", viewpoint=plan)
    return office.do(ADA, "status", topic=topic["id"], revision=1, status="in_progress")


def test_independent_reader_reads_everything_back(office: Office, tmp_path: Path) -> None:
    row = full_topic(office)
    with opened(exported(office), tmp_path) as read:
        assert read.version.version_id == "3.0"
        (handler,) = read.topics.values()
        topic = handler.topic
        assert topic.guid == row["id"]
        assert (topic.title, topic.description) == (row["title"], row["description"])
        assert (topic.topic_status, topic.topic_type) == ("in_progress", "clash")
        assert (topic.priority, topic.assigned_to) == ("high", "bo")
        assert topic.labels is not None
        assert topic.labels.label == ["layout", "safety"]
        assert topic.creation_author == "ada"
        created = topic.creation_date.to_datetime().timestamp()
        assert created == pytest.approx(row["created"])
        assert [(c.author, c.comment) for c in handler.comments] == [
            ("bo", "Turn it.\nBy 90°."),
            ("ada", "From above."),
        ]
        first, second = handler.viewpoints.values()
        assert first.snapshot == base64.b64decode(png())
        info = first.visualization_info
        assert info.components is not None
        assert info.components.selection is not None
        tools = [c.authoring_tool_id for c in info.components.selection.component]
        assert tools == ["/World/P101/Handle", "/World/P102"]
        camera = info.perspective_camera
        assert camera is not None
        assert camera.field_of_view == 50.0
        eye = camera.camera_view_point
        assert (eye.x, eye.y, eye.z) == (10, -2, 1)  # the pump stands 10 m along x
        ahead = camera.camera_direction
        assert (ahead.x, ahead.y, ahead.z) == (0, 1, 0)
        assert info.clipping_planes is not None
        (plane,) = info.clipping_planes.clipping_plane
        assert (plane.location.x, plane.direction.z) == (11, 1)
        parallel = second.visualization_info.orthogonal_camera
        assert parallel is not None
        assert parallel.view_to_world_scale == 12.0
        assert handler.comments[1].viewpoint is not None
        assert handler.comments[1].viewpoint.guid == second.guid
        assert read.extensions is not None
        assert read.extensions.topic_types is not None
        assert read.extensions.topic_types.topic_type == ["clash"]


def test_centimetres_and_y_up_become_metres_and_z_up(tmp_path: Path) -> None:
    office = Office(tmp_path / "y", text=Y_UP)
    view = {"position": [100, 200, 300], "target": [100, 200, 200], "up": [0, 1, 0]}
    plane = {"prim": "/", "point": [0, 50, 0], "normal": [0, 1, 0]}
    topic = office.do(ADA, "create", title="Y", viewpoint=view, sections=[plane])
    data = exported(office)
    with opened(data, tmp_path) as read:
        (handler,) = read.topics.values()
        info = next(iter(handler.viewpoints.values())).visualization_info
        assert info.perspective_camera is not None
        eye, up = (
            info.perspective_camera.camera_view_point,
            info.perspective_camera.camera_up_vector,
        )
        assert (eye.x, eye.y, eye.z) == pytest.approx((1, -3, 2))
        assert (up.x, up.y, up.z) == pytest.approx((0, 0, 1))
        assert info.clipping_planes is not None
        (cut,) = info.clipping_planes.clipping_plane
        assert (cut.location.z, cut.direction.z) == pytest.approx((0.5, 1))
    other = Office(tmp_path / "other", text=Y_UP)
    take(other, data)
    back = other.desk.row(ADA, topic["id"])
    assert back["viewpoint"]["position"] == pytest.approx([100, 200, 300])
    look = np.subtract(back["viewpoint"]["target"], back["viewpoint"]["position"])
    assert look / np.linalg.norm(look) == pytest.approx([0, 0, -1])
    assert back["viewpoint"]["up"] == pytest.approx([0, 1, 0])
    assert back["sections"][0]["point"] == pytest.approx([0, 50, 0])
    office.close()
    other.close()


def test_import_is_idempotent_and_merges_comments(office: Office, tmp_path: Path) -> None:
    row = full_topic(office)
    data = exported(office)
    assert take(office, data) == (0, [])
    other = Office(tmp_path / "other")
    count, problems = take(other, data)
    assert (count, problems) == (4, [])
    back = other.desk.row(ADA, row["id"])
    assert back["status"] == "in_progress"
    assert (back["title"], back["labels"], back["snapshot"]) == (
        row["title"],
        row["labels"],
        row["snapshot"],
    )
    assert [a["prim"] for a in back["anchors"]] == ["/World/P101/Handle", "/World/P102"]
    assert [c["id"] for c in back["comments"]] == [c["id"] for c in row["comments"]]
    assert back["comments"][0]["text"].startswith("Turn it.\nBy 90°.\n[BCF: bo, ")
    assert back["comments"][1]["viewpoint"]["orthographic"] == 12.0
    assert take(other, data) == (0, [])
    office.do(BO, "comment", topic=row["id"], text="One more.")
    assert take(other, exported(office)) == (1, [])
    assert len(other.desk.row(ADA, row["id"])["comments"]) == 3
    other.close()


def test_archive_of_another_tool_is_taken_in(office: Office, tmp_path: Path) -> None:
    made = BcfXml.create_new("Hall")
    handler = made.add_topic("Pipe too low", "It is 2 m.", "kim@example.com", "Issue", "Active")
    when = XmlDateTime.from_datetime(datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))
    handler.comments = [
        mdl.Comment(guid=str(uuid.uuid4()), date=when, author="lee", comment="Raise it.")
    ]
    info = mdl.VisualizationInfo(
        guid=str(uuid.uuid4()),
        components=mdl.Components(
            selection=mdl.ComponentSelection(
                component=[
                    mdl.Component(originating_system="OpenUSD", authoring_tool_id="/World/P101"),
                    mdl.Component(ifc_guid="2MF28NhmDBiRVyFakgdbCT"),
                ]
            ),
            visibility=mdl.ComponentVisibility(),
        ),
        perspective_camera=mdl.PerspectiveCamera(
            camera_view_point=mdl.Point(x=1, y=2, z=3),
            camera_direction=mdl.Direction(x=0, y=3, z=0),
            camera_up_vector=mdl.Direction(x=0, y=0, z=1),
            field_of_view=60,
            aspect_ratio=1.5,
        ),
    )
    handler.add_visinfo_handler(VisualizationInfoHandler(info, base64.b64decode(png())))
    assert handler.topic.viewpoints is not None
    handler.topic.viewpoints.view_point[0].snapshot = "view.png"
    path = tmp_path / "other.bcf"
    made.save(path)
    made.close()
    count, problems = take(office, path.read_bytes())
    assert count == 2
    assert problems == ["component '' is no prim path"]
    (row,) = office.desk.rows(ADA)
    assert (row["title"], row["type"], row["status"]) == ("Pipe too low", "Issue", "open")
    assert row["author"] == "ada"
    assert "kim@example.com" in row["description"]
    assert row["comments"][0]["text"] == "Raise it.\n[BCF: lee, 2026-03-01T00:00:00Z]"
    assert row["anchors"][0]["prim"] == "/World/P101"
    assert row["anchors"][0]["point"] is None
    assert row["viewpoint"]["position"] == [1, 2, 3]
    assert row["viewpoint"]["target"] == pytest.approx([1, 3, 3])
    assert row["snapshot"]


def test_values_are_in_the_description(tmp_path: Path) -> None:
    frozen = FrozenValue("/World/P101.flow", "/World/P101", 1.5, "m3/h", "good", None, 0.0)
    office = Office(tmp_path / "v", freeze=lambda _path: frozen)
    office.do(ADA, "create", title="Flow", values=["/World/P101.flow"])
    with opened(exported(office), tmp_path) as read:
        (handler,) = read.topics.values()
        assert handler.topic.description == (
            "/World/P101.flow = 1.5 m3/h (good, 1970-01-01T00:00:00.000Z)"
        )
    office.close()


def test_only_what_may_be_seen_leaves(tmp_path: Path) -> None:
    rights = Rights(
        ada={"read": ["/"], "review": ["/"]},
        bo={"read": ["/World/P101"], "review": ["/World/P101"]},
    )
    office = Office(tmp_path / "r", rights)
    office.do(ADA, "create", title="Seen", anchors=[{"prim": "/World/P101"}])
    hidden = office.do(ADA, "create", title="Hidden", anchors=[{"prim": "/World/Vault"}])
    exchange = BcfExchange(office.stage, office.desk)
    data, count = exchange.export(BO)
    assert count == 1
    assert hidden["id"] not in "".join(zipfile.ZipFile(io.BytesIO(data)).namelist())
    with pytest.raises(ReviewError, match="there is no topic"):
        exchange.export(BO, [hidden["id"]])
    office.close()


# -- archives that mean harm


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bcf.version", b'<Version VersionId="3.0"/>')
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "C:/evil", "a\\..\\evil", "a//evil", "./a"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ReviewError, match="leads elsewhere"):
        Archive(archive(**{name: b""}))


def test_bombs_are_refused() -> None:
    with pytest.raises(ReviewError, match="more than"):
        Archive(archive(bomb=bytes(5 * 2**20))).read("bomb")
    many = {str(number): b"" for number in range(5001)}
    with pytest.raises(ReviewError, match="at most 5000 files"):
        Archive(archive(**many))
    with pytest.raises(ReviewError, match="at most"):
        Archive(bytes(12 * 2**20))
    with pytest.raises(ReviewError, match="no BCF archive"):
        Archive(b"PK nonsense")


def test_many_files_are_too_many_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagetwin.reviews._bcf_archive.MAX_TOTAL", 2**20)
    whole = Archive(archive(a=bytes(2**19), b=bytes(2**19), c=b"x"))
    whole.read("a")
    whole.read("b")
    with pytest.raises(ReviewError, match="all too many"):
        whole.read("c")


def test_documents_share_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stagetwin.reviews._bcf_archive.MAX_ELEMENTS", 100)
    whole = Archive(archive(a=b"<a>" + b"<b/>" * 60 + b"</a>", b=b"<a>" + b"<b/>" * 60 + b"</a>"))
    assert len(whole.xml("a")) == 60
    with pytest.raises(ReviewError, match="too many"):
        whole.xml("b")


def test_file_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.writestr("a", b"1")
        made.writestr("a", b"2")
    with pytest.raises(ReviewError, match="twice"):
        Archive(out.getvalue())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"), "document type"),
        (b"<a>" * 40 + b"</a>" * 40, "too many"),
        (b"<a>" + b"<b/>" * 300_001 + b"</a>", "too many"),
        (b"<a " + b" ".join(b'a%d=""' % n for n in range(300_001)) + b"/>", "too many"),
        (b"<a><b></a>", "no XML"),
        (b"", "no XML"),
    ],
)
def test_hostile_xml_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ReviewError, match=why):
        parse_xml(text, "markup.bcf")


def markup(topic: str) -> bytes:
    return f"<Markup>{topic}</Markup>".encode()


def test_bad_topics_are_named_and_the_good_ones_taken(office: Office) -> None:
    good, bad = uuid7(), uuid7()
    view = (
        '<Viewpoints><ViewPoint Guid="{}"><Viewpoint>../../x.bcfv</Viewpoint></ViewPoint>'
        "</Viewpoints>"
    )
    data = archive(
        **{
            f"{good}/markup.bcf": markup(
                f'<Topic Guid="{good.upper()}" TopicStatus="weird"><Title> a\x0bb\n c </Title>'
                "<Comments><Comment Guid='no'><Comment>x</Comment></Comment></Comments>"
                f"{view.format(uuid7())}</Topic>"
            ).replace(b"\x0b", b""),
            f"{bad}/markup.bcf": markup('<Topic Guid="../../x"><Title>x</Title></Topic>'),
            "empty/markup.bcf": markup(""),
        }
    )
    count, problems = take(office, data)
    assert count == 1
    text = "\n".join(problems)
    for part in ("must be a UUID", "no topic", "file elsewhere", "'weird'"):
        assert part in text
    assert office.desk.row(ADA, good)["title"] == "ab c"


@pytest.mark.parametrize("version", ["2.1", "", "x"])
def test_other_versions_are_refused(office: Office, version: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("bcf.version", f'<Version VersionId="{version}"/>')
    with pytest.raises(ReviewError, match=r"only 3\.0"):
        take(office, out.getvalue())


def test_cameras_that_look_nowhere_are_left_out(office: Office) -> None:
    guid, view = uuid7(), uuid7()
    camera = (
        "<VisualizationInfo><PerspectiveCamera><CameraViewPoint><X>0</X><Y>0</Y><Z>nan</Z>"
        "</CameraViewPoint></PerspectiveCamera></VisualizationInfo>"
    )
    data = archive(
        **{
            f"{guid}/markup.bcf": markup(
                f'<Topic Guid="{guid}"><Title>x</Title><Viewpoints><ViewPoint Guid="{view}">'
                "<Viewpoint>v.bcfv</Viewpoint></ViewPoint></Viewpoints></Topic>"
            ),
            f"{guid}/v.bcfv": camera.encode(),
        }
    )
    assert take(office, data) == (1, ["a camera is not complete, it was left out"])
    row = office.desk.row(ADA, guid)
    assert row["viewpoint"] is None
    assert math.isfinite(row["created"])
