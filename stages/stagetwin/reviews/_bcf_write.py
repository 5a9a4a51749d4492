"""Topics as a BCF 3.0 archive, which other tools of the building trade read.

Source: buildingSMART BCF-XML 3.0, Documentation/README.md and Schemas.
"""

from __future__ import annotations

import datetime
import io
import uuid
import zipfile
from collections.abc import Callable, Iterable
from xml.etree import ElementTree as Tree

from stagetwin.reviews._bcf_space import BcfSpace
from stagetwin.reviews._topic import Comment, Topic, Viewpoint

__all__ = ["NAMESPACE", "write_bcf"]

NAMESPACE = uuid.UUID("6f0f6a34-9d3b-5c1b-8a11-3c5a1d0c7b0e")
"""Of ids that follow from others: the same topic is written with the same ids each time."""

_ASPECT = 16 / 9
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bcf(topics: Iterable[Topic], space: BcfSpace, snapshot: Callable[[str], bytes]) -> bytes:
    """Return topics as a .bcfzip.

    Args:
        topics: which.
        space: of the stage.
        snapshot: returns the PNG of a topic by its id.
    """
    chosen = list(topics)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "bcf.version", _xml(Tree.Element("Version", VersionId="3.0")))
        _add(archive, "extensions.xml", _xml(_extensions(chosen)))
        for topic in chosen:
            _add_topic(archive, topic, space, snapshot)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # One time for all: the same topics make the same bytes.
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)


def _xml(element: Tree.Element) -> bytes:
    data: bytes = Tree.tostring(element, encoding="utf-8", xml_declaration=True)
    return data


def _text(parent: Tree.Element, name: str, text: object) -> None:
    Tree.SubElement(parent, name).text = str(text)


def _extensions(topics: list[Topic]) -> Tree.Element:
    root = Tree.Element("Extensions")
    users = {name for t in topics for name in (t.author, t.editor, t.assigned) if name}
    users |= {comment.author for topic in topics for comment in topic.comments}
    for group, item, words in (
        ("TopicTypes", "TopicType", {topic.type or "comment" for topic in topics}),
        ("TopicStatuses", "TopicStatus", {"open", "in_progress", "resolved", "closed"}),
        ("Priorities", "Priority", {"low", "normal", "high", "critical"}),
        ("TopicLabels", "TopicLabel", {label for topic in topics for label in topic.labels}),
        ("Users", "User", users),
    ):
        parent = Tree.SubElement(root, group)
        for word in sorted(words):
            _text(parent, item, word)
    return root


def _add_topic(
    archive: zipfile.ZipFile, topic: Topic, space: BcfSpace, snapshot: Callable[[str], bytes]
) -> None:
    markup = Tree.Element("Markup")
    node = Tree.SubElement(
        markup,
        "Topic",
        Guid=topic.id,
        TopicType=topic.type or "comment",
        TopicStatus=topic.status,
    )
    _text(node, "Title", topic.title)
    _text(node, "Priority", topic.priority)
    if topic.labels:
        labels = Tree.SubElement(node, "Labels")
        for label in topic.labels:
            _text(labels, "Label", label)
    _text(node, "CreationDate", _date(topic.created))
    _text(node, "CreationAuthor", topic.author)
    if topic.changed != topic.created:
        _text(node, "ModifiedDate", _date(topic.changed))
        _text(node, "ModifiedAuthor", topic.editor or topic.author)
    if topic.assigned:
        _text(node, "AssignedTo", topic.assigned)
    if text := _described(topic):
        _text(node, "Description", text)
    views: list[tuple[str, Viewpoint | None]] = []
    if topic.viewpoint or topic.anchors or topic.sections or topic.snapshot:
        views.append((_guid(topic.id, "view"), topic.viewpoint))
    if topic.comments:
        comments = Tree.SubElement(node, "Comments")
        for comment in topic.comments:
            if comment.viewpoint is not None:
                views.append((_guid(comment.id, "view"), comment.viewpoint))
            _comment(comments, comment)
    if views:
        _viewpoints(archive, node, topic, views, space, snapshot)
    _add(archive, f"{topic.id}/markup.bcf", _xml(markup))


def _described(topic: Topic) -> str:
    """Return the description with the frozen values, for which BCF has no place of its own."""
    lines = [f"{v.path} = {v.value} {v.unit} ({v.quality}, {_date(v.time)})" for v in topic.values]
    return "\n".join([topic.description, *lines]).strip()


def _comment(parent: Tree.Element, comment: Comment) -> None:
    node = Tree.SubElement(parent, "Comment", Guid=comment.id)
    _text(node, "Date", _date(comment.time))
    _text(node, "Author", comment.author)
    _text(node, "Comment", comment.text)
    if comment.viewpoint is not None:
        Tree.SubElement(node, "Viewpoint", Guid=_guid(comment.id, "view"))


def _viewpoints(
    archive: zipfile.ZipFile,
    node: Tree.Element,
    topic: Topic,
    views: list[tuple[str, Viewpoint | None]],
    space: BcfSpace,
    snapshot: Callable[[str], bytes],
) -> None:
    parent = Tree.SubElement(node, "Viewpoints")
    for number, (guid, view) in enumerate(views):
        row = Tree.SubElement(parent, "ViewPoint", Guid=guid)
        _text(row, "Viewpoint", f"{guid}.bcfv")
        if number == 0 and topic.snapshot:
            name = f"{guid}.png"
            _text(row, "Snapshot", name)
            _add(archive, f"{topic.id}/{name}", snapshot(topic.id))
        _text(row, "Index", number)
        info = _visualization(guid, topic, view, space)
        _add(archive, f"{topic.id}/{guid}.bcfv", _xml(info))


def _visualization(
    guid: str, topic: Topic, view: Viewpoint | None, space: BcfSpace
) -> Tree.Element:
    root = Tree.Element("VisualizationInfo", Guid=guid)
    components = Tree.SubElement(root, "Components")
    if topic.anchors:
        selection = Tree.SubElement(components, "Selection")
        for path in dict.fromkeys(anchor.prim for anchor in topic.anchors):
            component = Tree.SubElement(selection, "Component")
            _text(component, "OriginatingSystem", "OpenUSD")
            _text(component, "AuthoringToolId", path)
    Tree.SubElement(components, "Visibility", DefaultVisibility="true")
    if view is not None:
        _camera(root, view, space)
    if topic.sections:
        planes = Tree.SubElement(root, "ClippingPlanes")
        for section in topic.sections:
            plane = Tree.SubElement(planes, "ClippingPlane")
            _vector(plane, "Location", space.point(section.prim, section.point))
            _vector(plane, "Direction", space.normal(section.prim, section.normal))
    return root


def _camera(root: Tree.Element, view: Viewpoint, space: BcfSpace) -> None:
    kind = "PerspectiveCamera" if view.orthographic is None else "OrthogonalCamera"
    camera = Tree.SubElement(root, kind)
    ahead = tuple(b - a for a, b in zip(view.position, view.target, strict=True))
    _vector(camera, "CameraViewPoint", space.point(view.space, view.position))
    _vector(camera, "CameraDirection", space.direction(view.space, (ahead[0], ahead[1], ahead[2])))
    _vector(camera, "CameraUpVector", space.direction(view.space, view.up))
    if view.orthographic is None:
        _text(camera, "FieldOfView", repr(view.fov))
    else:
        _text(camera, "ViewToWorldScale", repr(view.orthographic * space.meters))
    _text(camera, "AspectRatio", repr(_ASPECT))


def _vector(parent: Tree.Element, name: str, vector: tuple[float, float, float]) -> None:
    node = Tree.SubElement(parent, name)
    for axis, number in zip("XYZ", vector, strict=True):
        _text(node, axis, repr(float(number)))


def _guid(identity: str, what: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{identity}:{what}"))


def _date(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
