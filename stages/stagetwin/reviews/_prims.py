"""Topics as prims of the review layer: `/Review/Topic_<id>`, and back.

Ids make prim names; texts are values only. The layer is complete: the service reads its topics from
it again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pxr import Gf, Sdf, Vt

from stagetwin.reviews._topic import (
    Anchor,
    Comment,
    FrozenValue,
    Section,
    Topic,
    Viewpoint,
)

__all__ = ["ROOT", "author_topic", "author_topics", "read_topics", "remove_topic", "topic_path"]

ROOT = Sdf.Path("/Review")

_TYPES = Sdf.ValueTypeNames
_FIELDS: dict[str, Sdf.ValueTypeName] = {
    "id": _TYPES.String,
    "born": _TYPES.String,
    "title": _TYPES.String,
    "author": _TYPES.String,
    "created": _TYPES.Double,
    "changed": _TYPES.Double,
    "description": _TYPES.String,
    "type": _TYPES.String,
    "status": _TYPES.Token,
    "priority": _TYPES.Token,
    "approval": _TYPES.Token,
    "editor": _TYPES.String,
    "revision": _TYPES.Int,
    "assigned": _TYPES.String,
    "labels": _TYPES.StringArray,
    "snapshot": _TYPES.Asset,
    "prim": _TYPES.String,
    "point": _TYPES.Double3,
    "normal": _TYPES.Double3,
    "instance": _TYPES.Int,
    "relative": _TYPES.String,
    "history": _TYPES.StringArray,
    "path": _TYPES.String,
    "value": _TYPES.String,
    "unit": _TYPES.String,
    "quality": _TYPES.Token,
    "sourceTime": _TYPES.Double,
    "time": _TYPES.Double,
    "text": _TYPES.String,
    "replaces": _TYPES.String,
    "position": _TYPES.Double3,
    "target": _TYPES.Double3,
    "up": _TYPES.Double3,
    "fov": _TYPES.Double,
    "orthographic": _TYPES.Double,
    "in": _TYPES.String,
}
_SNAPSHOTS = "./review/"
_WORDS = {
    "status": ("open", "in_progress", "resolved", "closed"),
    "priority": ("low", "normal", "high", "critical"),
    "approval": ("none", "requested", "approved", "rejected"),
}

Space = Callable[[str], Gf.Matrix4d]


def topic_path(identity: str) -> Sdf.Path:
    """Return the path of a topic's prim."""
    return ROOT.AppendChild(f"Topic_{identity.replace('-', '_')}")


def author_topic(layer: Sdf.Layer, topic: Topic, old: Topic | None, space: Space) -> None:
    """Write what changed of a topic.

    Args:
        layer: the review layer.
        topic: the topic as it is now.
        old: as the layer has it; None where it has not.
        space: returns a prim's transform to the stage's space.
    """
    path = topic_path(topic.id)
    with Sdf.ChangeBlock():
        if not layer.GetPrimAtPath(ROOT):
            root = Sdf.CreatePrimInLayer(layer, ROOT)
            root.specifier = Sdf.SpecifierDef
            root.typeName = "Scope"
        prim = Sdf.CreatePrimInLayer(layer, path)
        prim.specifier = Sdf.SpecifierDef
        _write(prim, _topic_fields(topic))
        if old is None or old.anchors != topic.anchors:
            _children(prim, "Anchor_", map(_anchor_fields, topic.anchors))
            _point_at(prim, topic)
        if old is None or old.sections != topic.sections:
            fields = (
                {"prim": s.prim, "point": s.point, "normal": s.normal} for s in topic.sections
            )
            _children(prim, "Section_", fields)
        if old is None or old.values != topic.values:
            _children(prim, "Value_", map(_value_fields, topic.values))
        if old is None or old.viewpoint != topic.viewpoint:
            _remove(prim, "Viewpoint")
            if topic.viewpoint is not None:
                _camera(prim, topic.viewpoint, space)
        for comment in topic.comments[len(old.comments) if old is not None else 0 :]:
            _comment(prim, comment, space)


def author_topics(layer: Sdf.Layer, topics: Sequence[Topic], space: Space) -> None:
    """Write topics that the layer does not have, as one change."""
    # The stage is asked before the change begins: within it, what it says may be of before.
    known: dict[str, Gf.Matrix4d] = {}
    for topic in topics:
        for view in (topic.viewpoint, *(comment.viewpoint for comment in topic.comments)):
            if view is not None and view.space not in known:
                known[view.space] = space(view.space)
    with Sdf.ChangeBlock():
        for topic in topics:
            author_topic(layer, topic, None, known.__getitem__)


def remove_topic(layer: Sdf.Layer, path: Sdf.Path) -> None:
    """Take a prim out of the layer."""
    spec = layer.GetPrimAtPath(path)
    if spec:
        _remove(layer.GetPrimAtPath(path.GetParentPath()), path.name)


def _topic_fields(topic: Topic) -> dict[str, Any]:
    names = "id born title author created changed description type status priority approval editor"
    fields: dict[str, Any] = {name: getattr(topic, name) for name in names.split()}
    return fields | {
        "revision": topic.revision,
        "assigned": topic.assigned,
        "labels": topic.labels,
        "snapshot": f"{_SNAPSHOTS}{topic.snapshot}.png" if topic.snapshot else "",
    }


def _anchor_fields(anchor: Anchor) -> dict[str, Any]:
    names = ("prim", "point", "normal", "instance", "id", "relative", "history")
    return {name: getattr(anchor, name) for name in names}


def _value_fields(value: FrozenValue) -> dict[str, Any]:
    return {
        "path": value.path,
        "prim": value.prim,
        "value": json.dumps(value.value),
        "unit": value.unit,
        "quality": value.quality,
        "sourceTime": value.source_time,
        "time": value.time,
    }


def _comment(parent: Sdf.PrimSpec, comment: Comment, space: Space) -> None:
    name = f"Comment_{comment.id.replace('-', '_')}"
    fields = {n: getattr(comment, n) for n in ("id", "author", "time", "text", "replaces")}
    prim = _child(parent, name, "", fields)
    if comment.viewpoint is not None:
        _camera(prim, comment.viewpoint, space)


def _point_at(prim: Sdf.PrimSpec, topic: Topic) -> None:
    """Point `review:targets` at the anchors, for tools that know relationships only."""
    spec = prim.relationships.get("review:targets") or Sdf.RelationshipSpec(prim, "review:targets")
    paths = dict.fromkeys(Sdf.Path(anchor.prim) for anchor in topic.anchors)
    spec.targetPathList.explicitItems = list(paths)


def _camera(parent: Sdf.PrimSpec, view: Viewpoint, space: Space) -> None:
    fields = {
        "position": view.position,
        "target": view.target,
        "up": view.up,
        "fov": view.fov,
        "orthographic": view.orthographic,
        "in": view.space,
    }
    prim = _child(parent, "Viewpoint", "Camera", fields)
    world = space(view.space)
    eye, target = world.Transform(Gf.Vec3d(*view.position)), world.Transform(Gf.Vec3d(*view.target))
    up = world.TransformDir(Gf.Vec3d(*view.up))
    forward = target - eye
    if Gf.Cross(forward.GetNormalized(), up.GetNormalized()).GetLength() < 1e-6:
        up = Gf.Vec3d(1, 0, 0) if abs(forward.GetNormalized()[0]) < 0.9 else Gf.Vec3d(0, 1, 0)
    matrix = Gf.Matrix4d().SetLookAt(eye, target, up).GetInverse()
    # Apertures are in tenths of a stage unit; in perspective only their ratio to the length counts.
    height = view.orthographic * 10 if view.orthographic is not None else 24.0
    own: list[tuple[str, Sdf.ValueTypeName, Any, bool]] = [
        ("xformOp:transform", _TYPES.Matrix4d, matrix, False),
        ("xformOpOrder", _TYPES.TokenArray, Vt.TokenArray(["xformOp:transform"]), True),
        ("purpose", _TYPES.Token, "guide", True),
        (
            "projection",
            _TYPES.Token,
            "perspective" if view.orthographic is None else "orthographic",
            False,
        ),
        ("focalLength", _TYPES.Float, 12.0 / math.tan(math.radians(view.fov) / 2), False),
        ("verticalAperture", _TYPES.Float, height, False),
        ("horizontalAperture", _TYPES.Float, height * 16 / 9, False),
        ("focusDistance", _TYPES.Float, forward.GetLength(), False),
    ]
    for name, type_name, value, uniform in own:
        varies = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
        Sdf.AttributeSpec(prim, name, type_name, varies).default = value


def _children(parent: Sdf.PrimSpec, prefix: str, each: Iterator[Any] | Any) -> None:
    for name in [child.name for child in parent.nameChildren if child.name.startswith(prefix)]:
        _remove(parent, name)
    for number, fields in enumerate(each):
        _child(parent, f"{prefix}{number}", "", fields)


def _child(
    parent: Sdf.PrimSpec, name: str, type_name: str, fields: Mapping[str, Any]
) -> Sdf.PrimSpec:
    _remove(parent, name)
    prim = Sdf.PrimSpec(parent, name, Sdf.SpecifierDef, type_name)
    _write(prim, fields)
    return prim


def _remove(parent: Sdf.PrimSpec, name: str) -> None:
    if name in parent.nameChildren:
        del parent.nameChildren[name]  # type: ignore[attr-defined] # the stubs lack it


def _write(prim: Sdf.PrimSpec, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        type_name = _FIELDS[name]
        attr = prim.attributes.get(f"review:{name}")
        if value is None:
            if attr is not None:
                prim.RemoveProperty(attr)
            continue
        made = _stored(type_name, value)
        if attr is None:
            attr = Sdf.AttributeSpec(prim, f"review:{name}", type_name, Sdf.VariabilityUniform)
            attr.custom = True
        if attr.default != made:
            attr.default = made


def _stored(type_name: Sdf.ValueTypeName, value: Any) -> Any:
    if type_name == _TYPES.StringArray:
        return Vt.StringArray(list(value))
    if type_name == _TYPES.Double3:
        return Gf.Vec3d(*value)
    return Sdf.AssetPath(value) if type_name == _TYPES.Asset else value


# -- back


def read_topics(layer: Sdf.Layer) -> tuple[dict[str, Topic], dict[str, str]]:
    """Return the topics of a layer, and by path what is wrong with prims that are none."""
    topics: dict[str, Topic] = {}
    wrong: dict[str, str] = {}
    root = layer.GetPrimAtPath(ROOT)
    for prim in root.nameChildren if root else ():
        try:
            topic = _topic(prim)
            if topic_path(topic.id) != prim.path:
                raise ValueError(f"its id {topic.id!r} is not that of its name")
            topics[topic.id] = topic
        except (LookupError, TypeError, ValueError) as error:
            wrong[str(prim.path)] = str(error) or type(error).__name__
    return topics, wrong


class _Fields:
    """Reads `review:*` attributes of a prim, and says which one is missing or of another type."""

    def __init__(self, prim: Sdf.PrimSpec) -> None:
        self._prim = prim

    def __call__(self, name: str, kind: type | None = None) -> Any:
        value = self.maybe(name)
        if value is None:
            raise ValueError(f"{self._prim.path} has no review:{name}")
        if kind is not None and not isinstance(value, kind):
            raise ValueError(f"{self._prim.path}.review:{name} is no {kind.__name__}")
        if name in _WORDS and value not in _WORDS[name]:
            raise ValueError(f"{self._prim.path}.review:{name} is {value!r:.80}")
        return value

    def maybe(self, name: str) -> Any:
        attr = self._prim.attributes.get(f"review:{name}")
        if attr is None or attr.typeName != _FIELDS[name]:
            return None
        value = attr.default
        if value is None:
            return None
        if attr.typeName == _TYPES.Double3:
            return (value[0], value[1], value[2])
        if attr.typeName == _TYPES.StringArray:
            return tuple(value)
        return value.path if attr.typeName == _TYPES.Asset else value


def _topic(prim: Sdf.PrimSpec) -> Topic:
    get = _Fields(prim)
    anchors, sections, values, comments = [], [], [], []
    viewpoint = None
    for child in prim.nameChildren:
        own = _Fields(child)
        if child.name.startswith("Anchor_"):
            anchors.append(_anchor(own))
        elif child.name.startswith("Section_"):
            sections.append(Section(own("prim"), own("point"), own("normal")))
        elif child.name.startswith("Value_"):
            values.append(_value(own))
        elif child.name.startswith("Comment_"):
            view = child.nameChildren.get("Viewpoint")
            comments.append(
                Comment(
                    own("id"),
                    own("author"),
                    own("time"),
                    own("text"),
                    own("replaces"),
                    _viewpoint(_Fields(view)) if view else None,
                )
            )
        elif child.name == "Viewpoint":
            viewpoint = _viewpoint(own)
    names = "id born title author description type status priority approval editor assigned"
    texts = {name: get(name, str) for name in names.split()}
    snapshot = get("snapshot").removeprefix(_SNAPSHOTS).removesuffix(".png")
    return Topic(
        **texts,
        created=get("created", float),
        changed=get("changed", float),
        revision=get("revision", int),
        labels=get("labels"),
        anchors=tuple(anchors),
        viewpoint=viewpoint,
        sections=tuple(sections),
        values=tuple(values),
        comments=tuple(comments),
        snapshot=snapshot,
    )


def _anchor(own: _Fields) -> Anchor:
    return Anchor(
        own("prim"),
        own.maybe("point"),
        own.maybe("normal"),
        own("instance"),
        own("id"),
        own("relative"),
        own("history"),
    )


def _value(own: _Fields) -> FrozenValue:
    return FrozenValue(
        own("path"),
        own("prim"),
        json.loads(own("value")),
        own("unit"),
        own("quality"),
        own.maybe("sourceTime"),
        own("time"),
    )


def _viewpoint(own: _Fields) -> Viewpoint:
    return Viewpoint(
        own("position"),
        own("target"),
        own("up"),
        own("fov"),
        own.maybe("orthographic"),
        own("in"),
    )
