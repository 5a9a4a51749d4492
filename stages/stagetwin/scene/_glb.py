"""A GLB being written: accessors, materials, meshes and nodes, the same of each only once."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["GlbWriter", "compact", "content_hash"]

_HEADER = struct.Struct("<III")
_CHUNK = struct.Struct("<II")
_MAGIC = 0x46546C67
_JSON = 0x4E4F534A
_BIN = 0x004E4942

_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123}
_SHAPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_VERTICES = 34962
_INDICES = 34963

_GENERATOR = "stagetwin"


def content_hash(content: bytes) -> str:
    """Return the name of a content: 32 hexadecimal digits, the same in every process."""
    return hashlib.sha256(content).hexdigest()[:32]


def compact(value: Any) -> str:
    """Return JSON without spaces, in a fixed order of keys.

    Raises:
        ValueError: a number is not finite.
    """
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


class _Table:
    """Rows of one glTF array, as JSON; an equal row is taken again."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self._known: dict[str, int] = {}

    def add(self, row: Mapping[str, Any]) -> int:
        text = compact(row)
        index = self._known.get(text)
        if index is None:
            index = self._known[text] = len(self.rows)
            self.rows.append(text)
        return index


class GlbWriter:
    """Collects one model. Rows become JSON as they come, so that the end has little to do.

    Attributes:
        nodes: how many nodes there are.
    """

    def __init__(self) -> None:
        self._tables = {
            name: _Table() for name in ("accessors", "images", "materials", "meshes", "textures")
        }
        self._samplers = _Table()
        self._views: list[str] = []
        self._nodes: list[str] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._seen: dict[tuple[bytes, str], int] = {}
        self._used: set[str] = set()

    @property
    def nodes(self) -> int:
        return len(self._nodes)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw in it."""
        return not self._tables["meshes"].rows

    # -- data

    def _view(self, content: bytes, target: int | None) -> int:
        row: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": self._size,
            "byteLength": len(content),
        }
        if target is not None:
            row["target"] = target
        padding = -len(content) % 4
        self._parts.append(content + b"\0" * padding)
        self._size += len(content) + padding
        self._views.append(compact(row))
        return len(self._views) - 1

    def vertices(self, values: npt.NDArray[np.float32], *, bounds: bool = False) -> int:
        """Add a vertex attribute, shape (vertex_count, width); returns its accessor."""
        array = np.ascontiguousarray(values, np.float32)
        extra: dict[str, Any] = {}
        if bounds:
            extra = {
                "min": [float(x) for x in array.min(axis=0)],
                "max": [float(x) for x in array.max(axis=0)],
            }
        return self._accessor(array, array.shape[1], _VERTICES, extra)

    def indices(self, values: npt.NDArray[Any]) -> int:
        """Add vertex indices, shape (count,); returns their accessor."""
        small = values.max(initial=0) < 0xFFFF
        array = np.ascontiguousarray(values, np.uint16 if small else np.uint32)
        return self._accessor(array, 1, _INDICES, {})

    def _accessor(
        self, array: npt.NDArray[Any], width: int, target: int, extra: Mapping[str, Any]
    ) -> int:
        content = array.tobytes()
        key = (hashlib.sha256(content).digest(), f"{array.dtype}{width}{target}{bool(extra)}")
        known = self._seen.get(key)
        if known is not None:
            return known
        row = {
            "bufferView": self._view(content, target),
            "componentType": _COMPONENTS[array.dtype.name],
            "count": len(array),
            "type": _SHAPES[width],
            **extra,
        }
        index = self._seen[key] = self._tables["accessors"].add(row)
        return index

    # -- looks

    def texture(self, content: bytes, mime: str, wrap_s: int, wrap_t: int) -> int:
        """Add an image as a texture; returns the texture."""
        key = (hashlib.sha256(content).digest(), mime)
        view = self._seen.get(key)
        if view is None:
            view = self._seen[key] = self._view(content, None)
        image = self._tables["images"].add({"bufferView": view, "mimeType": mime})
        sampler = self._samplers.add(
            {"magFilter": 9729, "minFilter": 9987, "wrapS": wrap_s, "wrapT": wrap_t}
        )
        return self._tables["textures"].add({"sampler": sampler, "source": image})

    def material(self, row: Mapping[str, Any]) -> int:
        """Add a glTF material; returns its index."""
        self._used.update(row.get("extensions", {}))
        return self._tables["materials"].add(row)

    # -- shapes

    def mesh(self, primitives: Sequence[Mapping[str, Any]]) -> int:
        """Add a mesh of glTF primitives; returns its index."""
        return self._tables["meshes"].add({"primitives": list(primitives)})

    def node(self, row: Mapping[str, Any]) -> int:
        """Add a node, after its children; returns its index."""
        self._nodes.append(compact(row))
        return len(self._nodes) - 1

    # -- the end

    def finish(self, roots: Sequence[int], extras: Mapping[str, Any] | None = None) -> bytes:
        """Return the GLB."""
        fields = [f'"asset":{compact({"version": "2.0", "generator": _GENERATOR})}']
        if self._size:
            fields.append(f'"buffers":[{compact({"byteLength": self._size})}]')
        named = [(name, table.rows) for name, table in self._tables.items()]
        named += [("bufferViews", self._views), ("nodes", self._nodes)]
        named.append(("samplers", self._samplers.rows))
        for name, rows in sorted(named):
            if rows:
                fields.append(f'"{name}":[{",".join(rows)}]')
        if self._used:
            fields.append(f'"extensionsUsed":{compact(sorted(self._used))}')
        if extras:
            fields.append(f'"extras":{compact(extras)}')
        fields.append(f'"scene":0,"scenes":[{compact({"nodes": list(roots)})}]')
        text = ("{" + ",".join(fields) + "}").encode()
        text += b" " * (-len(text) % 4)
        chunks = [_CHUNK.pack(len(text), _JSON), text]
        if self._size:
            chunks += [_CHUNK.pack(self._size, _BIN), *self._parts]
        length = _HEADER.size + sum(map(len, chunks))
        return b"".join([_HEADER.pack(_MAGIC, 2, length), *chunks])
