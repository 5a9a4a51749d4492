"""A composed stage to GLB, against a plain recursive conversion without caching.

The stage is the example plant, with as many process lines as make about 20,000 prims, those inside
instances counted. `plain` visits every prim, instance by instance, makes its triangles, finds its
material and writes its arrays into one GLB; it takes shapes and materials by the same functions as
ours, and keeps nothing but each material. `ours` is `convert_stage`.

The figure is prims of the composed stage per CPU-second. Before it counts, both must have the same
triangles at every prim, at the same place. `whole` is the first conversion; in `switch` the reader
converts again after one variant was switched, where `plain` starts anew.

    python -m benchmarks.gltf [--lines N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pxr import Gf, Usd, UsdGeom, UsdShade

from benchmarks._report import Case, paired, report
from stagetwin._data import factory_folder
from stagetwin.opening import open_stage
from stagetwin.scene import Scene, SceneReader, convert_stage
from stagetwin.scene._export import read_glb
from stagetwin.scene._glb import GlbWriter
from stagetwin.scene._gprims import GPRIMS, gprim_geometry
from stagetwin.scene._materials import Looks
from stagetwin.scene._mesh import mesh_geometry
from stagetwin.scene._mesh_source import read_mesh
from stagetwin.scene._places import matrix_rows
from stagetwin.scene._shape import Geometry
from stagetwin.scene._values import Values, reading_time

Table = npt.NDArray[np.float64]
Found = dict[str, tuple[int, Table]]
"""Triangles of each prim, and their bounds in the world."""


class Plain:
    """One recursive conversion: every prim by itself.

    Attributes:
        prims: how many were visited.
        found: triangles and bounds by path, where `check` asks for them.
    """

    def __init__(self, stage: Usd.Stage, check: bool = False) -> None:
        self._stage = stage
        self._check = check
        self._values = Values(reading_time(stage))
        self._materials = GlbWriter()
        self._looks = Looks(self._values, self._materials)
        self._data: list[bytes] = []
        self._size = 0
        self._rows: dict[str, list[Any]] = {
            name: [] for name in ("bufferViews", "accessors", "meshes", "nodes", "materials")
        }
        self.prims = 0
        self.found: Found = {}

    def convert(self) -> bytes:
        """Return the GLB."""
        nodes = [
            self._prim(prim, Gf.Matrix4d(1)) for prim in self._stage.GetPseudoRoot().GetChildren()
        ]
        document = {
            "asset": {"version": "2.0"},
            "buffers": [{"byteLength": self._size}],
            "scene": 0,
            "scenes": [{"nodes": nodes}],
            **self._rows,
        }
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        data = b"".join(self._data)
        head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(data), len(text), 0x4E4F534A)
        return b"".join([head, text, struct.pack("<II", len(data), 0x004E4942), data])

    def _prim(self, prim: Usd.Prim, above: Gf.Matrix4d, suffix: str = "") -> int:
        self.prims += 1
        local = self._values.local_matrix(prim)
        world = local * above
        path = f"{prim.GetPath()}{suffix}"
        node: dict[str, Any] = {
            "name": prim.GetName(),
            "extras": {"usdPath": path},
            "matrix": matrix_rows(local),
        }
        visibility = prim.GetAttribute("visibility")
        if visibility and visibility.Get() == UsdGeom.Tokens.invisible:
            node["extras"]["hidden"] = True
        geometry = self._geometry(prim)
        if geometry is not None:
            node["mesh"] = self._mesh(prim, geometry)
            if self._check:
                self._note(path, geometry.positions, geometry, world)
        children = []
        if prim.GetTypeName() == "PointInstancer":
            children = self._instances(prim, world)
        else:
            for child in prim.GetFilteredChildren(Usd.TraverseInstanceProxies()):
                if child.GetTypeName() not in ("Material", "Shader", "GeomSubset"):
                    children.append(self._prim(child, world, suffix))
        if children:
            node["children"] = children
        self._rows["nodes"].append(node)
        return len(self._rows["nodes"]) - 1

    def _instances(self, prim: Usd.Prim, world: Gf.Matrix4d) -> list[int]:
        instancer = UsdGeom.PointInstancer(prim)
        time_code = self._values.time
        matrices = instancer.ComputeInstanceTransformsAtTime(
            time_code, time_code, UsdGeom.PointInstancer.ExcludeProtoXform
        )
        targets = instancer.GetPrototypesRel().GetForwardedTargets()
        found = []
        indices = instancer.GetProtoIndicesAttr().Get(time_code)
        for number, (matrix, index) in enumerate(zip(matrices, indices, strict=True)):
            prototype = self._stage.GetPrimAtPath(targets[index])
            found.append(self._prim(prototype, matrix * world, f"[{number}]"))
        return found

    def _geometry(self, prim: Usd.Prim) -> Geometry | None:
        kind = prim.GetTypeName()
        if kind in GPRIMS:
            return gprim_geometry(self._values, prim, {})[1]
        return mesh_geometry(read_mesh(self._values, prim)) if kind == "Mesh" else None

    def _accessor(self, table: npt.NDArray[Any], kind: str, code: int) -> int:
        content = table.tobytes()
        content += b"\0" * (-len(content) % 4)
        self._rows["bufferViews"].append(
            {"buffer": 0, "byteOffset": self._size, "byteLength": len(content)}
        )
        row = {
            "bufferView": len(self._rows["bufferViews"]) - 1,
            "componentType": code,
            "count": len(table),
            "type": kind,
        }
        if kind == "VEC3":
            row["min"], row["max"] = table.min(axis=0).tolist(), table.max(axis=0).tolist()
        self._rows["accessors"].append(row)
        self._data.append(content)
        self._size += len(content)
        return len(self._rows["accessors"]) - 1

    def _mesh(self, prim: Usd.Prim, geometry: Geometry) -> int:
        material = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
        look = self._looks.of(material.GetPrim() if material else None)
        self._rows["materials"].append(look.row)
        attributes = {"POSITION": self._accessor(geometry.positions, "VEC3", 5126)}
        if geometry.normals is not None:
            attributes["NORMAL"] = self._accessor(geometry.normals, "VEC3", 5126)
        primitives = [
            {
                "attributes": attributes,
                "indices": self._accessor(part.indices.astype(np.uint32), "SCALAR", 5125),
                "material": len(self._rows["materials"]) - 1,
            }
            for part in geometry.parts
        ]
        self._rows["meshes"].append({"primitives": primitives})
        return len(self._rows["meshes"]) - 1

    def _note(
        self, path: str, positions: npt.NDArray[Any], geometry: Geometry, world: Gf.Matrix4d
    ) -> None:
        triangles = sum(len(part.indices) for part in geometry.parts) // 3
        self.found[path] = (triangles, bounds(positions, np.array(world)))


def bounds(positions: npt.NDArray[Any], world: Table) -> Table:
    """Return the bounds of points in the world, shape (2, 3)."""
    points = np.c_[positions.astype(np.float64), np.ones(len(positions))] @ world
    return np.stack([points[:, :3].min(axis=0), points[:, :3].max(axis=0)])


# -- what ours has drawn, put together as a viewer would


def matrix_of(node: dict[str, Any]) -> Table:
    """Return the matrix of a node of the plant, where nothing is sheared or flat."""
    if "matrix" in node:
        return np.array(node["matrix"]).reshape(4, 4)
    assert not node.keys() & {"rotation", "scale"}, node
    matrix = np.eye(4)
    matrix[3, :3] = node.get("translation", (0, 0, 0))
    return matrix


class Drawn:
    """Triangles of a scene by prim."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._glbs = {name: read_glb(content) for name, content in scene.glbs.items()}
        self.found: Found = {}
        places: list[Table] = []
        for node in scene.manifest["nodes"]:
            assert not node["under"], "the plant's instancers are outside of models"
            above = np.eye(4) if node["parent"] < 0 else places[node["parent"]]
            places.append(np.array(node["matrix"]).reshape(4, 4) @ above)
            if node["glb"]:
                self._model(node["glb"], places[-1], node["path"], "")
        for row in scene.manifest["instancers"]:
            self._instances(row, places[row["node"]])

    def _instances(self, row: dict[str, Any], world: Table) -> None:
        turns = row["orientations"] or [0, 0, 0, 1] * len(row["indices"])
        assert not row["scales"]
        for number, index in enumerate(row["indices"]):
            x, y, z, w = turns[4 * number : 4 * number + 4]
            matrix = Gf.Matrix4d(1)
            matrix.SetRotate(Gf.Quatd(w, x, y, z))
            matrix.SetTranslateOnly(Gf.Vec3d(*row["positions"][3 * number : 3 * number + 3]))
            for piece in row["prototypes"][index]:
                place = np.array(piece["matrix"]).reshape(4, 4) @ np.array(matrix) @ world
                self._model(piece["glb"], place, f"{row['path']}:{index}", f"[{number}]")

    def _model(self, name: str, place: Table, root: str, suffix: str) -> None:
        document, data = self._glbs[name]

        def visit(index: int, above: Table, path: str) -> None:
            node = document["nodes"][index]
            short = node.get("extras", {}).get("usdPath")
            if short is not None:
                path = f"{root}/{short}" if short else root
            world = matrix_of(node) @ above
            if "mesh" in node:
                self._shape(document, data, node["mesh"], f"{path}{suffix}", world)
            for child in node.get("children", ()):
                visit(child, world, path)

        visit(document["scenes"][0]["nodes"][0], place, root)

    def _shape(
        self, document: dict[str, Any], data: bytes, mesh: int, path: str, world: Table
    ) -> None:
        count = 0
        points: npt.NDArray[Any] = np.zeros((0, 3))
        for row in document["meshes"][mesh]["primitives"]:
            count += document["accessors"][row["indices"]]["count"] // 3
            accessor = document["accessors"][row["attributes"]["POSITION"]]
            start = document["bufferViews"][accessor["bufferView"]]["byteOffset"]
            stop = start + 12 * accessor["count"]
            points = np.frombuffer(data[start:stop], np.float32).reshape(-1, 3)
        self.found[path] = (count, bounds(points, world))


def check(stage: Usd.Stage, scene: Scene) -> int:
    """Compare both; returns the number of prims that `plain` visited."""
    plain = Plain(stage, check=True)
    plain.convert()
    ours = Drawn(scene).found
    targets = {}
    for row in scene.manifest["instancers"]:
        rel = UsdGeom.PointInstancer(stage.GetPrimAtPath(row["path"])).GetPrototypesRel()
        for index, target in enumerate(rel.GetForwardedTargets()):
            targets[f"{row['path']}:{index}"] = str(target)
    named = {}
    for path, what in ours.items():
        for short, prototype in targets.items():
            if path.startswith((f"{short}/", f"{short}[")):
                named[prototype + path[len(short) :]] = what
                break
        else:
            named[path] = what
    assert named.keys() == plain.found.keys(), named.keys() ^ plain.found.keys()
    for path, (count, box) in plain.found.items():
        triangles, here = named[path]
        assert triangles == count, f"{path}: {triangles} triangles, plain has {count}"
        assert np.allclose(here, box, atol=1e-3), f"{path} is at {here}, plain has it at {box}"
    total = sum(count for count, _ in plain.found.values())
    print(f"{plain.prims:,} prims, {total:,} triangles, the same in both")
    size, models = sum(map(len, scene.glbs.values())), len(scene.glbs)
    print(f"ours {size / 1e6:.1f} MB in {models} models, manifest apart")
    return plain.prims


def switches(stage: Usd.Stage) -> Iterator[None]:
    """Switch one pump's variant, to and fro."""
    pump = stage.GetPrimAtPath("/World/Line1/P102").GetVariantSet("state")
    for name in cycle(pump.GetVariantNames()):
        if name != pump.GetVariantSelection():
            pump.SetVariantSelection(name)
            yield


def measure(stage: Usd.Stage, rounds: int) -> list[Case]:
    """Return both cases."""
    prims = check(stage, convert_stage(stage))

    def ours() -> float:
        started = time.process_time()
        convert_stage(stage)
        return prims / (time.process_time() - started)

    def plain() -> float:
        started = time.process_time()
        Plain(stage).convert()
        return prims / (time.process_time() - started)

    whole = paired(rounds, ours, plain)
    reader = SceneReader(stage)
    while reader.busy:
        reader.advance()
    switch = switches(stage)
    longest = 0.0

    def again() -> float:
        nonlocal longest
        before = reader.scene
        next(switch)
        started = time.process_time()
        while reader.busy:
            slice_started = time.perf_counter()
            reader.advance(0.005)
            longest = max(longest, time.perf_counter() - slice_started)
        spent = time.process_time() - started
        assert before is not None
        assert reader.scene is not None
        assert len(reader.scene.glbs.keys() - before.glbs.keys()) <= 1
        assert reader.scene.epoch == before.epoch + 1
        return prims / spent

    def anew() -> float:
        next(switch)
        return plain()

    second = paired(rounds, again, anew)
    print(f"longest slice of a reading after a switch {longest * 1e3:.1f} ms, 5 ms were asked for")
    reader.close()
    return [
        Case("whole", whole[0], {"plain": whole[1]}),
        Case("switch", second[0], {"plain": second[1]}),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--lines", type=int, default=8, help="process lines of the plant")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contender")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        script = factory_folder() / "make_factory.py"
        subprocess.run(
            [sys.executable, str(script), "--lines", str(options.lines), "--out", folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        cases = measure(open_stage(Path(folder) / "factory.usda"), options.rounds)
    report("gltf", "prims per CPU-second", False, cases)


if __name__ == "__main__":
    main()
