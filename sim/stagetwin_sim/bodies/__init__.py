"""Rigid bodies of a stage: joints, drives, contacts, belts, by newton.

Importing it imports newton.
"""

from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._family import BODIES, BodiesFamily
from stagetwin_sim.bodies._mounts import Mount, read_mount
from stagetwin_sim.bodies._plan import SOLVERS, Belt, BodiesPlan, BodyHook, JointDrive
from stagetwin_sim.bodies._scene import BodyScene, Joint, read_scene
from stagetwin_sim.bodies._system import BodiesSystem, Place
from stagetwin_sim.bodies._touches import Touch

__all__ = [
    "BODIES",
    "SOLVERS",
    "Belt",
    "BodiesError",
    "BodiesFamily",
    "BodiesPlan",
    "BodiesSystem",
    "BodyHook",
    "BodyScene",
    "Joint",
    "JointDrive",
    "Mount",
    "Place",
    "Touch",
    "read_mount",
    "read_scene",
]
