"""Recorded poses of vehicles out of MCAP files, and onto a stage as time samples."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin._errors import MapError
from stagetwin.maps._cdr import ROS_POSES, Pose, ros_pose, yaw_of
from stagetwin.maps._imported import Origin

__all__ = ["PoseTrack", "Poses", "import_poses"]

Floats = npt.NDArray[np.float64]

_NAMES = (
    "name",
    "vehicleId",
    "vehicle_id",
    "serialNumber",
    "robot",
    "robot_name",
    "id",
    "child_frame_id",
)
_NESTED = ("mobileRobotPosition", "agvPosition", "pose", "position2d", "location")


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """Where one vehicle was.

    Attributes:
        name: of the vehicle.
        times: rising [s, Unix], shape (sample_count,).
        poses: x, y [m] and theta [rad], shape (sample_count, 3).
    """

    name: str
    times: Floats
    poses: Floats

    def at(self, time: float) -> tuple[float, float, float]:
        """Return the pose at a time [s, Unix]: between two samples straight and the short way."""
        i = int(
            np.clip(np.searchsorted(self.times, time, side="right"), 1, max(len(self.times) - 1, 1))
        )
        a, b = self.poses[i - 1], self.poses[min(i, len(self.poses) - 1)]
        span = float(self.times[min(i, len(self.times) - 1)] - self.times[i - 1])
        share = min(max((time - float(self.times[i - 1])) / span, 0.0), 1.0) if span > 0 else 0.0
        turn = math.remainder(float(b[2] - a[2]), 2 * math.pi)
        x, y = (float(a[k] + (b[k] - a[k]) * share) for k in (0, 1))
        return x, y, math.remainder(float(a[2]) + turn * share, 2 * math.pi)


@dataclass(frozen=True, eq=False)
class Poses:
    """What a recording says of where vehicles were.

    Attributes:
        tracks: by name of the vehicle.
        notes: what was not read, and why.
    """

    tracks: Mapping[str, PoseTrack]
    notes: tuple[str, ...] = ()

    def span(self) -> tuple[float, float]:
        """Return the first and the last time of all [s, Unix]."""
        first = min(float(track.times[0]) for track in self.tracks.values())
        return first, max(float(track.times[-1]) for track in self.tracks.values())

    def write_csv(self, path: str | Path) -> list[Path]:
        """Write recordings that `stagetwin replay` plays: time [s, Unix], x, y and theta.

        Returns:
            The files: the path itself for one vehicle, else one each, named after it.

        Raises:
            MapError: a file cannot be written.
        """
        at = Path(path)
        files = []
        for name, track in self.tracks.items():
            safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._") or "v"
            file = at if len(self.tracks) == 1 else at.with_name(f"{at.stem}-{safe}{at.suffix}")
            try:
                with file.open("w", newline="", encoding="utf-8") as out:
                    writer = csv.writer(out)
                    writer.writerow(["time", "x", "y", "theta"])
                    table = np.column_stack([track.times, track.poses])
                    writer.writerows([repr(value) for value in row] for row in table.tolist())
            except OSError as error:
                raise MapError(f"{file}: {error.strerror}") from None
            files.append(file)
        return files


def import_poses(path: str | Path, *, origin: Origin = (0.0, 0.0, 0.0)) -> Poses:
    """Read the poses of an MCAP recording.

    Read are channels of JSON with `x`, `y` and `theta` (or `yaw`), or `position` and `orientation`,
    at the top or in `pose`, `agvPosition` or `mobileRobotPosition`; and ROS 2 messages in CDR:
    geometry_msgs Pose, Pose2D, PoseStamped, PoseWithCovarianceStamped and nav_msgs Odometry. A
    vehicle is called as its message says (`name`, `serialNumber`, `child_frame_id`, ...), else as
    its channel's topic. A time in the message goes before that of the log.

    Args:
        path: the file.
        origin: where the recording's origin lies in the map.

    Raises:
        MapError: it cannot be read, or holds no pose; says what is in it.
    """
    at = Path(path)
    samples: dict[str, list[tuple[float, float, float, float]]] = {}
    wrong: dict[str, tuple[int, str]] = {}
    other: dict[str, str] = {}
    for topic, encoding, schema, log_time, data in _messages(at):
        read = _reader(encoding, schema)
        if read is None:
            other[topic] = f"{encoding or 'no encoding'} {schema}".strip()
            continue
        try:
            found = read(data)
        except (MapError, ValueError, RecursionError) as error:
            count, first = wrong.get(topic, (0, str(error)))
            wrong[topic] = (count + 1, first)
            continue
        time, x, y, theta, name = found
        named = name or topic
        samples.setdefault(named, []).append(
            (time if math.isfinite(time) else log_time, x, y, theta)
        )
    notes = [f"{at}: {topic}: {what} has no pose that is read" for topic, what in other.items()]
    notes += [f"{at}: {topic}: {n} messages left out: {why}" for topic, (n, why) in wrong.items()]
    if not samples:
        raise MapError(f"{at}: holds no pose" + (f"; {'; '.join(notes)}" if notes else ""))
    return Poses(
        {name: _track(name, rows, origin) for name, rows in sorted(samples.items())}, tuple(notes)
    )


def _track(name: str, rows: list[tuple[float, float, float, float]], origin: Origin) -> PoseTrack:
    table = np.array(rows, np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    # Of several at one time the last that was logged counts.
    last = np.append(np.diff(table[:, 0]) > 0, True)
    table = table[last]
    cos, sin = math.cos(origin[2]), math.sin(origin[2])
    x = table[:, 1] * cos - table[:, 2] * sin + origin[0]
    y = table[:, 1] * sin + table[:, 2] * cos + origin[1]
    theta = table[:, 3] + origin[2]
    wrapped = np.remainder(theta + math.pi, 2 * math.pi) - math.pi
    return PoseTrack(name, table[:, 0].copy(), np.column_stack([x, y, wrapped]))


def _messages(path: Path) -> Iterator[tuple[str, str, str, float, bytes]]:
    """Yield topic, encoding, schema, log time [s] and content of each message."""
    try:
        from mcap.exceptions import McapError
        from mcap.reader import make_reader
    except ImportError:
        raise MapError(f"{path}: reading MCAP needs mcap (pip install 'stagetwin[maps]')") from None
    try:
        with path.open("rb") as file:
            for schema, channel, message in make_reader(file).iter_messages():
                name = schema.name if schema is not None else ""
                time = message.log_time / 1e9
                yield channel.topic, channel.message_encoding, name, time, message.data
    except OSError as error:
        raise MapError(f"{path}: {error.strerror}") from None
    except (McapError, ValueError, EOFError) as error:
        raise MapError(f"{path}: is no MCAP file, or a torn one: {error}") from None


def _reader(encoding: str, schema: str) -> Any:
    """Return what reads a message, None where nothing here does."""
    if encoding == "json":
        return _json_pose
    # Bags of early ROS 2 leave `msg` out of the type.
    parts = schema.split("/")
    name = f"{parts[0]}/msg/{parts[-1]}" if len(parts) > 1 else schema
    if encoding == "cdr" and name in ROS_POSES:
        return lambda data: ros_pose(name, data)
    return None


def _json_pose(data: bytes) -> Pose:
    message = json.loads(data)
    if not isinstance(message, dict):
        raise MapError("is no object")
    name = next(
        (str(message[key]) for key in _NAMES if isinstance(message.get(key), (str, int))), ""
    )
    time = _time(message)
    place = message
    while not _is_pose(place):
        inner = next((place[key] for key in _NESTED if isinstance(place.get(key), dict)), None)
        if inner is None:
            raise MapError(
                f"has neither x, y and theta nor position and orientation: {_keys(message)}"
            )
        place = inner
    if "x" in place:
        x, y = _number(place, "x"), _number(place, "y")
        theta = _number(
            place, next((key for key in ("theta", "yaw", "heading") if key in place), "theta")
        )
    else:
        x, y = (_number(place["position"], key) for key in ("x", "y"))
        theta = yaw_of(*(_number(place["orientation"], key) for key in ("x", "y", "z", "w")))
        if not math.isfinite(theta):
            raise MapError("its orientation is no quaternion")
    return time, x, y, theta, name


def _is_pose(place: dict[str, Any]) -> bool:
    flat = "x" in place and "y" in place and any(k in place for k in ("theta", "yaw", "heading"))
    return flat or all(isinstance(place.get(k), dict) for k in ("position", "orientation"))


def _number(place: dict[str, Any], key: str) -> float:
    value = place.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise MapError(f"{key} must be a finite number, got {value!r}")
    return float(value)


def _keys(message: dict[str, Any]) -> str:
    return ", ".join(list(message)[:8]) or "nothing"


def _time(message: dict[str, Any]) -> float:
    """Return the time that a message itself tells [s, Unix]; NaN where it tells none."""
    header = message.get("header")
    stamps = [message.get("timestamp"), message.get("time"), message.get("stamp")]
    if isinstance(header, dict):
        stamps.insert(0, header.get("stamp"))
    for stamp in stamps:
        if isinstance(stamp, dict):
            seconds = stamp.get("sec", stamp.get("secs"))
            rest = stamp.get("nanosec", stamp.get("nsec", stamp.get("nsecs", 0)))
            if isinstance(seconds, (int, float)) and isinstance(rest, (int, float)):
                return float(seconds) + float(rest) / 1e9
        elif isinstance(stamp, (int, float)) and not isinstance(stamp, bool):
            return float(stamp)
        elif isinstance(stamp, str):
            from datetime import UTC, datetime

            try:
                moment = datetime.fromisoformat(stamp)
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return math.nan
