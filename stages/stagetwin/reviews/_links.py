"""Links into a twin: to a topic, a prim, a view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from stagetwin._errors import ReviewError
from stagetwin.reviews._operations import is_id, is_prim_path
from stagetwin.reviews._topic import Viewpoint

__all__ = ["Permalink", "parse_permalink", "permalink"]


@dataclass(frozen=True, slots=True)
class Permalink:
    """Where a link leads.

    Attributes:
        topic: id of a topic, or empty.
        prim: path of a prim, or empty.
        camera: from where to look, in the stage's space; None for the viewer's choice.
    """

    topic: str = ""
    prim: str = ""
    camera: Viewpoint | None = None


def permalink(link: Permalink, base: str = "") -> str:
    """Return a link as text.

    Args:
        link: where it leads.
        base: address of the viewer; its own query is dropped.
    """
    fields: list[tuple[str, str]] = []
    if link.topic:
        fields.append(("topic", link.topic))
    if link.prim:
        fields.append(("prim", link.prim))
    if link.camera is not None:
        view = link.camera
        numbers = (*view.position, *view.target, *view.up, view.fov)
        fields.append(("camera", ",".join(f"{number:.9g}" for number in numbers)))
    start = urlsplit(base)._replace(query="", fragment="").geturl()
    return f"{start}?{urlencode(fields, safe='/,')}"


def parse_permalink(link: str) -> Permalink:
    """Return where a link leads; what is not of ours is left aside.

    Raises:
        ReviewError: a part of it cannot be read.
    """
    if len(link) > 4000:
        raise ReviewError(f"a link has at most 4000 characters, got {len(link)}")
    try:
        fields = dict(parse_qsl(urlsplit(link).query, max_num_fields=20))
    except ValueError as error:
        raise ReviewError(f"that is no link: {error}") from None
    topic, prim = fields.get("topic", ""), fields.get("prim", "")
    if topic and not is_id(topic):
        raise ReviewError(f"topic: must be a UUID, got {topic!r:.80}")
    if prim and not is_prim_path(prim):
        raise ReviewError(f"prim: must be the path of a prim, got {prim!r:.80}")
    camera = fields.get("camera", "")
    return Permalink(topic, prim, _camera(camera) if camera else None)


def _camera(text: str) -> Viewpoint:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 10 or not all(map(math.isfinite, numbers)):
        raise ReviewError(f"camera: must be 10 numbers, got {text!r:.80}")
    a, b, c, d, e, f, g, h, i, fov = numbers
    if not 0 < fov < 180:
        raise ReviewError(f"camera: its field of view must be in (0, 180) degrees, got {fov:g}")
    return Viewpoint((a, b, c), (d, e, f), (g, h, i), fov)
