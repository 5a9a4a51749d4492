"""Registration of the codeless schema with USD.

USD reads the plugins it knows once, when the first stage is opened or the schema registry is first
asked. A plugin folder that is named later is accepted without an error and its types stay unknown,
so `register` runs on import and `is_registered` tells whether that was early enough.
"""

from __future__ import annotations

import importlib.util
import pathlib

from pxr import Plug

__all__ = ["is_registered", "register", "schema_folder"]

PLUGIN_NAME = "stagetwin"
SCHEMA_TYPES = (
    "TwinAlarmAPI",
    "TwinAssetAPI",
    "TwinCommandAPI",
    "TwinConnection",
    "TwinHealthAPI",
    "TwinLaneAPI",
    "TwinMapAPI",
    "TwinModelAPI",
    "TwinNodeAPI",
    "TwinObstacleAPI",
    "TwinRuleAPI",
    "TwinStationAPI",
    "TwinTelemetryAPI",
    "TwinZoneAPI",
)

OTHERS = ("newton_usd_schemas",)
"""Packages with schemas that plants use: without its schema a delayed actuator is misread."""


def schema_folder() -> pathlib.Path:
    """Return the folder that other USD programs need on `PXR_PLUGINPATH_NAME`."""
    return pathlib.Path(__file__).resolve().parent / "schema"


def register() -> bool:
    """Make the schema's folder known to USD, unless it is already.

    Returns:
        True if this call added it; False if an earlier one or `PXR_PLUGINPATH_NAME` had.
    """
    registry = Plug.Registry()
    for package in OTHERS:
        # Found without an import: a package that registers itself when it is imported does so
        # long after the first stage was opened.
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):  # an application that keeps packages out, as Kit may
            continue
        if found is not None and found.origin is not None:
            registry.RegisterPlugins(str(pathlib.Path(found.origin).parent))
    if registry.GetPluginWithName(PLUGIN_NAME):
        return False
    return bool(registry.RegisterPlugins(str(schema_folder())))


def is_registered() -> bool:
    """Tell whether USD really knows every type of the schema.

    Asking makes USD build its schema registry if it has not yet: ask after `register`.
    """
    # Loaded here, because a bridge's process registers the schema too and needs no more of USD.
    from pxr import Usd

    registry = Usd.SchemaRegistry()
    return all(
        registry.FindAppliedAPIPrimDefinition(name) or registry.FindConcretePrimDefinition(name)
        for name in SCHEMA_TYPES
    )
