"""Which properties of a stage are not for people to set: something drives them."""

from __future__ import annotations

from stagetwin.twin import Twin

__all__ = ["Driven"]


class Driven:
    """Looks properties up in the bindings in force."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin
        self._tables: tuple[object, object] = (None, None)
        self._drivers: dict[str, str] = {}

    def __call__(self, path: str) -> str:
        """Return what drives a property, `/Prim.name`; empty for nothing."""
        tables = self._twin.table, self._twin.guarded
        if tables[0] is not self._tables[0] or tables[1] is not self._tables[1]:
            self._tables = tables
            self._drivers = {}
            for table in filter(None, tables):
                for signal in table.telemetry.values():
                    self._drivers[signal.target] = f"signal {signal.path}"
                for command in table.commands:
                    self._drivers[command.target] = f"command {command.path}"
        return self._drivers.get(path, "")

    def asset_of(self, prim: str) -> str:
        """Return the nearest asset at or above a prim; empty without one."""
        assets = self._twin.table.assets
        while prim and prim not in assets:
            prim = prim.rpartition("/")[0]
        return prim
