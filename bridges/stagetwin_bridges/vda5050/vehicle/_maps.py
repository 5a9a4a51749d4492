"""Maps and zone sets on a vehicle (3.0, 6.3 and 6.4.2)."""

from __future__ import annotations

from stagetwin_bridges.vda5050.messages import MapState, ZoneContents, ZoneSetState

__all__ = ["MapStore", "ZoneSetStore"]


class MapStore:
    """Maps by id and version; at most one version of an id is enabled."""

    def __init__(self, map_id: str, version: str) -> None:
        self._maps: dict[tuple[str, str], bool] = {(map_id, version): True}

    def has(self, map_id: str, version: str) -> bool:
        """Return whether this version is stored."""
        return (map_id, version) in self._maps

    def enabled(self, map_id: str) -> bool:
        """Return whether a version of it may be used."""
        return any(on for (each, _), on in self._maps.items() if each == map_id)

    def versions(self, map_id: str) -> list[str]:
        """Return the stored versions of a map."""
        return [version for each, version in self._maps if each == map_id]

    def add(self, map_id: str, version: str) -> None:
        """Store it, disabled."""
        self._maps[map_id, version] = False

    def enable(self, map_id: str, version: str) -> None:
        """Enable a version, and disable the others of the same id."""
        for key in self._maps:
            if key[0] == map_id:
                self._maps[key] = key[1] == version

    def is_enabled(self, map_id: str, version: str) -> bool:
        """Return whether this very version may be used."""
        return self._maps.get((map_id, version), False)

    def delete(self, map_id: str, version: str) -> None:
        """Forget it."""
        del self._maps[map_id, version]

    def states(self) -> tuple[MapState, ...]:
        """Return them as a state has them."""
        return tuple(
            MapState(map_id=m, map_version=v, map_status="ENABLED" if on else "DISABLED")
            for (m, v), on in self._maps.items()
        )


class ZoneSetStore:
    """Zone sets by id; at most one of a map is enabled.

    Attributes:
        epoch: counts whatever changes which zones hold.
    """

    def __init__(self) -> None:
        self._sets: dict[str, ZoneContents] = {}
        self._enabled: dict[str, str] = {}
        self.epoch = 0

    def __contains__(self, zone_set_id: str) -> bool:
        return zone_set_id in self._sets

    def add(self, zones: ZoneContents) -> None:
        """Store a zone set, disabled."""
        self._sets[zones.zone_set_id] = zones

    def enable(self, zone_set_id: str) -> None:
        """Enable it, and disable the others of its map."""
        self._enabled[self._sets[zone_set_id].map_id] = zone_set_id
        self.epoch += 1

    def is_enabled(self, zone_set_id: str) -> bool:
        """Return whether it holds."""
        return zone_set_id in self._enabled.values()

    def delete(self, zone_set_id: str) -> None:
        """Forget it."""
        del self._sets[zone_set_id]

    def of(self, map_id: str) -> ZoneContents | None:
        """Return the zone set that holds on a map."""
        zone_set_id = self._enabled.get(map_id)
        return None if zone_set_id is None else self._sets[zone_set_id]

    def states(self) -> tuple[ZoneSetState, ...]:
        """Return them as a state has them."""
        on = set(self._enabled.values())
        return tuple(
            ZoneSetState(
                zone_set_id=name,
                map_id=zones.map_id,
                zone_set_status="ENABLED" if name in on else "DISABLED",
            )
            for name, zones in self._sets.items()
        )
