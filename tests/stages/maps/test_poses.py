"""Recorded poses: MCAP with JSON and ROS 2, and onto a stage or into a recording."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import Writer
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.maps import MapError, author_map, author_poses, import_poses
from stagetwin_bridges.recording import Recording
from tests.stages.maps.floors import square

Message = tuple[str, str, str, float, bytes]
"""Topic, encoding, schema, log time [s], content."""


def recorded(path: Path, messages: Sequence[Message]) -> Path:
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start()
        channels: dict[tuple[str, str, str], int] = {}
        for topic, encoding, schema, time, data in messages:
            key = (topic, encoding, schema)
            if key not in channels:
                kind = "jsonschema" if encoding == "json" else "ros2msg"
                number = writer.register_schema(schema, kind, b"{}")
                channels[key] = writer.register_channel(topic, encoding, number)
            nanoseconds = round(time * 1e9)
            writer.add_message(channels[key], nanoseconds, data, nanoseconds)
        writer.finish()
    return path


def told(topic: str, time: float, **fields: Any) -> Message:
    return topic, "json", "Pose", time, json.dumps(fields).encode()


class Cdr:
    """CDR as a ROS 2 middleware writes it; of its own, so that ours is not tested by itself."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""

    def put(self, code: str, *values: float) -> Cdr:
        size = struct.calcsize(code)
        for value in values:
            self.data += b"\0" * (-len(self.data) % size)
            self.data += struct.pack(self.order + code, value)
        return self

    def text(self, text: str) -> Cdr:
        raw = text.encode() + b"\0"
        self.put("I", len(raw))
        self.data += raw
        return self

    def bytes(self) -> bytes:
        return (b"\x00\x01\x00\x00" if self.order == "<" else b"\x00\x00\x00\x00") + self.data


QUARTER = (0.0, 0.0, math.sin(math.pi / 4), math.cos(math.pi / 4))


def stamped(frame: str = "map", order: str = "<") -> Cdr:
    return Cdr(order).put("i", 1000).put("I", 500_000_000).text(frame)


ROS: dict[str, bytes] = {
    "geometry_msgs/msg/PoseStamped": stamped("m").put("d", 1, 2, 0, *QUARTER).bytes(),
    "geometry_msgs/PoseStamped": stamped(order=">").put("d", 1, 2, 0, *QUARTER).bytes(),
    "geometry_msgs/msg/PoseWithCovarianceStamped": stamped()
    .put("d", 1, 2, 0, *QUARTER, *[0.0] * 36)
    .bytes(),
    "nav_msgs/msg/Odometry": stamped("odom")
    .text("amr_7/base")
    .put("d", 1, 2, 0, *QUARTER, *[0.0] * 36, *[0.0] * 42)
    .bytes(),
    "geometry_msgs/msg/Pose": Cdr().put("d", 1, 2, 0, *QUARTER).bytes(),
    "geometry_msgs/msg/Pose2D": Cdr().put("d", 1, 2, math.pi / 2).bytes(),
}


@pytest.mark.parametrize("schema", sorted(ROS))
def test_ros_messages_are_read(tmp_path: Path, schema: str) -> None:
    path = recorded(tmp_path / "a.mcap", [("/pose", "cdr", schema, 7.25, ROS[schema])])
    ((name, track),) = import_poses(path).tracks.items()
    assert name == ("amr_7/base" if "Odometry" in schema else "/pose")
    assert track.times.tolist() == [1000.5 if "Stamped" in schema or "Odom" in schema else 7.25]
    assert track.poses[0].tolist() == pytest.approx([1, 2, math.pi / 2])


BODIES: list[dict[str, Any]] = [
    {"x": 1, "y": 2, "theta": 0.5},
    {"x": 1.0, "y": 2.0, "yaw": 0.5, "z": 9},
    {"agvPosition": {"x": 1, "y": 2, "theta": 0.5, "mapId": "hall"}},
    {"mobileRobotPosition": {"x": 1, "y": 2, "theta": 0.5}},
    {
        "pose": {
            "position": {"x": 1, "y": 2, "z": 0},
            "orientation": {"x": 0, "y": 0, "z": math.sin(0.25), "w": math.cos(0.25)},
        }
    },
]


@pytest.mark.parametrize("body", BODIES)
def test_json_messages_are_read(tmp_path: Path, body: dict[str, Any]) -> None:
    path = recorded(tmp_path / "a.mcap", [told("t", 3.0, **body)])
    track = import_poses(path).tracks["t"]
    assert track.times.tolist() == [3.0]
    assert track.poses[0].tolist() == pytest.approx([1, 2, 0.5])


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ({"timestamp": 12.5}, 12.5),
        ({"timestamp": "1970-01-01T00:01:00.250Z"}, 60.25),
        ({"header": {"stamp": {"sec": 5, "nanosec": 250_000_000}}}, 5.25),
        ({"timestamp": {"sec": 5, "nsec": 500_000_000}}, 5.5),
        ({"timestamp": "yesterday"}, 3.0),
    ],
)
def test_a_message_knows_its_time_best(tmp_path: Path, stamp: dict[str, Any], time: float) -> None:
    path = recorded(tmp_path / "a.mcap", [told("t", 3.0, x=0, y=0, theta=0, **stamp)])
    assert import_poses(path).tracks["t"].times.tolist() == [time]


def test_vehicles_are_told_apart_and_sorted_by_time(tmp_path: Path) -> None:
    rows = [(2.0, "b", 20), (1.0, "b", 10), (1.5, "a", 1), (2.0, "b", 21)]
    messages = [told("t", t, serialNumber=n, x=x, y=0, theta=0) for t, n, x in rows]
    tracks = import_poses(recorded(tmp_path / "a.mcap", messages)).tracks
    assert list(tracks) == ["a", "b"]
    assert tracks["b"].times.tolist() == [1.0, 2.0]
    assert tracks["b"].poses[:, 0].tolist() == [10.0, 21.0]


def test_an_origin_moves_and_turns_poses(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.mcap", [told("t", 0.0, x=1, y=2, theta=3.0)])
    track = import_poses(path, origin=(10.0, 20.0, math.pi / 2)).tracks["t"]
    assert track.poses[0].tolist() == pytest.approx([8, 21, 3.0 + math.pi / 2 - 2 * math.pi])


def test_between_samples_poses_turn_the_short_way(tmp_path: Path) -> None:
    messages = [told("t", t, x=t, y=0, theta=a) for t, a in ((0.0, 3.0), (2.0, -3.0))]
    track = import_poses(recorded(tmp_path / "a.mcap", messages)).tracks["t"]
    x, y, theta = track.at(1.0)
    assert (x, y) == (1.0, 0.0)
    assert abs(theta) == pytest.approx(math.pi)
    assert track.at(-5.0) == pytest.approx((0.0, 0.0, 3.0))
    assert track.at(9.0) == pytest.approx((2.0, 0.0, -3.0))


def test_what_has_no_pose_is_counted_and_loses_nothing_else(tmp_path: Path) -> None:
    good = told("t", 1.0, x=0, y=0, theta=0)
    path = recorded(
        tmp_path / "a.mcap",
        [
            good,
            told("t", 2.0, x="no", y=0, theta=0),
            ("t", "json", "Pose", 3.0, b"{"),
            told("t", 4.0, speed=1),
            ("/scan", "cdr", "sensor_msgs/msg/LaserScan", 1.0, b"\0\1\0\0"),
            ("/odom", "cdr", "nav_msgs/msg/Odometry", 1.0, b"\0\1\0\0\5"),
        ],
    )
    poses = import_poses(path)
    assert poses.tracks["t"].times.tolist() == [1.0]
    text = "\n".join(poses.notes)
    assert "t: 3 messages left out: x must be a finite number, got 'no'" in text
    assert "/scan: cdr sensor_msgs/msg/LaserScan has no pose" in text
    assert "/odom: 1 messages left out: ends after 5 bytes" in text


def test_a_file_without_poses_says_what_is_in_it(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.mcap", [told("t", 2.0, speed=1)])
    with pytest.raises(MapError, match=r"holds no pose; .*t: 1 messages left out: .*speed"):
        import_poses(path)
    whole = recorded(tmp_path / "b.mcap", [told("t", 1.0, x=0, y=0, theta=0)]).read_bytes()
    for content in (b"", b"nothing of the kind", whole[:40]):
        path.write_bytes(content)
        with pytest.raises(MapError):
            import_poses(path)
    with pytest.raises(MapError, match="No such file"):
        import_poses(tmp_path / "none.mcap")


def test_poses_are_a_recording_that_replays(tmp_path: Path) -> None:
    messages = [
        told(n, t, x=t, y=2, theta=0.25) for t in (1.7e9, 1.7e9 + 0.5) for n in ("a/1", "b")
    ]
    poses = import_poses(recorded(tmp_path / "a.mcap", messages))
    files = poses.write_csv(tmp_path / "poses.csv")
    assert [file.name for file in files] == ["poses-a_1.csv", "poses-b.csv"]
    recording = Recording.open(files[0])
    assert recording.times.tolist() == [1.7e9, 1.7e9 + 0.5]
    assert recording.row(1) == {"x": 1.7e9 + 0.5, "y": 2.0, "theta": 0.25}


@pytest.mark.parametrize("up", ["Y", "Z"])
def test_poses_are_time_samples_in_the_maps_frame(tmp_path: Path, up: str) -> None:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetTimeCodesPerSecond(50)
    author_map(stage, "/Map", square())
    UsdGeom.Xformable(stage.GetPrimAtPath("/Map")).AddTranslateOp().Set(Gf.Vec3d(500, 0, 0))
    messages = [told("amr 1", 100 + t, x=t, y=2, theta=0) for t in (0.0, 1.0)]
    poses = import_poses(recorded(tmp_path / "a.mcap", messages))
    (path,) = author_poses(stage, poses, "/Past", map_path="/Map")
    prim = stage.GetPrimAtPath(path)
    places = [UsdGeom.XformCache(t).GetLocalToWorldTransform(prim) for t in (0, 50)]
    flat = [m.ExtractTranslation() for m in places]
    assert np.allclose(flat[0], (500, 0, -200) if up == "Y" else (500, 200, 0))
    assert np.allclose(flat[1], (600, 0, -200) if up == "Y" else (600, 200, 0))
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0.0, 50.0)


def test_poses_go_to_a_layer_of_their_own(tmp_path: Path) -> None:
    poses = import_poses(recorded(tmp_path / "a.mcap", [told("t", 1.0, x=1, y=0, theta=0)]))
    layer = Sdf.Layer.CreateAnonymous(".usda")
    assert author_poses(layer, poses) == ["/Poses/t"]
    assert layer.ListTimeSamplesForPath("/Poses/t.xformOp:transform:recorded") == [0.0]
    with pytest.raises(MapError, match="no prim /Nowhere"):
        author_poses(layer, poses, map_path="/Nowhere")
    with pytest.raises(MapError, match="path of a prim"):
        author_poses(layer, poses, "nowhere")
