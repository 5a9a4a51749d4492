"""Robots from URDF and MJCF files to a stage, with telemetry of their joints.

Importing it imports newton.
"""

from stagetwin_sim._errors import RobotError
from stagetwin_sim.robots._bindings import Telemetry
from stagetwin_sim.robots._source import Source, read_source
from stagetwin_sim.robots._write import ImportedRobot, import_robot, joint_rows

__all__ = [
    "ImportedRobot",
    "RobotError",
    "Source",
    "Telemetry",
    "import_robot",
    "joint_rows",
    "read_source",
]
