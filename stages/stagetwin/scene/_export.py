"""A whole scene as one GLB, for programs that know nothing of a manifest."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf

from stagetwin.scene._glb import GlbWriter
from stagetwin.scene._instancers import Instances
from stagetwin.scene._model import DRAWN
from stagetwin.scene._places import place_rows
from stagetwin.scene._scene import Scene

__all__ = ["export_glb", "read_glb"]

_LENGTHS = struct.Struct("<I")


def read_glb(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON object and the binary chunk of a GLB."""
    (length,) = _LENGTHS.unpack_from(content, 12)
    document: dict[str, Any] = json.loads(content[20 : 20 + length])
    return document, content[28 + length :]


def export_glb(scene: Scene) -> bytes:
    """Return one GLB of a scene: Y up, in metres, instances expanded.

    What is not drawn (invisible, or of purpose `proxy` or `guide`) is left out.
    """
    return _Export(scene).glb()


class _Part:
    """One GLB of the scene, taken into the whole.

    Attributes:
        nodes: its nodes, with meshes as the whole counts them.
        root: its root node.
    """

    def __init__(self, writer: GlbWriter, content: bytes) -> None:
        document, data = read_glb(content)
        self._views = document.get("bufferViews", [])
        self._data = data
        textures = [self._texture(writer, document, row) for row in document.get("textures", [])]
        materials = [
            writer.material(_moved(row, textures)) for row in document.get("materials", [])
        ]
        accessors = [self._accessor(writer, row) for row in document.get("accessors", [])]
        meshes = [
            writer.mesh([_primitive(each, accessors, materials) for each in row["primitives"]])
            for row in document.get("meshes", [])
        ]
        self.nodes: list[dict[str, Any]] = document.get("nodes", [])
        for node in self.nodes:
            if "mesh" in node:
                node["mesh"] = meshes[node["mesh"]]
        self.root: int = document["scenes"][0]["nodes"][0]

    def _bytes(self, view: int) -> bytes:
        row = self._views[view]
        start = row.get("byteOffset", 0)
        return self._data[start : start + row["byteLength"]]

    def _accessor(self, writer: GlbWriter, row: Mapping[str, Any]) -> int:
        kinds = {5126: np.float32, 5125: np.uint32, 5123: np.uint16}
        content = self._bytes(row["bufferView"])
        table: npt.NDArray[Any] = np.frombuffer(content, kinds[row["componentType"]])
        if row["type"] == "SCALAR":
            return writer.indices(table)
        width = {"VEC2": 2, "VEC3": 3, "VEC4": 4}[row["type"]]
        return writer.vertices(table.reshape(-1, width), bounds="min" in row)

    def _texture(
        self, writer: GlbWriter, document: Mapping[str, Any], row: Mapping[str, Any]
    ) -> int:
        image = document["images"][row["source"]]
        sampler = document["samplers"][row["sampler"]]
        content = self._bytes(image["bufferView"])
        return writer.texture(content, image["mimeType"], sampler["wrapS"], sampler["wrapT"])


def _moved(row: Any, textures: Sequence[int], texture: bool = False) -> Any:
    """Return a material whose textures are counted as the whole counts them."""
    if not isinstance(row, dict):
        return row
    return {
        key: textures[value]
        if texture and key == "index"
        else _moved(value, textures, key.endswith("Texture"))
        for key, value in row.items()
    }


def _primitive(
    row: Mapping[str, Any], accessors: Sequence[int], materials: Sequence[int]
) -> dict[str, Any]:
    moved = dict(row)
    moved["attributes"] = {name: accessors[index] for name, index in row["attributes"].items()}
    moved["material"] = materials[row["material"]]
    if "indices" in row:
        moved["indices"] = accessors[row["indices"]]
    return moved


class _Export:
    """One scene being put together."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._manifest = scene.manifest
        self._writer = GlbWriter()
        self._parts: dict[str, _Part] = {}
        self._poses = {row["path"]: row["matrix"] for row in self._manifest["movers"]}
        self._children: dict[tuple[int, str], list[int]] = {}
        for position, node in enumerate(self._manifest["nodes"]):
            self._children.setdefault((node["parent"], node["under"]), []).append(position)
        self._instancers = {row["node"]: row for row in self._manifest["instancers"]}

    def glb(self) -> bytes:
        """Return the whole."""
        roots = [
            index for position in self._children.get((-1, ""), []) for index in self._node(position)
        ]
        stage = self._manifest["stage"]
        turn = Gf.Matrix4d(1)
        if stage["up"] == "Z":
            turn.SetRotate(Gf.Rotation(Gf.Vec3d(1, 0, 0), -90.0))
        unit = Gf.Matrix4d().SetScale(stage["metersPerUnit"])
        top = self._hang({"name": stage["name"] or "stage"}, unit * turn, roots)
        return self._writer.finish([top])

    def _hang(self, row: dict[str, Any], matrix: Gf.Matrix4d, children: list[int]) -> int:
        """Add a node with children at a place, which may be sheared."""
        outer, *inner = place_rows(matrix)
        for place in inner:
            children = [self._writer.node({**place, "children": children})] if children else []
        if children:
            row["children"] = children
        return self._writer.node({**row, **outer})

    def _node(self, position: int) -> list[int]:
        node = self._manifest["nodes"][position]
        if not node["visible"]:
            return []
        children = [
            index for child in self._children.get((position, ""), []) for index in self._node(child)
        ]
        if node["glb"]:
            children += self._copied(self._part(node["glb"]), position, node["path"])
        instancer = self._instancers.get(position)
        if instancer is not None and node["purpose"] in DRAWN:
            children += self._expanded(instancer)
        if not children:
            return []
        row = {"name": node["path"].rsplit("/", 1)[1], "extras": {"usdPath": node["path"]}}
        return [self._hang(row, Gf.Matrix4d(*node["matrix"]), children)]

    def _part(self, name: str) -> _Part:
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = _Part(self._writer, self._scene.glbs[name])
        return part

    def _copied(self, part: _Part, position: int, root: str) -> list[int]:
        """Return copies of a model's nodes, in the place of its root."""
        return self._inside(part, part.root, position, root)

    def _inside(self, part: _Part, index: int, position: int, root: str) -> list[int]:
        node = part.nodes[index]
        extras = dict(node.get("extras", {}))
        if extras.get("hidden"):
            return []
        children = [
            copy
            for child in node.get("children", [])
            for copy in self._inside(part, child, position, root)
        ]
        path = extras.get("usdPath")
        if path and position >= 0:
            for child in self._children.get((position, path), []):
                children += self._node(child)
        drawn = extras.pop("purpose", "default") in DRAWN
        taken = ("name", "translation", "rotation", "scale")
        row: dict[str, Any] = {key: node[key] for key in taken if key in node}
        if drawn and "mesh" in node:
            row["mesh"] = node["mesh"]
        if path:
            extras["usdPath"] = f"{root}/{path}"
            pose = self._poses.get(extras["usdPath"]) if position >= 0 else None
            if pose is not None:
                return [self._posed(row, extras, Gf.Matrix4d(*pose), children)]
        if "matrix" in node:
            row["matrix"] = node["matrix"]
        if not children and "mesh" not in row:
            return []
        if path:
            row["extras"] = extras
        if children:
            row["children"] = children
        return [self._writer.node(row)]

    def _posed(
        self, row: dict[str, Any], extras: dict[str, Any], pose: Gf.Matrix4d, children: list[int]
    ) -> int:
        if "mesh" in row:
            children = [self._writer.node({"mesh": row["mesh"]}), *children]
        return self._hang({"name": row.get("name", ""), "extras": extras}, pose, children)

    def _expanded(self, row: Mapping[str, Any]) -> list[int]:
        """Return a node for each instance."""
        instances = Instances(
            np.array(row["indices"], np.int64),
            np.array(row["positions"], np.float64).reshape(-1, 3),
            np.array(row["orientations"], np.float64).reshape(-1, 4),
            np.array(row["scales"], np.float64).reshape(-1, 3),
            np.array(row["ids"], np.int64),
            np.array(row["hidden"], np.int64),
        )
        hidden = set(row["hidden"])
        found = []
        for number, matrix in enumerate(instances.matrices()):
            if number in hidden:
                continue
            inside: list[int] = []
            for piece in row["prototypes"][row["indices"][number]]:
                copies = self._copied(self._part(piece["glb"]), -1, row["path"])
                if copies:
                    inside.append(self._hang({}, Gf.Matrix4d(*piece["matrix"]), copies))
            if inside:
                name = {"name": f"instance{number}"}
                found.append(self._hang(name, Gf.Matrix4d(matrix.tolist()), inside))
        return found
