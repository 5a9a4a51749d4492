"""Robots out of URDF and MJCF, as newton's builder has them."""

from __future__ import annotations

import bisect
import importlib
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import newton
import numpy as np
import warp as wp

from stagetwin_sim._errors import RobotError
from stagetwin_sim.robots._meshes import read_mesh
from stagetwin_sim.robots._turns import matrix_of

__all__ = ["Source", "read_source"]

_DENSITY = 1000.0
"""Of links without masses of their own [kg/m3], as UsdPhysics says."""


@dataclass(frozen=True)
class Source:
    """A robot as it was read.

    Attributes:
        name: of the robot.
        builder: newton's.
        notes: what of the file is not in it, and why.
    """

    name: str
    builder: Any
    notes: tuple[str, ...]


def read_source(
    path: Path, *, floating: bool | None = None, packages: Sequence[Path] = ()
) -> Source:
    """Read a robot.

    Args:
        path: URDF or MJCF file; its root element tells which.
        floating: whether its base moves freely; None is as the file says (MJCF) or fixed (URDF).
        packages: folders in which `package://` names are looked for, besides those around the file.

    Raises:
        RobotError: the file cannot be read, or is neither.
    """
    try:
        data = path.read_bytes()
        if b"<!ENTITY" in data:
            raise RobotError(f"{path}: declares entities, which no robot needs")
        root = ET.fromstring(data)  # noqa: S314 - without entities there is nothing to blow up
    except OSError as error:
        raise RobotError(f"{path}: {error.strerror}") from None
    except ET.ParseError as error:
        raise RobotError(f"{path}: is no XML: {error}") from None
    kind = root.tag.lower()
    if kind not in ("robot", "mujoco"):
        raise RobotError(
            f"{path}: a URDF begins with <robot>, an MJCF with <mujoco>, got <{root.tag}>"
        )
    builder: Any = newton.ModelBuilder()
    builder.default_shape_cfg.density = _DENSITY
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if kind == "robot":
                _urdf(builder, root, path, floating, packages, notes)
            else:
                _mjcf(builder, root, path, floating, notes)
        except RobotError:
            raise
        except Exception as error:
            # newton's readers raise whatever they meet; only the file helps who wrote it.
            raise RobotError(f"{path}: cannot be read: {_words_of(error)}") from error
    notes += [f"{path}: {warning.message}" for warning in caught]
    if not builder.body_count:
        raise RobotError(f"{path}: holds no link or body")
    _check_axes(builder, path)
    name = root.get("name") or root.get("model") or path.stem
    return Source(name, builder, tuple(dict.fromkeys(notes)))


def _words_of(error: Exception) -> str:
    """Return what a reader met, as whoever wrote the file understands it."""
    said = " ".join(str(error).split())
    if isinstance(error, KeyError):
        return f"it names {said}, which it does not have"
    if isinstance(error, (AttributeError, IndexError, TypeError)):
        return f"something that a robot needs is missing ({said})"
    return said or "its reader does not say why"


def _check_axes(builder: Any, path: Path) -> None:
    """Raise RobotError where a joint's axis is none; newton's readers take any numbers."""
    for number, axis in enumerate(builder.joint_axis):
        numbers = [float(value) for value in axis]
        if len(numbers) != 3 or not (np.isfinite(numbers).all() and np.any(numbers)):
            joint = bisect.bisect_right(list(builder.joint_qd_start), number) - 1
            raise RobotError(
                f"{path}: joint {builder.joint_label[joint]!r}: an axis has three numbers, not all "
                f"of them 0, got {numbers}"
            )


# -- URDF


@dataclass(frozen=True)
class _MeshShape:
    """A mesh that a URDF names, which newton would need another library for."""

    link: str
    file: str
    scale: tuple[float, float, float]
    xyz: tuple[float, float, float]
    rpy: tuple[float, float, float]
    collides: bool
    color: tuple[float, float, float] | None
    weighs: bool


def _urdf(
    builder: Any,
    root: ET.Element,
    path: Path,
    floating: bool | None,
    packages: Sequence[Path],
    notes: list[str],
) -> None:
    meshes = _take_meshes(root, path)
    for texture in root.iter("texture"):
        texture.attrib.pop("filename", None)  # nothing is fetched or read for a picture
    if root.find(".//transmission") is not None:
        notes.append(f"{path}: transmissions are not kept")
    builder.add_urdf(ET.tostring(root, encoding="unicode"), floating=floating)
    bodies = {label.rpartition("/")[2]: i for i, label in enumerate(builder.body_label)}
    for mesh in meshes:
        try:
            file = _resolved(mesh.file, path, packages)
            points, corners = read_mesh(file)
        except RobotError as error:
            what = "collision" if mesh.collides else "visual"
            notes.append(f"{path}: link {mesh.link!r}: its {what} mesh is left out: {error}")
            continue
        weight = builder.default_shape_cfg.density if mesh.weighs else 0.0
        _add_mesh(builder, bodies[mesh.link], mesh, points, corners, weight)


def _add_mesh(
    builder: Any, body: int, mesh: _MeshShape, points: Any, corners: Any, density: float
) -> None:
    config = builder.default_shape_cfg.copy()
    config.density = density
    config.has_shape_collision = config.has_particle_collision = mesh.collides
    config.is_visible = not mesh.collides
    turn = wp.quat_rpy(*mesh.rpy)
    builder.add_shape_mesh(
        body,
        xform=wp.transform(wp.vec3(*mesh.xyz), turn),
        mesh=newton.Mesh(points, corners.reshape(-1), compute_inertia=density > 0),
        scale=wp.vec3(*mesh.scale),
        cfg=config,
        color=mesh.color,
    )


def _take_meshes(root: ET.Element, path: Path) -> list[_MeshShape]:
    """Take the meshes out of a URDF, which are read here."""
    colors = {each.get("name"): _color(each) for each in root.findall("material")}
    found: list[_MeshShape] = []
    for link in root.findall("link"):
        name = link.get("name", "")
        weighs = link.find("inertial") is None
        for kind in ("visual", "collision"):
            for shape in link.findall(kind):
                mesh = shape.find("geometry/mesh")
                if mesh is None:
                    continue
                material = shape.find("material")
                color = None
                if material is not None:
                    color = _color(material) or colors.get(material.get("name"))
                origin = shape.find("origin")
                found.append(
                    _MeshShape(
                        name,
                        mesh.get("filename", ""),
                        _three(mesh.get("scale"), 1.0, path, name),
                        _three(None if origin is None else origin.get("xyz"), 0.0, path, name),
                        _three(None if origin is None else origin.get("rpy"), 0.0, path, name),
                        kind == "collision",
                        color,
                        weighs and kind == "collision",
                    )
                )
                link.remove(shape)
    return found


def _three(text: str | None, default: float, path: Path, link: str) -> tuple[float, float, float]:
    if text is None:
        return default, default, default
    try:
        a, b, c = (float(part) for part in text.split())
    except ValueError:
        raise RobotError(
            f"{path}: link {link!r}: three numbers are expected, got {text!r}"
        ) from None
    return a, b, c


def _color(material: ET.Element) -> tuple[float, float, float] | None:
    color = material.find("color")
    parts = (color.get("rgba") or "").split() if color is not None else []
    try:
        return (float(parts[0]), float(parts[1]), float(parts[2])) if len(parts) >= 3 else None
    except ValueError:
        return None


def _resolved(name: str, path: Path, packages: Sequence[Path]) -> Path:
    """Return the file that a URDF names; nothing is fetched from elsewhere."""
    scheme, found, rest = name.partition("://")
    if not found:
        places = [path.parent / name]
    elif scheme == "file":
        places = [Path(rest)]
    elif scheme in ("package", "model"):
        package, _, inner = rest.partition("/")
        around = [*path.resolve().parents]
        places = [folder / package / inner for folder in (*packages, *around)]
        # A package's own folder may be named as well, and need not be called so.
        places += [folder / inner for folder in packages]
    else:
        raise RobotError(f"{name} is not fetched; name a file, package:// or file://")
    for place in places:
        if place.is_file():
            return place
    raise RobotError(f"there is no file {name}; name the folder of its package")


# -- MJCF


def _mjcf(
    builder: Any, root: ET.Element, path: Path, floating: bool | None, notes: list[str]
) -> None:
    # An included file may hold some of either.
    inner = any(True for _ in root.iter("include"))
    meshes = inner or any(geom.get("mesh") is not None for geom in root.iter("geom"))
    forces = inner or root.find("actuator") is not None
    for tag in ("tendon", "sensor", "keyframe", "contact", "skin", "deformable"):
        if root.find(tag) is not None:
            notes.append(f"{path}: <{tag}> is not kept")
    builder.add_mjcf(
        str(path),
        floating=floating,
        parse_meshes=False,
        parse_sites=False,
        parse_mujoco_options=False,
        convert_mjc_equality_constraints=True,
    )
    if meshes or forces:
        # MuJoCo's module has no types of its own.
        mujoco: Any = importlib.import_module("mujoco")
        try:
            model = mujoco.MjModel.from_xml_path(str(path))
        except ValueError as error:
            said = " ".join(str(error).split()).removeprefix("Error: ")
            raise RobotError(f"{path}: MuJoCo cannot compile it: {said}") from None
        _mjcf_meshes(builder, mujoco, model, path, notes)
        _mjcf_forces(builder, mujoco, model)


def _mjcf_forces(builder: Any, mujoco: Any, model: Any) -> None:
    """Take over how much the actuators of joints can do."""
    named = {label.rpartition("/")[2]: j for j, label in enumerate(builder.joint_label)}
    for actuator in np.flatnonzero(model.actuator_forcelimited):
        joint = int(model.actuator_trnid[actuator, 0])
        if int(model.actuator_trntype[actuator]) != int(mujoco.mjtTrn.mjTRN_JOINT):
            continue
        j = named.get(model.joint(joint).name)
        if j is not None and sum(builder.joint_dof_dim[j]) == 1:
            most = np.abs(model.actuator_forcerange[actuator] * model.actuator_gear[actuator, 0])
            freedom = int(builder.joint_qd_start[j])
            before = float(builder.joint_effort_limit[freedom])
            builder.joint_effort_limit[freedom] = min(before, float(most.max()))


def _mjcf_meshes(builder: Any, mujoco: Any, model: Any, path: Path, notes: list[str]) -> None:
    """Add the geoms that are meshes, as MuJoCo's own compiler reads them."""
    bodies = {label.rpartition("/")[2]: i for i, label in enumerate(builder.body_label)}
    for geom in np.flatnonzero(model.geom_type == int(mujoco.mjtGeom.mjGEOM_MESH)):
        owner = int(model.geom_bodyid[geom])
        name = model.body(owner).name
        mesh = int(model.geom_dataid[geom])
        first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        start, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
        collides = bool(model.geom_contype[geom] or model.geom_conaffinity[geom])
        w, x, y, z = (float(v) for v in model.geom_quat[geom])
        config = builder.default_shape_cfg.copy()
        config.density = 0.0
        config.has_shape_collision = config.has_particle_collision = collides
        config.is_visible = True
        config.mu = float(model.geom_friction[geom][0])
        builder.add_shape_mesh(
            bodies.get(name, -1) if owner else -1,
            xform=wp.transform(wp.vec3(*map(float, model.geom_pos[geom])), wp.quat(x, y, z, w)),
            mesh=newton.Mesh(
                np.array(model.mesh_vert[first : first + count]),
                np.array(model.mesh_face[start : start + faces]).reshape(-1),
                compute_inertia=False,
            ),
            cfg=config,
            color=tuple(float(v) for v in model.geom_rgba[geom][:3]),
        )
        if owner and name in bodies:
            _weigh(builder, bodies[name], model, owner)
        elif owner:
            notes.append(f"{path}: the mesh of body {name!r} is left out: the body is not kept")


def _weigh(builder: Any, body: int, model: Any, owner: int) -> None:
    """Give a body the mass that MuJoCo's compiler made of its geoms, meshes among them."""
    w, x, y, z = (float(v) for v in model.body_iquat[owner])
    turn = matrix_of((x, y, z, w))
    inertia = turn @ np.diag(model.body_inertia[owner]) @ turn.T
    builder.body_mass[body] = float(model.body_mass[owner])
    builder.body_com[body] = wp.vec3(*map(float, model.body_ipos[owner]))
    builder.body_inertia[body] = wp.mat33(*inertia.reshape(-1).tolist())
