"""The twin in usdview: a live stage, a dock beside it, and drafts that become commands.

usdview loads this through Plug when its folder is on PXR_PLUGINPATH_NAME. Everything but the menu
waits until somebody opens the dock, so that usdview starts as fast as it did.
"""

from __future__ import annotations

from typing import Any

from pxr import Tf
from pxr.Usdviewq.plugin import PluginContainer

__all__ = ["TwinPluginContainer"]


class TwinPluginContainer(PluginContainer):
    """What usdview asks us for."""

    def registerPlugins(self, plugRegistry: Any, usdviewApi: Any) -> None:
        """Register the commands; called once when usdview starts."""
        actions: Any = self.deferredImport("._actions")  # type: ignore[no-untyped-call]
        register = plugRegistry.registerCommandPlugin
        self._show = register(
            "TwinPluginContainer.show",
            "Live twin",
            actions.show,
            "Follow a running stagetwin service on this stage",
        )
        self._draft = register(
            "TwinPluginContainer.draftMoved",
            "Draft from where the selected prim stands",
            actions.draft_moved,
            "Make a draft of a command from the moved marker that is selected",
        )
        self._draft_attribute = register(
            "TwinPluginContainer.draftAttribute",
            "Draft from the selected attribute",
            actions.draft_attribute,
            "Make a draft of what the selected `desired` attribute says on this stage",
        )
        self._leave = register(
            "TwinPluginContainer.leave",
            "Leave the twin",
            actions.leave,
            "End the connection and restore the stage",
        )

    def configureView(self, plugRegistry: Any, plugUIBuilder: Any) -> None:
        """Put the commands into a menu."""
        menu = plugUIBuilder.findOrCreateMenu("Twin")
        menu.addItem(self._show, shortcut="Ctrl+Alt+T")
        menu.addItem(self._draft)
        menu.addItem(self._draft_attribute)
        menu.addSeparator()
        menu.addItem(self._leave)


Tf.Type.Define(TwinPluginContainer)
