"""A stage with one of everything that a scene can show, and a reader of GLB of its own."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Usd

from stagetwin.scene import Scene

VALIDATOR = Path(__file__).parent / "validator"
ZOO = Path(__file__).parent / "zoo_stage"

Table = npt.NDArray[np.float64]


def png(width: int = 2, height: int = 2) -> bytes:
    """Return a small picture in red."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def write_zoo(folder: Path) -> Path:
    """Copy the zoo's files; returns the root layer's path."""
    shutil.copytree(ZOO, folder, dirs_exist_ok=True)
    (folder / "red.png").write_bytes(png())
    return folder / "zoo.usda"


def stage_of(text: str) -> Usd.Stage:
    """Return a stage of a layer in memory, Z up, with its default prim named World.

    Args:
        text: USD text; a brace or semicolon will do where USD wants a line's end.
    """
    text = re.sub(r"([{};])", r"\n\1\n", text).replace(";", "")
    layer = Sdf.Layer.CreateAnonymous("test.usda")
    layer.ImportFromString('#usda 1.0\n(\n defaultPrim = "World"\n upAxis = "Z"\n)\n' + text)
    return Usd.Stage.Open(layer)


# -- reading what was made, by nothing of the package


@dataclass
class Drawn:
    """A shape found in a scene.

    Attributes:
        path: of the prim.
        positions: in the prim's space, shape (vertex_count, 3).
        world: its matrix, row vectors.
        primitives: glTF primitives.
        document, data: the GLB that it is in.
        extras: of its node, or the nearest one above with a path.
    """

    path: str
    positions: Table
    world: Table
    primitives: list[dict[str, Any]]
    document: dict[str, Any]
    data: bytes
    extras: dict[str, Any]

    def array(self, accessor: int) -> npt.NDArray[Any]:
        """Return an accessor's values."""
        row = self.document["accessors"][accessor]
        view = self.document["bufferViews"][row["bufferView"]]
        kind = {5126: np.float32, 5125: np.uint32, 5123: np.uint16}[row["componentType"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[row["type"]]
        start = view["byteOffset"]
        table = np.frombuffer(self.data[start : start + view["byteLength"]], kind)
        return table[: row["count"] * width].reshape(row["count"], width)

    def attribute(self, name: str, primitive: int = 0) -> npt.NDArray[Any]:
        """Return a vertex attribute."""
        return self.array(self.primitives[primitive]["attributes"][name])

    def triangles(self) -> Table:
        """Return corners in the prim's space, shape (triangle_count, 3, 3)."""
        found = [
            self.positions[self.array(row["indices"]).reshape(-1, 3)] for row in self.primitives
        ]
        return np.concatenate(found)

    def material(self, primitive: int = 0) -> dict[str, Any]:
        """Return a primitive's material."""
        found: dict[str, Any] = self.document["materials"][self.primitives[primitive]["material"]]
        return found


def parse(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON and the binary part of a GLB."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def matrix_of(node: Mapping[str, Any]) -> Table:
    """Return a glTF node's matrix, of row vectors."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
            [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
            [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(node.get("scale", (1, 1, 1))) @ rotation
    matrix[3, :3] = node.get("translation", (0, 0, 0))
    return matrix


def drawn_in(content: bytes, place: Table, root: str) -> Iterator[Drawn]:
    """Find the shapes of one GLB.

    Args:
        place: matrix of its root.
        root: path of its root.
    """
    document, data = parse(content)

    def visit(index: int, above: Table, path: str, own: Table, extras: Any) -> Iterator[Drawn]:
        node = document["nodes"][index]
        here = node.get("extras", {})
        local = matrix_of(node)
        if "usdPath" in here:
            path = f"{root}/{here['usdPath']}" if here["usdPath"] else root
            prim, inner, extras = local @ above, np.eye(4), here
        elif extras and "translation" in node and "mesh" in node:
            prim, inner = above, local @ own  # vertices that were moved to their origin
        else:
            prim, inner = local @ above, np.eye(4)  # the other half of a sheared transform
        if "mesh" in node:
            primitives = document["meshes"][node["mesh"]]["primitives"]
            shape = Drawn(path, np.zeros((0, 3)), prim, primitives, document, data, extras)
            raw = shape.attribute("POSITION").astype(np.float64)
            shape.positions = (np.c_[raw, np.ones(len(raw))] @ inner)[:, :3]
            yield shape
        for child in node.get("children", ()):
            yield from visit(child, prim, path, inner, extras)

    for node in document["scenes"][0]["nodes"]:
        yield from visit(node, place, root, np.eye(4), {})


def places(scene: Scene) -> list[Table]:
    """Return the world matrices of a manifest's nodes."""
    found: list[Table] = []
    nodes = scene.manifest["nodes"]
    for node in nodes:
        above = np.eye(4) if node["parent"] < 0 else found[node["parent"]]
        if node["under"]:
            parent = nodes[node["parent"]]
            above = inside(scene, parent["glb"], node["under"]) @ above
        found.append(np.array(node["matrix"]).reshape(4, 4) @ above)
    return found


def inside(scene: Scene, glb: str, path: str) -> Table:
    """Return the matrix of a prim relative to its model's root."""
    document, _ = parse(scene.glbs[glb])

    def visit(index: int, above: Table) -> Iterator[Table]:
        node = document["nodes"][index]
        here = matrix_of(node) @ above
        if node.get("extras", {}).get("usdPath") == path:
            yield here
        for child in node.get("children", ()):
            yield from visit(child, here)

    (found,) = visit(document["scenes"][0]["nodes"][0], np.eye(4))
    return found


def drawn(scene: Scene) -> dict[str, Drawn]:
    """Return the shapes of a scene by path, instances of instancers left out."""
    found: dict[str, Drawn] = {}
    for node, place in zip(scene.manifest["nodes"], places(scene), strict=True):
        if node["glb"]:
            for shape in drawn_in(scene.glbs[node["glb"]], place, node["path"]):
                assert shape.path not in found, f"{shape.path} is drawn twice"
                found[shape.path] = shape
    return found


def corners(low: Any, high: Any, matrix: Table) -> Table:
    """Return the world bounds of a box: shape (2, 3)."""
    box = np.array([low, high], np.float64)
    points = np.array(
        [[box[i, 0], box[j, 1], box[k, 2], 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    )
    world = (points @ matrix)[:, :3]
    return np.stack([world.min(axis=0), world.max(axis=0)])


def hashes(scene: Scene) -> dict[str, str | None]:
    """Return the GLB of each node by path."""
    return {node["path"]: node["glb"] for node in scene.manifest["nodes"]}


def validate(contents: Mapping[str, bytes], folder: Path) -> list[dict[str, Any]]:
    """Return the Khronos validator's reports."""
    paths = []
    for name, content in contents.items():
        path = folder / f"{name}.glb"
        path.write_bytes(content)
        paths.append(str(path))
    done = subprocess.run(
        ["node", "validate.js"],
        cwd=VALIDATOR,
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]
