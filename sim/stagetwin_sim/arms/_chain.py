"""The joints from an arm's base to its tool, and where they bring it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pxr import Usd

from stagetwin_sim._errors import ArmError, BodiesError
from stagetwin_sim.bodies import BodyScene, Mount, read_mount
from stagetwin_sim.bodies._poses import matrices

__all__ = ["ArmChain", "read_chain", "read_tool"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ArmChain:
    """The joints from an arm's base to its tool.

    Attributes:
        joints: paths, from the base on.
        site: the tool.
        coordinates: newton's position of each joint's angle in one world, shape (n,).
        starts: angles as authored [rad], shape (n,).
        lower, upper: limits [rad], shape (n,).
        speeds: limits, infinite where there is none [rad/s], shape (n,).
        parents, children: frames of each joint in its parent and in its child, shape (n, 4, 4).
        axes: of each joint in its own frame, shape (n, 3).
        tool: of the site in the last body, shape (4, 4).
    """

    joints: tuple[str, ...]
    site: Mount
    coordinates: npt.NDArray[np.int32]
    starts: Floats
    lower: Floats
    upper: Floats
    speeds: Floats
    parents: Floats
    children: Floats
    axes: Floats
    tool: Floats

    def tools(self, angles: npt.ArrayLike) -> Floats:
        """Return where angles bring the tool: matrices for row vectors, shape (n, 4, 4).

        Args:
            angles: of the joints [rad], shape (n, joints).
        """
        given = np.atleast_2d(np.asarray(angles, np.float64))
        placed: Floats = np.tile(np.eye(4), (len(given), 1, 1))
        for i in range(len(self.joints)):
            turned = _turns(self.axes[i], given[:, i])
            placed = np.linalg.inv(self.children[i]) @ turned @ self.parents[i] @ placed
        return np.asarray(self.tool @ placed, np.float64)


def read_tool(stage: Usd.Stage, scene: BodyScene, path: str) -> Mount:
    """Read the place on a body where it works: the mouth of a tool.

    Args:
        stage: as the scene was read from it.
        scene: with the body.
        path: of a prim on the body or below it.

    Raises:
        ArmError: there is no such prim, or no body holds it.
    """
    try:
        tool = read_mount(stage, scene, path)
    except BodiesError as error:
        raise ArmError(str(error), "arm_tool") from error
    if not tool.body:
        raise ArmError(f"{path}: a tool lies on a body below {scene.root}", "arm_tool")
    return tool


def read_chain(stage: Usd.Stage, scene: BodyScene, tool: str) -> ArmChain:
    """Read the joints between what stands still and a tool.

    Args:
        stage: as the scene was read from it.
        scene: with the arm.
        tool: path of the prim on its last body.

    Raises:
        ArmError: there is no such tool, or it is not on a chain of joints that turn.
    """
    site = read_tool(stage, scene, tool)
    builder = scene.builder
    into = {int(child): j for j, child in enumerate(builder.joint_child)}
    paths = {joint.index: path for path, joint in scene.joints.items()}
    found: list[int] = []
    body = scene.bodies[site.body]
    while body >= 0:
        joint = into.get(body)
        if joint is None or joint not in paths or scene.joints[paths[joint]].unit != "rad":
            raise ArmError(
                f"{tool}: {builder.body_label[body]} is not held by a joint that turns", "arm_chain"
            )
        found.insert(0, joint)
        body = int(builder.joint_parent[joint])
    joints = [scene.joints[paths[j]] for j in found]
    freedoms = [joint.freedom for joint in joints]
    speeds = np.array([builder.joint_velocity_limit[f] for f in freedoms], np.float64)
    return ArmChain(
        joints=tuple(paths[j] for j in found),
        site=site,
        coordinates=np.array([joint.coordinate for joint in joints], np.int32),
        starts=np.array([builder.joint_q[joint.coordinate] for joint in joints], np.float64),
        lower=np.array([builder.joint_limit_lower[f] for f in freedoms], np.float64),
        upper=np.array([builder.joint_limit_upper[f] for f in freedoms], np.float64),
        speeds=np.where(speeds < _NO_LIMIT, speeds, np.inf),
        parents=matrices(np.array([list(builder.joint_X_p[j]) for j in found])),
        children=matrices(np.array([list(builder.joint_X_c[j]) for j in found])),
        axes=np.array([list(builder.joint_axis[f]) for f in freedoms], np.float64),
        tool=matrices(np.array([site.pose]))[0],
    )


_NO_LIMIT = 1e5
"""newton's own word for a speed without limit is beyond this."""


def _turns(axis: Floats, angles: Floats) -> Floats:
    """Return rotations about an axis as matrices for row vectors, shape (n, 4, 4).

    Source: Rodrigues' formula, as in Lynch and Park, Modern Robotics, 2017, equation 3.51.
    """
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    sine, cosine = np.sin(angles)[:, None, None], np.cos(angles)[:, None, None]
    made: Floats = np.tile(np.eye(4), (len(angles), 1, 1))
    made[:, :3, :3] = np.eye(3) + sine * cross.T + (1 - cosine) * (cross @ cross).T
    return made
