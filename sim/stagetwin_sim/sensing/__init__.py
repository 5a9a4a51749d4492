"""Lidars and depth cameras among the bodies of a stage.

Importing it imports newton.
"""

from stagetwin_sim.sensing._fans import Fan, camera_fan, camera_fan_of, lidar_fan
from stagetwin_sim.sensing._rays import Rays, RaySensor, Scan, sensor_of

__all__ = [
    "Fan",
    "RaySensor",
    "Rays",
    "Scan",
    "camera_fan",
    "camera_fan_of",
    "lidar_fan",
    "sensor_of",
]
