"""ROS 2 messages with a pose, as CDR lays them out (OMG DDS-XTypes 1.3, 7.4.3, plain CDR)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from stagetwin._errors import MapError

__all__ = ["ROS_POSES", "Pose", "ros_pose", "yaw_of"]

Pose = tuple[float, float, float, float, str]
"""Time [s, Unix; NaN for none], x, y [m], theta [rad], and the name of the frame that moves."""


class _Reader:
    """Reads primitives, each aligned to its size from the first byte after the header."""

    def __init__(self, data: bytes) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1):
            raise MapError("is no plain CDR")
        self._data = data
        self._at = 4
        self._order = "<" if data[1] == 1 else ">"

    def take(self, code: str) -> float:
        """Return one number by its struct code."""
        size = struct.calcsize(code)
        self._at += -(self._at - 4) % size
        if self._at + size > len(self._data):
            raise MapError(f"ends after {len(self._data)} bytes")
        (value,) = struct.unpack_from(self._order + code, self._data, self._at)
        self._at += size
        return float(value)

    def text(self) -> str:
        """Return a string."""
        size = int(self.take("I"))
        end = self._at + size
        if end > len(self._data):
            raise MapError(f"ends after {len(self._data)} bytes")
        found = self._data[self._at : max(end - 1, self._at)]
        self._at = end
        return found.decode("utf-8", "replace")

    def header(self) -> tuple[float, str]:
        """Return time and frame of a std_msgs/Header."""
        seconds, nanoseconds = self.take("i"), self.take("I")
        return seconds + nanoseconds / 1e9, self.text()

    def pose(self) -> tuple[float, float, float]:
        """Return x, y and theta of a geometry_msgs/Pose."""
        x, y, _, *quaternion = (self.take("d") for _ in range(7))
        return x, y, yaw_of(*quaternion)


def yaw_of(x: float, y: float, z: float, w: float) -> float:
    """Return the heading of a quaternion about z [rad]; NaN where it is none."""
    if not math.isfinite(x + y + z + w) or x * x + y * y + z * z + w * w < 1e-12:
        return math.nan
    return math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def _stamped(reader: _Reader) -> Pose:
    time, _ = reader.header()
    return (time, *reader.pose(), "")


def _odometry(reader: _Reader) -> Pose:
    time, _ = reader.header()
    child = reader.text()
    return (time, *reader.pose(), child)


def _bare(reader: _Reader) -> Pose:
    return (math.nan, *reader.pose(), "")


def _pose2d(reader: _Reader) -> Pose:
    return (math.nan, reader.take("d"), reader.take("d"), reader.take("d"), "")


ROS_POSES: dict[str, Callable[[_Reader], Pose]] = {
    "geometry_msgs/msg/Pose": _bare,
    "geometry_msgs/msg/Pose2D": _pose2d,
    "geometry_msgs/msg/PoseStamped": _stamped,
    "geometry_msgs/msg/PoseWithCovarianceStamped": _stamped,
    "nav_msgs/msg/Odometry": _odometry,
}
"""By type; a covariance comes after the pose and is not read."""


def ros_pose(type_name: str, data: bytes) -> Pose:
    """Return the pose of a message.

    Raises:
        MapError: it is torn, or no message of that type.
    """
    return ROS_POSES[type_name](_Reader(data))
