"""The standard's own schemas, compiled once a process, and what they find wrong in words.

Where the text and a schema of 2.1 disagree the text holds, and the schema is put right before it
is compiled: it lacks the action status PAUSED and the two types of an orientation, it has the
blocking types of a factsheet as values of the array itself, and takes the description of an outline
in space for a number.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import fastjsonschema

__all__ = ["document_faults"]

_FOLDERS = {"2.1.0": "2.1", "3.0.0": "3.0"}
_SHOWN = 60


def document_faults(version: str, topic: str, document: Any) -> list[str]:
    """Return what a schema finds wrong in a decoded message; at most the first of it.

    Args:
        version: of the standard, one of VERSIONS.
        topic: one that the version has.
        document: decoded JSON.
    """
    try:
        _validator(version, topic)(document)
    except fastjsonschema.JsonSchemaValueException as error:
        return [_said(error)]
    return []


@cache
def _validator(version: str, topic: str) -> Callable[[Any], Any]:
    folder = importlib.resources.files("stagetwin_bridges.vda5050") / "schemas"
    text = (folder / _FOLDERS[version] / f"{topic}.schema").read_text(encoding="utf-8")
    schema = json.loads(text)
    if version == "2.1.0":
        _correct(topic, schema)
    validate: Callable[[Any], Any] = fastjsonschema.compile(schema)
    return validate


def _correct(topic: str, schema: dict[str, Any]) -> None:
    """Put right what 2.1's schemas have wrong; see the module's docstring."""
    fields = schema["properties"]
    if topic == "state":
        status = fields["actionStates"]["items"]["properties"]["actionStatus"]
        status["enum"] = [*status["enum"], "PAUSED"]
    elif topic == "order":
        orientation = fields["edges"]["items"]["properties"]["orientationType"]
        orientation["enum"] = ["GLOBAL", "TANGENTIAL"]
    elif topic == "factsheet":
        actions = fields["protocolFeatures"]["properties"]["agvActions"]
        blocking = actions["items"]["properties"]["blockingTypes"]
        blocking["items"] = {"type": "string", "enum": blocking.pop("enum")}
        outlines = fields["agvGeometry"]["properties"]["envelopes3d"]
        outlines["items"]["properties"]["description"]["type"] = ["string", "integer"]


def _said(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Return a finding as a sentence with the field, what is allowed, and what was got."""
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in _path(error))
    field = where.lstrip(".") or "the message"
    rule, allowed, value = error.rule, error.rule_definition, error.value
    if rule == "required":
        missing = [name for name in allowed if not isinstance(value, dict) or name not in value]
        return f"{field}: missing {', '.join(missing)}"
    if rule == "enum":
        return f"{field}: allowed are {', '.join(map(str, allowed))}; got {_shown(value)}"
    if rule == "type":
        kinds = allowed if isinstance(allowed, str) else " or ".join(allowed)
        return f"{field}: expected {kinds}, got {_shown(value)}"
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "minItems": "an array of at least",
    }
    if rule in words:
        return f"{field}: expected {words[rule]} {allowed}, got {_shown(value)}"
    if rule == "format":
        return f"{field}: expected the format {allowed}, got {_shown(value)}"
    return f"{field}: {error.message}"


def _path(error: fastjsonschema.JsonSchemaValueException) -> list[str | int]:
    """Return the steps from the message to the field."""
    return [int(step) if str(step).isdigit() else step for step in error.path[1:]]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
