"""Stand-ins for the little of usdview that the plugin touches.

usdview is in no registry; these follow OpenUSD's tutorial on usdview plugins and
`pxr/usdImaging/usdviewq/{plugin,usdviewApi,selectionDataModel}.py` in what is called, and when:

- `pxr.Usdviewq.plugin`: `PluginContainer` with `deferredImport(name)`, whose attributes import when
  called; `registerPlugins(plugRegistry, usdviewApi)`, `configureView(plugRegistry, plugUIBuilder)`.
- `plugRegistry.registerCommandPlugin(name, displayName, callback, description)`, names unique.
- `plugUIBuilder.findOrCreateMenu(name)`: `addItem(command, shortcut=None)`, `addSeparator()`.
- `usdviewApi`: `stage`, `selectedPaths`, `qMainWindow`, `PrintStatus`, `dataModel.selection` with
  `setPrim` and `getPropPaths`.
- `pxr.Usdviewq.qt`: the Qt modules of the build.

Where a real usdview is on the PATH, test_real_usdview.py runs the plugin in it.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

from pxr import Sdf, Tf, Usd
from PySide6 import QtCore, QtGui, QtWidgets

__all__ = ["Api", "Registry", "UIBuilder", "install"]


class _Deferred:
    def __init__(self, name: str, package: str) -> None:
        self._name, self._package = name, package

    def __getattr__(self, function: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            module = importlib.import_module(self._name, self._package)
            return getattr(module, function)(*args)

        return call


class PluginContainer:
    """See usdviewq/plugin.py."""

    def deferredImport(self, moduleName: str) -> _Deferred:
        return _Deferred(moduleName, type(self).__module__)

    def registerPlugins(self, plugRegistry: Any, usdviewApi: Any) -> None:
        raise NotImplementedError

    def configureView(self, plugRegistry: Any, plugUIBuilder: Any) -> None:
        raise NotImplementedError


class Command:
    def __init__(self, api: Api, name: str, display: str, callback: Any, description: str) -> None:
        self.name, self.displayName, self.description = name, display, description
        self._api, self._callback = api, callback

    def run(self) -> None:
        self._callback(self._api)


class Registry:
    """See usdviewq/plugin.py: PluginRegistry."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.commands: dict[str, Command] = {}

    def registerCommandPlugin(
        self,
        name: str,
        displayName: str,
        callback: Any,
        description: str = "",
    ) -> Command:
        assert name not in self.commands, f"usdview refuses a second {name}"
        command = self.commands[name] = Command(self._api, name, displayName, callback, description)
        return command


class Menu:
    def __init__(self) -> None:
        self.items: list[tuple[Command | None, str | None]] = []

    def addItem(self, command: Command, shortcut: str | None = None) -> None:
        self.items.append((command, shortcut))

    def addSeparator(self) -> None:
        self.items.append((None, None))


class UIBuilder:
    """See usdviewq/plugin.py: PluginUIBuilder."""

    def __init__(self) -> None:
        self.menus: dict[str, Menu] = {}

    def findOrCreateMenu(self, name: str) -> Menu:
        return self.menus.setdefault(name, Menu())


class _Selection:
    def __init__(self) -> None:
        self.paths: list[Sdf.Path] = []
        self.properties: list[Sdf.Path] = []

    def getPropPaths(self) -> list[Sdf.Path]:
        return self.properties

    def setPrim(self, prim: Usd.Prim) -> None:
        self.paths = [prim.GetPath()]


class Api:
    """See usdviewq/usdviewApi.py."""

    def __init__(self, stage: Usd.Stage) -> None:
        self.stage = stage
        self.qMainWindow = QtWidgets.QMainWindow()
        self.dataModel = types.SimpleNamespace(selection=_Selection())
        self.printed: list[str] = []

    @property
    def selectedPaths(self) -> list[Sdf.Path]:
        return self.dataModel.selection.paths or [Sdf.Path.absoluteRootPath]

    def PrintStatus(self, text: str) -> None:
        self.printed.append(text)


def install() -> None:
    """Put the stand-ins where the plugin imports them from; pxr itself is the real one."""
    import pxr

    package = types.ModuleType("pxr.Usdviewq")
    package.__path__ = []
    plugin = types.ModuleType("pxr.Usdviewq.plugin")
    plugin.PluginContainer = PluginContainer  # type: ignore[attr-defined]
    PluginContainer.__module__ = plugin.__name__
    Tf.Type.Define(PluginContainer)
    qt = types.ModuleType("pxr.Usdviewq.qt")
    qt.QtCore, qt.QtGui, qt.QtWidgets = QtCore, QtGui, QtWidgets  # type: ignore[attr-defined]
    package.plugin, package.qt = plugin, qt  # type: ignore[attr-defined]
    pxr.Usdviewq = package  # type: ignore[attr-defined]
    sys.modules.update({m.__name__: m for m in (package, plugin, qt)})
