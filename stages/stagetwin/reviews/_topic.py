"""A review topic as the service holds it: values that are replaced, never changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "Anchor",
    "Comment",
    "FrozenValue",
    "Resolved",
    "Section",
    "Topic",
    "Viewpoint",
    "common_ancestor",
]

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a topic is pinned.

    Attributes:
        prim: path of the prim.
        point: in the prim's own space; None where a prim alone is meant.
        normal: in the prim's own space, or None.
        instance: of a PointInstancer, or -1.
        id: `twin:id` of the prim or of the nearest asset above it, or empty.
        relative: path from that asset to the prim, or empty.
        history: paths that it had before.
    """

    prim: str
    point: Point | None = (0.0, 0.0, 0.0)
    normal: Point | None = None
    instance: int = -1
    id: str = ""
    relative: str = ""
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """From where to look, in the space of a prim or, with `/`, of the stage.

    Attributes:
        position, target: where the eye is and what it looks at.
        up: direction that is up in the picture.
        fov: vertical field of view [degrees].
        orthographic: height of a parallel view [stage units]; None for perspective.
        space: path of the prim.
    """

    position: Point
    target: Point
    up: Point
    fov: float = 45.0
    orthographic: float | None = None
    space: str = "/"

    def row(self) -> dict[str, Any]:
        """Return it as clients see it."""
        return {
            "position": list(self.position),
            "target": list(self.target),
            "up": list(self.up),
            "fov": self.fov,
            "orthographic": self.orthographic,
            "in": self.space,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A plane that cuts away what lies on the side of its normal; in the prim's own space."""

    prim: str
    point: Point
    normal: Point


@dataclass(frozen=True, slots=True)
class FrozenValue:
    """What the service knew of a signal at one moment.

    Attributes:
        path: of the signal, `/Prim.signal`.
        prim: path of its prim.
        value: plain data, None where nothing had arrived.
        unit: UCUM unit.
        quality: good, uncertain, bad or stale.
        source_time: when the device took it [s, Unix]; None if unknown.
        time: when it was frozen [s, Unix].
    """

    path: str
    prim: str
    value: Any
    unit: str
    quality: str
    source_time: float | None
    time: float


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said; it never changes. `replaces` names the comment that it stands for."""

    id: str
    author: str
    time: float
    text: str
    replaces: str = ""
    viewpoint: Viewpoint | None = None

    def row(self) -> dict[str, Any]:
        """Return it as clients see it."""
        view = self.viewpoint.row() if self.viewpoint is not None else None
        return {
            "id": self.id,
            "author": self.author,
            "time": self.time,
            "text": self.text,
            "replaces": self.replaces,
            "viewpoint": view,
        }


@dataclass(frozen=True, slots=True)
class Resolved:
    """How an anchor stands on the stage as it is now."""

    orphaned: bool = False
    moved_to: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic; docs/reviews.md says what each field means.

    Attributes:
        editor: who last changed its content, which then may not approve it.
        born: id of the operation that made it.
    """

    id: str
    born: str
    title: str
    author: str
    created: float
    changed: float
    description: str = ""
    type: str = "comment"
    status: str = "open"
    priority: str = "normal"
    approval: str = "none"
    editor: str = ""
    revision: int = 1
    assigned: str = ""
    labels: tuple[str, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    viewpoint: Viewpoint | None = None
    sections: tuple[Section, ...] = ()
    values: tuple[FrozenValue, ...] = ()
    comments: tuple[Comment, ...] = field(default=(), repr=False)
    snapshot: str = ""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Topic:
        """Return the topic of a row, for a mirror; what a row leaves out is empty.

        Raises:
            LookupError, TypeError, ValueError: that is no row.
        """
        names = "id title author description type status priority approval assigned snapshot"
        return cls(
            **{name: str(row[name]) for name in names.split()},
            born="",
            created=float(row["created"]),
            changed=float(row["changed"]),
            revision=int(row["revision"]),
            labels=tuple(map(str, row["labels"])),
            anchors=tuple(
                Anchor(
                    str(a["prim"]),
                    _maybe(a["point"]),
                    _maybe(a["normal"]),
                    int(a["instance"]),
                    str(a["id"]),
                    "",
                    tuple(map(str, a["history"])),
                )
                for a in row["anchors"]
            ),
            viewpoint=_view_of(row["viewpoint"]),
            sections=tuple(
                Section(str(s["prim"]), _point(s["point"]), _point(s["normal"]))
                for s in row["sections"]
            ),
            values=tuple(
                FrozenValue(
                    str(v["path"]),
                    str(v["prim"]),
                    v["value"],
                    str(v["unit"]),
                    str(v["quality"]),
                    v["source_time"],
                    float(v["time"]),
                )
                for v in row["values"]
            ),
            comments=tuple(
                Comment(
                    str(c["id"]),
                    str(c["author"]),
                    float(c["time"]),
                    str(c["text"]),
                    str(c["replaces"]),
                    _view_of(c["viewpoint"]),
                )
                for c in row["comments"]
            ),
        )

    @property
    def anchor_prims(self) -> tuple[str, ...]:
        """Paths that decide who may write; `/` where there is no anchor."""
        return tuple(sorted({anchor.prim for anchor in self.anchors})) or ("/",)

    def prims(self, resolve: Callable[[Anchor], Resolved]) -> tuple[str, ...]:
        """Return every path that the topic names: they decide who may see it."""
        views = [self.viewpoint, *(comment.viewpoint for comment in self.comments)]
        named = {anchor.prim for anchor in self.anchors}
        named |= {moved for anchor in self.anchors if (moved := resolve(anchor).moved_to)}
        named |= {past for anchor in self.anchors for past in anchor.history}
        named |= {section.prim for section in self.sections if section.prim != "/"}
        named |= {value.prim for value in self.values}
        named |= {view.space for view in views if view is not None and view.space != "/"}
        return tuple(sorted(named)) or ("/",)

    def row(self, resolve: Callable[[Anchor], Resolved]) -> dict[str, Any]:
        """Return it as clients see it."""
        return {
            "id": self.id,
            "title": self.title,
            "description": self.description,
            "type": self.type,
            "status": self.status,
            "priority": self.priority,
            "approval": self.approval,
            "author": self.author,
            "created": self.created,
            "changed": self.changed,
            "revision": self.revision,
            "assigned": self.assigned,
            "labels": list(self.labels),
            "anchors": [_anchor_row(anchor, resolve(anchor)) for anchor in self.anchors],
            "viewpoint": self.viewpoint.row() if self.viewpoint is not None else None,
            "sections": [
                {"prim": s.prim, "point": list(s.point), "normal": list(s.normal)}
                for s in self.sections
            ],
            "values": [
                {
                    "path": v.path,
                    "prim": v.prim,
                    "value": v.value,
                    "unit": v.unit,
                    "quality": v.quality,
                    "source_time": v.source_time,
                    "time": v.time,
                }
                for v in self.values
            ],
            "comments": [comment.row() for comment in self.comments],
            "snapshot": self.snapshot,
            "prims": list(self.prims(resolve)),
        }


def _view_of(row: Mapping[str, Any] | None) -> Viewpoint | None:
    if row is None:
        return None
    return Viewpoint(
        _point(row["position"]),
        _point(row["target"]),
        _point(row["up"]),
        float(row["fov"]),
        float(row["orthographic"]) if row["orthographic"] is not None else None,
        str(row["in"]),
    )


def _point(numbers: Sequence[Any]) -> Point:
    x, y, z = map(float, numbers)
    return x, y, z


def _maybe(numbers: Sequence[Any] | None) -> Point | None:
    return _point(numbers) if numbers is not None else None


def _anchor_row(anchor: Anchor, resolved: Resolved) -> dict[str, Any]:
    return {
        "prim": anchor.prim,
        "point": list(anchor.point) if anchor.point is not None else None,
        "normal": list(anchor.normal) if anchor.normal is not None else None,
        "instance": anchor.instance,
        "id": anchor.id,
        "history": list(anchor.history),
        "orphaned": resolved.orphaned,
        "moved_to": resolved.moved_to,
    }


def common_ancestor(prims: tuple[str, ...] | list[str]) -> str:
    """Return the deepest path at or above all paths; `/` for none."""
    if not prims:
        return "/"
    parts = [[part for part in prim.split("/") if part] for prim in prims]
    shared: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/" + "/".join(shared)
