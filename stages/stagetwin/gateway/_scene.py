"""The scene as somebody may see it: nodes, prims and models filtered by prim."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stagetwin.gateway import _wire as wire
from stagetwin.gateway._door import Door
from stagetwin.gateway._files import takes_gzip
from stagetwin.gateway._problems import no_content, problem
from stagetwin.gateway._store import may_see

__all__ = ["Scenes"]

Row = dict[str, Any]

PIECE = 2**18
"""Models leave in pieces, so that a slow client holds no more than one [B]."""

_VIEWS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _View:
    """What those see who may read below the same roots."""

    manifest: bytes
    packed: bytes
    models: frozenset[str]


class Scenes:
    """The newest scene, and its models by hash.

    Attributes:
        epoch: number of the scene, 0 before there is one.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._manifest: Row = {}
        self._models: dict[str, bytes] = {}
        self._before: frozenset[str] = frozenset()
        self._coming: dict[str, list[bytes]] = {}
        self._views: OrderedDict[tuple[str, ...], _View] = OrderedDict()
        self.epoch = 0

    # -- what the service sends

    def take_part(self, part: wire.GlbPart) -> None:
        """Take a piece of a model."""
        pieces = self._coming.setdefault(part.hash, [])
        pieces.append(part.data)
        if part.last:
            self._models[part.hash] = b"".join(self._coming.pop(part.hash))

    def take(self, scene: wire.Scene) -> None:
        """Take another scene; models of the one before stay until the next, for who still loads."""
        used = models_of(scene.manifest)
        self._models = {h: d for h, d in self._models.items() if h in used | self._before}
        self._before = used
        self._manifest, self.epoch = scene.manifest, scene.epoch
        self._views.clear()

    # -- what clients fetch

    async def manifest(self, request: Request) -> Response:
        """Serve the manifest as the asking person may see it."""
        visitor = self._door.visitor(request.headers)
        if visitor is None:
            return problem(401, "log in first, or show a token")
        if not self.epoch:
            return problem(503, "the scene is being read; try again", {"Retry-After": "1"})
        view = self._view(self._door.access.readable(visitor.who))
        headers = {"Vary": "Accept-Encoding"}
        if not takes_gzip(request):
            return Response(view.manifest, 200, headers, "application/json")
        headers["Content-Encoding"] = "gzip"
        return Response(view.packed, 200, headers, "application/json")

    async def model(self, request: Request) -> Response:
        """Serve one model to whoever may see a place where it stands."""
        visitor = self._door.visitor(request.headers)
        if visitor is None:
            return problem(401, "log in first, or show a token")
        name = request.path_params["name"]
        view = self._view(self._door.access.readable(visitor.who))
        data = self._models.get(name)
        if data is None or name not in view.models:
            # The same words for both: a hash that was guessed must not be told apart.
            return problem(404, f"there is no model {name:.80} here")
        headers = {"Cache-Control": "private, max-age=31536000, immutable", "ETag": f'"{name}"'}
        if f'"{name}"' in request.headers.get("if-none-match", ""):
            response = no_content(headers)
            response.status_code = 304
            return response
        headers["Content-Length"] = str(len(data))
        return StreamingResponse(_pieces(data), 200, headers, "model/gltf-binary")

    def _view(self, roots: tuple[str, ...]) -> _View:
        found = self._views.get(roots)
        if found is None:
            manifest = visible_manifest(self._manifest, roots)
            data = msgspec.json.encode(manifest)
            found = _View(data, gzip.compress(data, 5), models_of(manifest))
            self._views[roots] = found
            if len(self._views) > _VIEWS_KEPT:
                self._views.popitem(last=False)
        self._views.move_to_end(roots)
        return found


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), PIECE):
        yield data[start : start + PIECE]


def models_of(manifest: Row) -> frozenset[str]:
    """Return the hashes of the models that a manifest names."""
    found = {str(node["glb"]) for node in manifest.get("nodes", ()) if node.get("glb")}
    for instancer in manifest.get("instancers", ()):
        for pieces in instancer.get("prototypes", ()):
            found |= {str(piece["glb"]) for piece in pieces if piece.get("glb")}
    return frozenset(found)


def visible_manifest(manifest: Row, roots: tuple[str, ...]) -> Row:
    """Return what of a manifest somebody may see who may read below some roots.

    Ancestors of what may be seen stay as bare places: without them it would stand elsewhere.
    """
    if "/" in roots or not manifest:
        return manifest
    nodes, places = _nodes(manifest.get("nodes", ()), roots)
    instancers = [
        {**row, "node": places[row["node"]]}
        for row in manifest.get("instancers", ())
        if may_see(roots, row["path"]) and row["node"] in places
    ]
    prims = []
    for row in manifest.get("prims", ()):
        if may_see(roots, row["path"]):
            prims.append(row)
        elif _leads_to(row["path"], roots):
            prims.append({**row, "label": "", "asset": False, "kind": ""})
    return {
        **{key: value for key, value in manifest.items() if not isinstance(value, list)},
        "stage": {**manifest.get("stage", {}), "bounds": None},
        "nodes": nodes,
        "instancers": instancers,
        "prims": prims,
        **{
            key: [row for row in manifest.get(key, ()) if may_see(roots, row["path"])]
            for key in ("movers", "cameras", "problems")
        },
    }


def _nodes(rows: Iterable[Row], roots: tuple[str, ...]) -> tuple[list[Row], dict[int, int]]:
    """Return the nodes that stay, and the place of each by its place before."""
    nodes: list[Row] = []
    places = {-1: -1}
    for place, row in enumerate(rows):
        seen = may_see(roots, row["path"])
        if not seen and not _leads_to(row["path"], roots):
            continue
        if row["parent"] not in places:
            continue  # it hangs from what may not be seen, and cannot be placed
        places[place] = len(nodes)
        shown = row if seen else {**row, "glb": None, "kind": ""}
        nodes.append({**shown, "parent": places[row["parent"]]})
    return nodes, places


def _leads_to(path: str, roots: tuple[str, ...]) -> bool:
    """Tell whether a prim is above one of some roots."""
    return path == "/" or any(root.startswith(f"{path}/") for root in roots)
