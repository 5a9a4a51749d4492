"""BCF 3.0 archives as operations: each topic is created once, each comment appended once."""

from __future__ import annotations

import base64
import math
import re
import uuid
from collections.abc import Collection
from typing import Any
from xml.etree import ElementTree as Tree

from stagetwin._errors import ReviewError
from stagetwin.reviews._bcf_archive import Archive
from stagetwin.reviews._bcf_space import BcfSpace
from stagetwin.reviews._bcf_write import NAMESPACE
from stagetwin.reviews._operations import is_id, is_prim_path
from stagetwin.reviews._snapshots import check_png

__all__ = ["FoundTopic", "operations_of", "read_bcf"]

MAX_TOPICS = 1000
_PLAIN = re.compile(r"[\w. -]{1,120}", re.ASCII)
_STATUSES = {
    "open": "open",
    "active": "open",
    "in_progress": "in_progress",
    "in progress": "in_progress",
    "resolved": "resolved",
    "done": "resolved",
    "closed": "closed",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")

View = dict[str, Any]


class FoundTopic:
    """A topic of an archive.

    Attributes:
        id: of the topic.
        create: fields of the operation that creates it.
        status: as the archive has it, in our words.
        comments: fields of operations that add its comments, in the archive's order.
        problems: what of it cannot be taken.
    """

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.create: dict[str, Any] = {}
        self.status = "open"
        self.comments: list[dict[str, Any]] = []
        self.problems: list[str] = []


def read_bcf(data: bytes, space: BcfSpace) -> tuple[list[FoundTopic], list[str]]:
    """Return the topics of an archive, and what cannot be read of it.

    Raises:
        ReviewError: it is no BCF 3 archive, or too large.
    """
    archive = Archive(data)
    version = archive.xml("bcf.version").get("VersionId", "")
    if not version.startswith("3"):
        raise ReviewError(f"the archive is BCF {version!r:.20}, only 3.0 can be read")
    folders = sorted(
        name.partition("/")[0] for name in archive.names() if name.endswith("/markup.bcf")
    )
    if len(folders) > MAX_TOPICS:
        raise ReviewError(f"an archive has at most {MAX_TOPICS} topics, got {len(folders)}")
    topics: list[FoundTopic] = []
    problems: list[str] = []
    for folder in folders:
        try:
            topics.append(_topic(archive, folder, space))
            problems += topics[-1].problems
        except ReviewError as error:
            problems.append(f"{folder:.60}: {error}")
    return topics, problems


def operations_of(found: FoundTopic, known: Collection[str] | None) -> list[dict[str, Any]]:
    """Return the operations that bring a topic in.

    Args:
        found: the topic.
        known: ids of the comments that are there already; None where the topic is not.
    """
    made: list[dict[str, Any]] = []
    if known is None:
        made.append({"id": _derived(found.id, "create"), "kind": "create", **found.create})
    there = known or ()
    comments = [each for each in found.comments if each["id"] not in there]
    made += [{"kind": "comment", "topic": found.id, **each} for each in comments]
    if known is None and found.status != "open":
        identity = _derived(found.id, "status")
        status = {"kind": "status", "topic": found.id, "revision": 1, "status": found.status}
        made.append({"id": identity, **status})
    return made


def _derived(identity: str, what: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{identity}:{what}"))


def _topic(archive: Archive, folder: str, space: BcfSpace) -> FoundTopic:
    node = archive.xml(f"{folder}/markup.bcf").find("Topic")
    if node is None:
        raise ReviewError("its markup has no topic")
    found = FoundTopic(_guid(node))
    views = _Views(archive, folder, space, node, found.problems)
    status = (node.get("TopicStatus") or "open").strip().lower()
    found.status = _STATUSES.get(status, "open")
    if status not in _STATUSES:
        found.problems.append(f"{found.id}: status {status!r:.40} is none of ours, it stays open")
    author, date = _say(node, "CreationAuthor", 60), _say(node, "CreationDate", 40)
    origin = f"[BCF: {author or 'unknown'}, {date or 'no date'}]"
    description = _long(node, "Description", 7800)
    priority = _say(node, "Priority", 40).lower()
    known = ("low", "normal", "high", "critical")
    labels = [_line(label.text or "", 64) for label in node.iterfind("Labels/Label")][:20]
    found.create = {
        "topic": found.id,
        "title": _say(node, "Title", 200) or "(no title)",
        "description": f"{description}\n{origin}".strip(),
        "type": _line(node.get("TopicType") or "comment", 64),
        "priority": priority if priority in known else "normal",
        "assigned": _say(node, "AssignedTo", 64),
        "labels": labels,
        **views.first(),
    }
    for comment in node.iterfind("Comments/Comment"):
        try:
            found.comments.append(_comment(comment, views))
        except ReviewError as error:
            found.problems.append(f"{found.id}: {error}")
    return found


def _comment(node: Tree.Element, views: _Views) -> dict[str, Any]:
    author, date = _say(node, "Author", 60), _say(node, "Date", 40)
    text = _long(node, "Comment", 7800)
    fields: dict[str, Any] = {
        "id": _guid(node),
        "text": f"{text}\n[BCF: {author or 'unknown'}, {date or 'no date'}]".strip(),
    }
    reference = node.find("Viewpoint")
    if reference is not None and (view := views.camera(reference.get("Guid") or "")):
        fields["viewpoint"] = view
    return fields


class _Views:
    """Viewpoints of a topic's folder, by their ids."""

    def __init__(
        self,
        archive: Archive,
        folder: str,
        space: BcfSpace,
        node: Tree.Element,
        problems: list[str],
    ) -> None:
        self._space, self._problems = space, problems
        self._roots: dict[str, Tree.Element] = {}
        self._snapshot = ""
        rows = node.findall("Viewpoints/ViewPoint")
        for row in sorted(rows[:200], key=lambda each: _index(each)):
            try:
                if name := _file(row, "Viewpoint"):
                    root = archive.xml(f"{folder}/{name}")
                    self._roots[(row.get("Guid") or "").lower()] = root
                if not self._snapshot and (name := _file(row, "Snapshot")):
                    data = archive.read(f"{folder}/{name}")
                    check_png(data)
                    self._snapshot = base64.b64encode(data).decode()
            except ReviewError as error:
                problems.append(f"{folder:.60}: {error}")

    def first(self) -> dict[str, Any]:
        """Return what the first viewpoint says of a topic: view, anchors, planes, picture."""
        fields: dict[str, Any] = {}
        if self._snapshot:
            fields["snapshot"] = self._snapshot
        if not self._roots:
            return fields
        root = next(iter(self._roots.values()))
        paths: list[str] = []
        for component in root.iterfind("Components/Selection/Component"):
            path = (component.findtext("AuthoringToolId") or "").strip()
            if is_prim_path(path) and len(path) <= 1000:
                paths.append(path)
            else:
                self._problems.append(f"component {path!r:.80} is no prim path")
        fields["anchors"] = [{"prim": p, "point": None} for p in dict.fromkeys(paths)][:64]
        if view := self._camera(root):
            fields["viewpoint"] = view
        planes = [self._plane(plane) for plane in root.iterfind("ClippingPlanes/ClippingPlane")]
        fields["sections"] = [plane for plane in planes if plane][:16]
        return fields

    def camera(self, guid: str) -> View | None:
        """Return the camera of a viewpoint, or None."""
        root = self._roots.get(guid.lower())
        return self._camera(root) if root is not None else None

    def _plane(self, node: Tree.Element) -> dict[str, Any] | None:
        point, normal = _vector(node, "Location"), _vector(node, "Direction")
        if point is None or normal is None or not any(normal):
            return None
        return {
            "prim": "/",
            "point": list(self._space.stage_point(point)),
            "normal": list(self._space.stage_direction(normal)),
        }

    def _camera(self, root: Tree.Element) -> View | None:
        node = root.find("PerspectiveCamera")
        parallel = node is None
        if node is None:
            node = root.find("OrthogonalCamera")
        if node is None:
            return None
        eye, ahead = _vector(node, "CameraViewPoint"), _vector(node, "CameraDirection")
        up = _vector(node, "CameraUpVector")
        size = _number(node, "ViewToWorldScale" if parallel else "FieldOfView")
        if eye is None or ahead is None or up is None or size is None:
            self._problems.append("a camera is not complete, it was left out")
            return None
        if not any(ahead) or not any(up) or size <= 0 or (not parallel and not 0.1 < size < 179):
            self._problems.append("a camera looks nowhere, it was left out")
            return None
        position = self._space.stage_point(eye)
        look = self._space.stage_direction(ahead)
        # A metre ahead: BCF says where to, not how far.
        reach = 1.0 / self._space.meters / math.hypot(*look)
        view: View = {
            "position": list(position),
            "target": [p + reach * d for p, d in zip(position, look, strict=True)],
            "up": list(self._space.stage_direction(up)),
        }
        if parallel:
            view["orthographic"] = size / self._space.meters
        else:
            view["fov"] = size
        return view


def _guid(node: Tree.Element) -> str:
    guid = (node.get("Guid") or "").strip().lower()
    if not is_id(guid):
        raise ReviewError(f"a GUID must be a UUID, got {guid!r:.60}")
    return guid


def _file(row: Tree.Element, name: str) -> str:
    text = (row.findtext(name) or "").strip()
    if text and (not _PLAIN.fullmatch(text) or text.startswith(".")):
        raise ReviewError(f"a viewpoint names a file elsewhere: {text!r:.80}")
    return text


def _index(row: Tree.Element) -> int:
    text = (row.findtext("Index") or "").strip()
    return int(text) if re.fullmatch(r"\d{1,6}", text) else 10**6


def _number(node: Tree.Element, name: str) -> float | None:
    try:
        number = float(node.findtext(name) or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e12 else None


def _vector(node: Tree.Element, name: str) -> tuple[float, float, float] | None:
    inner = node.find(name)
    if inner is None:
        return None
    x, y, z = (_number(inner, axis) for axis in "XYZ")
    return (x, y, z) if x is not None and y is not None and z is not None else None


def _line(text: str, most: int) -> str:
    return _CONTROL.sub("", " ".join(text.split()))[:most]


def _say(node: Tree.Element, name: str, most: int) -> str:
    return _line(node.findtext(name) or "", most)


def _long(node: Tree.Element, name: str, most: int) -> str:
    text = (node.findtext(name) or "").replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", text)[:most]
