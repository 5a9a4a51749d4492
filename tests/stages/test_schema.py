"""The codeless schema: registered in time, documented to the last attribute, generated anew."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCHEMA_FOLDER = ROOT / "stages" / "stagetwin" / "schema"
SERVICE_SCHEMA = "TwinHealthAPI"
SCHEMAS = [
    "TwinAlarmAPI",
    "TwinAssetAPI",
    "TwinCommandAPI",
    "TwinConnection",
    SERVICE_SCHEMA,
    "TwinModelAPI",
    "TwinTelemetryAPI",
]
AUTHORED_BY_ASSETS = {"value", "predicted", "desired", "reported", "safe"}

DUMP = """
import json, sys
from pxr import Sdf, Usd
registry = Usd.SchemaRegistry()
schemas = {}
for name in sys.argv[1:]:
    prim = registry.FindAppliedAPIPrimDefinition(name) or registry.FindConcretePrimDefinition(name)
    schemas[name] = found = {"doc": prim.GetDocumentation(), "properties": {}}
    for full in prim.GetPropertyNames():
        spec = prim.GetSchemaPropertySpec(full)
        attribute = isinstance(spec, Sdf.AttributeSpec)
        default = spec.default if attribute else None
        found["properties"][full.rpartition("__INSTANCE_NAME__:")[2]] = {
            "doc": prim.GetPropertyDocumentation(full),
            "type": str(spec.typeName) if attribute else "rel",
            "default": None if default is None else str(default),
            "uniform": spec.variability == Sdf.VariabilityUniform,
            "limits": spec.HasInfo("limits"),
        }
print(json.dumps({"schemas": schemas, "stagetwin": "stagetwin" in sys.modules}))
"""


def python(code: str, *arguments: str, plugin_path: str | None = None) -> Any:
    """Run code in a process of its own and return the JSON it prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PXR_PLUGINPATH_NAME"}
    environment["PYTHONPATH"] = str(ROOT / "stages")
    if plugin_path is not None:
        environment["PXR_PLUGINPATH_NAME"] = plugin_path
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """What usd-core alone knows of the schema when its folder is on the plugin path."""
    found: dict[str, Any] = python(DUMP, *SCHEMAS, plugin_path=str(SCHEMA_FOLDER))
    assert not found["stagetwin"]
    schemas: dict[str, Any] = found["schemas"]
    return schemas


@pytest.fixture(scope="module")
def properties(plain: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every property of every schema, by `schema.property`."""
    return {
        f"{schema}.{name}": found
        for schema, prim in plain.items()
        for name, found in prim["properties"].items()
    }


def test_plain_usd_shows_every_schema_with_its_documentation(plain: dict[str, Any]) -> None:
    assert sorted(plain) == SCHEMAS
    assert {name: prim["doc"] for name, prim in plain.items() if len(prim["doc"]) < 40} == {}
    assert [name for name, prim in plain.items() if not prim["properties"]] == []


def test_every_attribute_says_its_meaning_and_its_default(
    properties: dict[str, dict[str, Any]],
) -> None:
    undocumented = [
        name
        for name, found in properties.items()
        if len(found["doc"]) < 10
        or not (name.startswith(SERVICE_SCHEMA) or re.search("Default: |No value: ", found["doc"]))
    ]
    assert undocumented == []


def test_documented_defaults_are_the_defaults(properties: dict[str, dict[str, Any]]) -> None:
    compared = 0
    for name, found in properties.items():
        stated = re.search(r"Default: ([^,]+?)(?:,|\.$)", found["doc"])
        if stated is None:
            continue
        compared += 1
        default = found["default"]
        if stated[1] == "empty":
            assert default in {"", "[]"}, name
        elif stated[1] == "none":
            assert default in {None, "none"}, name
        elif found["type"] in {"double", "int64", "uint"}:
            assert float(default) == float(stated[1]), name
        else:
            assert default == stated[1], name
    assert compared > 50


def test_every_number_says_its_unit_and_an_authored_one_its_range(
    properties: dict[str, dict[str, Any]],
) -> None:
    numbers = {k: v for k, v in properties.items() if v["type"] in {"double", "int64", "uint"}}
    for name, found in numbers.items():
        if found["uniform"]:
            assert "Range: " in found["doc"], name
        meaning = found["doc"].partition("Range: ")[0]
        if found["type"] == "double":
            assert re.search(r"\[[^\]]+\]|\bunit\b|Seconds|wire value \* scale", meaning), name


def test_what_the_service_writes_varies_and_what_describes_the_plant_does_not(
    properties: dict[str, dict[str, Any]],
) -> None:
    varying = {
        name
        for name, found in properties.items()
        if found["type"] != "rel" and not found["uniform"]
    }
    health = {name for name in properties if name.startswith(SERVICE_SCHEMA)}
    assert varying - health == {
        "TwinAlarmAPI.cause",
        "TwinAlarmAPI.since",
        "TwinAlarmAPI.state",
        "TwinAssetAPI.twin:alarmState",
        "TwinAssetAPI.twin:cause",
        "TwinCommandAPI.cause",
        "TwinCommandAPI.request",
        "TwinCommandAPI.status",
        "TwinConnection.twin:cause",
        "TwinConnection.twin:lastSeen",
        "TwinConnection.twin:state",
        "TwinModelAPI.cause",
        "TwinModelAPI.state",
        "TwinTelemetryAPI.quality",
        "TwinTelemetryAPI.residual",
        "TwinTelemetryAPI.residualSigma",
        "TwinTelemetryAPI.status",
        "TwinTelemetryAPI.time",
    }
    assert health <= varying


def test_the_schema_leaves_values_and_limits_to_the_assets(
    properties: dict[str, dict[str, Any]],
) -> None:
    assert [name for name, found in properties.items() if found["limits"]] == []
    names = {name.partition(".")[2] for name in properties}
    assert not names & AUTHORED_BY_ASSETS
    assert not [name for name in names if name.startswith("param:")]


def test_types_go_by_their_plain_names() -> None:
    code = """
import json
import stagetwin
from pxr import Usd
stage = Usd.Stage.CreateInMemory()
prim = stage.DefinePrim("/Pump", "Xform")
print(json.dumps({
    "can": bool(prim.CanApplyAPI("TwinTelemetryAPI", "flow")),
    "applied": [prim.ApplyAPI("TwinTelemetryAPI", "flow"), prim.ApplyAPI("TwinAssetAPI")],
    "schemas": sorted(prim.GetAppliedSchemas()),
    "has": prim.HasAPI("TwinTelemetryAPI", "flow"),
    "stale after": prim.GetAttribute("twin:telemetry:flow:staleAfter").Get(),
    "level": prim.GetAttribute("twin:level").Get(),
    "connection": stage.DefinePrim("/Broker", "TwinConnection").GetTypeName(),
    "realm": stage.GetPrimAtPath("/Broker").GetAttribute("twin:realm").Get(),
}))
"""
    assert python(code) == {
        "can": True,
        "applied": [True, True],
        "schemas": ["TwinAssetAPI", "TwinTelemetryAPI:flow"],
        "has": True,
        "stale after": 10.0,
        "level": "shadow",
        "connection": "TwinConnection",
        "realm": "simulation",
    }


@pytest.mark.parametrize(
    ("before", "plugin_path", "registered", "added"),
    [
        pytest.param("", None, True, True, id="import first"),
        pytest.param("from pxr import Usd, UsdGeom", None, True, True, id="pxr imported first"),
        pytest.param("from pxr import Usd; Usd.SchemaRegistry()", None, False, True, id="late"),
        pytest.param(
            "from pxr import Usd; Usd.Stage.CreateInMemory().DefinePrim('/A', 'Xform')",
            None,
            False,
            True,
            id="late, after a stage",
        ),
        pytest.param("", str(SCHEMA_FOLDER), True, False, id="on the plugin path"),
        pytest.param(
            "from pxr import Usd; Usd.SchemaRegistry()",
            str(SCHEMA_FOLDER),
            True,
            False,
            id="on the plugin path, late",
        ),
    ],
)
def test_registration_tells_whether_it_came_in_time(
    before: str, plugin_path: str | None, registered: bool, added: bool
) -> None:
    code = f"""
import json
{before}
import runpy
schema = runpy.run_path({str(SCHEMA_FOLDER.parent / "_schema.py")!r})
print(json.dumps([schema["register"](), schema["register"](), schema["is_registered"]()]))
"""
    assert python(code, plugin_path=plugin_path) == [added, False, registered]


def test_importing_the_package_registers_once() -> None:
    code = """
import json
import stagetwin
from stagetwin import _schema
from pxr import Plug
named = [p.name for p in Plug.Registry().GetAllPlugins() if p.name == "stagetwin"]
print(json.dumps([_schema.is_registered(), _schema.register(), named]))
"""
    assert python(code) == [True, False, ["stagetwin"]]
    assert python(code, plugin_path=str(SCHEMA_FOLDER)) == [True, False, ["stagetwin"]]


def make_schema(root: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "stages" / "make_schema.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_generated_files_are_what_the_source_makes() -> None:
    done = make_schema(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def copied(tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of the schema, its generator and its reference, to break."""
    for name in (
        "stages/make_schema.py",
        "stages/stagetwin/schema/schema.usda",
        "stages/stagetwin/schema/generatedSchema.usda",
        "stages/stagetwin/schema/plugInfo.json",
        "docs/schema.md",
    ):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_a_changed_source_is_noticed_and_made_anew(copied: pathlib.Path) -> None:
    source = copied / "stages" / "stagetwin" / "schema" / "schema.usda"
    source.write_text(
        source.read_text().replace("Serial number of the", "The maker's serial of the")
    )
    done = make_schema(copied, "--check")
    assert done.returncode == 1
    assert "+" in done.stdout
    assert "make schema" in done.stderr
    assert make_schema(copied).returncode == 0
    assert make_schema(copied, "--check").returncode == 0
    assert "The maker's serial" in (copied / "docs" / "schema.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Default: shadow.", "Default: twin.", "twin:level.*'twin'.*'shadow'"),
        (
            'doc = "Serial number of the physical machine. Default: empty."',
            "",
            "twin:serial.*no doc string",
        ),
        (
            'displayName = "Scale"',
            'displayName = "Scale"\n        limits = { dictionary hard = { double maximum = 5 } }',
            "scale.*limits are the asset's",
        ),
    ],
    ids=["default", "documentation", "limits"],
)
def test_a_source_that_breaks_a_rule_is_refused(
    copied: pathlib.Path, old: str, new: str, complaint: str
) -> None:
    source = copied / "stages" / "stagetwin" / "schema" / "schema.usda"
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    done = make_schema(copied)
    assert done.returncode == 2
    assert re.search(complaint, done.stderr), done.stderr
