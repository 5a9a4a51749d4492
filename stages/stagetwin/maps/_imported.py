"""What importers share: what they return, records of foreign files, and the map's origin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stagetwin._errors import MapError
from stagetwin.maps._road_map import Lane, Node, RoadMap, Station, Zone
from stagetwin.maps.geometry import Point, wrapped

__all__ = ["Imported", "Notes", "Origin", "Record", "moved", "read_text"]

Origin = tuple[float, float, float]
"""Where a file's own origin lies in the map: x, y [m] and how far it is turned [rad]."""

_MOST_NOTES = 200

_Thing = TypeVar("_Thing", Node, Lane, Zone, Station)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a foreign file.

    Attributes:
        maps: in the order of the file.
        notes: what of the file is not in them as it stood there, each naming the place.
    """

    maps: tuple[RoadMap, ...]
    notes: tuple[str, ...] = ()

    def one(self, id: str = "") -> RoadMap:
        """Return the map of that id; without one, the only map.

        Raises:
            MapError: there is no such map, or several and none is named.
        """
        names = ", ".join(repr(each.id) for each in self.maps) or "none"
        found = [each for each in self.maps if not id or each.id == id]
        if len(found) != 1:
            what = f"no map {id!r}" if id else "not one map"
            raise MapError(f"the file has {what}; maps: {names}")
        return found[0]


class Notes:
    """Notes of one import; what repeats without end is counted and not repeated."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: list[str] = []
        self._more = 0

    def add(self, where: str, text: str) -> None:
        """Note something at a place of the file."""
        if len(self._texts) < _MOST_NOTES:
            self._texts.append(
                f"{self._path}: {where}: {text}" if where else f"{self._path}: {text}"
            )
        else:
            self._more += 1

    def done(self) -> tuple[str, ...]:
        """Return all notes."""
        more = (f"{self._path}: {self._more} notes more",) if self._more else ()
        return (*self._texts, *more)


class Record:
    """A value of a foreign file that knows where it stands there.

    Attributes:
        value: as parsed.
        where: file and path in it, for messages.
        place: the path alone.
    """

    def __init__(self, value: Any, path: Path, place: str = "") -> None:
        self.value = value
        self.place = place
        self._path = path

    @property
    def where(self) -> str:
        return f"{self._path}: {self.place}" if self.place else str(self._path)

    def fail(self, text: str) -> MapError:
        """Return an error at this place."""
        return MapError(f"{self.where}: {text}")

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def get(self, name: str) -> Record:
        """Return a field, whose value is None where there is none."""
        if not isinstance(self.value, dict):
            raise self.fail(f"must be an object, got {_kind(self.value)}")
        place = f"{self.place}.{name}" if self.place else name
        return Record(self.value.get(name), self._path, place)

    def child(self, key: Any) -> Record:
        """Return an entry by its key, which need not be text; None where there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Record(value, self._path, f"{self.place}.{key}")

    def items(self, name: str = "", needed: bool = False) -> Iterator[Record]:
        """Yield the elements of a list, or of the list in a field; none where there is no list."""
        found = self.get(name) if name else self
        if found.value is None:
            if needed:
                raise found.fail("is missing; a list is expected")
            return
        if not isinstance(found.value, list):
            raise found.fail(f"must be a list, got {_kind(found.value)}")
        for i, each in enumerate(found.value):
            yield Record(each, self._path, f"{found.place}[{i}]")

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number; without a default it must be there."""
        found = self.get(name)
        if found.value is None and default is not None:
            return default
        return found.as_number()

    def as_number(self) -> float:
        """Return this as a finite number."""
        value = self.value
        if value is None:
            raise self.fail("is missing; a number is expected")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.fail(f"must be a number, got {_kind(value)}")
        if not math.isfinite(value):
            raise self.fail(f"must be a finite number, got {value}")
        return float(value)

    def text(self, name: str, default: str | None = None) -> str:
        """Return text; without a default it must be there and not be empty. Numbers are text."""
        found = self.get(name)
        value = found.value
        if value is None or value == "":
            if default is not None:
                return default
            raise found.fail("is missing; text is expected")
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise found.fail(f"must be text, got {_kind(value)}")
        return str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "nothing"
    return names.get(type(value), f"{value!r}")


def read_text(path: str | Path) -> tuple[Path, str]:
    """Return a file's path and its text.

    Raises:
        MapError: it cannot be read, or is no UTF-8.
    """
    at = Path(path)
    try:
        return at, at.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MapError(f"{at}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MapError(f"{at}: is no UTF-8 text: {error}") from None


def moved(road_map: RoadMap, origin: Origin) -> RoadMap:
    """Return a map whose own origin lies elsewhere in the frame.

    Raises:
        MapError: the origin is not three finite numbers.
    """
    if len(origin) != 3 or not all(math.isfinite(value) for value in origin):
        raise MapError(f"an origin is x, y [m] and yaw [rad], three finite numbers, got {origin}")
    if origin == (0.0, 0.0, 0.0):
        return road_map
    x0, y0, yaw = origin
    cos, sin = math.cos(yaw), math.sin(yaw)

    def place(x: float, y: float) -> Point:
        # Rounded as what is read from a stage: half a turn is not exact in floating point.
        return (round(x * cos - y * sin + x0, 9) + 0.0, round(x * sin + y * cos + y0, 9) + 0.0)

    def points(each: tuple[Point, ...]) -> tuple[Point, ...]:
        return tuple(place(x, y) for x, y in each)

    def turned(theta: float | None) -> float | None:
        return None if theta is None else wrapped(theta + yaw)

    def at(thing: _Thing) -> _Thing:
        changes: dict[str, Any] = {}
        if isinstance(thing, (Node, Station)):
            x, y = place(thing.x, thing.y)
            changes = {"x": x, "y": y, "theta": turned(thing.theta)}
        elif isinstance(thing, Lane):
            changes = {"path": points(thing.path)}
        else:
            changes = {"polygon": points(thing.polygon), "direction": turned(thing.direction)}
        return msgspec.structs.replace(thing, **changes)

    extent = road_map.extent
    if extent is not None:
        corners = [place(x, y) for x in extent[::2] for y in extent[1::2]]
        low, high = (tuple(f(c[i] for c in corners) for i in (0, 1)) for f in (min, max))
        extent = (low[0], low[1], high[0], high[1])
    return msgspec.structs.replace(
        road_map,
        nodes={key: at(node) for key, node in road_map.nodes.items()},
        lanes={key: at(lane) for key, lane in road_map.lanes.items()},
        zones={key: at(zone) for key, zone in road_map.zones.items()},
        stations={key: at(station) for key, station in road_map.stations.items()},
        obstacles=tuple(
            msgspec.structs.replace(each, polygon=points(each.polygon))
            for each in road_map.obstacles
        ),
        extent=extent,
    )
