"""Bindings: what a stage says is live, read into a table of channels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from stagetwin.bindings import ChannelIndex, Limits, read_bindings
from stagetwin.ports import ValueKind
from stagetwin.twin import open_stage
from tests.stages.conftest import MakePlant
from tests.stages.plants import (
    HEADER,
    Plant,
    asset,
    command,
    connection,
    limits_of,
    only,
    paths_of,
    plant,
    prim,
    stage_of,
    table_of,
    telemetry,
)

ROOT = Path(__file__).parents[2]


def test_a_binding_says_where_its_value_comes_from_and_what_it_drives() -> None:
    signal = telemetry(
        "flow",
        "float",
        "p/flow",
        hard=(0, 100),
        soft=(10, 90),
        field="v",
        encoding="json",
        unit="m3/h",
        scale=0.5,
        offset=1.0,
        deadband=0.25,
        staleAfter=3.0,
    )
    table = table_of(plant(prim("P1", asset("P-101", level="twin"), signal)))
    binding = only(table)
    assert binding.path == "/Plant/P1.flow"
    assert (binding.asset, binding.connection) == ("/Plant/P1", "line")
    assert (binding.address, binding.field, binding.encoding) == ("p/flow", "v", "json")
    assert (binding.unit, binding.scale, binding.offset) == ("m3/h", 0.5, 1.0)
    assert (binding.deadband, binding.stale_after) == (0.25, 3.0)
    assert binding.target == "/Plant/P1.twin:telemetry:flow:value"
    assert (binding.type_name, binding.element) == ("float", -1)
    assert binding.limits == Limits(0, 100, 10, 90)
    assert (table.assets["/Plant/P1"].id, table.assets["/Plant/P1"].level) == ("P-101", "twin")
    (channel,) = table.channels("line")
    assert channel.kind is ValueKind.NUMBER
    assert table.channels("another") == []


def test_unsaid_attributes_have_the_schemas_defaults() -> None:
    binding = only(table_of(plant(prim("P1", telemetry("flow", address="f")))))
    assert (binding.unit, binding.scale, binding.offset, binding.encoding) == ("1", 1, 0, "auto")
    assert (binding.deadband, binding.stale_after, binding.redundancy_group) == (0, 10, "")
    assert binding.limits == Limits()
    assert binding.asset == "/Plant"


def test_the_nearest_ancestors_connection_carries_a_signal_unless_it_names_one() -> None:
    signals = [telemetry("a", address="a"), telemetry("b", address="b", connection="third")]
    text = (
        HEADER
        + "".join(connection(name) for name in ("first", "second", "third"))
        + prim(
            "Plant",
            asset(connection="first"),
            prim("Far", telemetry("c", address="c")),
            prim("Near", asset(connection="second"), prim("P", *signals)),
        )
    )
    table = table_of(text)
    assert {b.signal: b.connection for b in table.telemetry.values()} == {
        "a": "second",
        "b": "third",
        "c": "first",
    }


def test_a_connection_may_come_after_what_uses_it() -> None:
    pump = prim("P1", asset(connection="late"), telemetry("flow", address="f"))
    assert only(table_of(HEADER + pump + connection("late"))).connection == "late"


def test_the_tightest_limit_over_all_layers_counts() -> None:
    """A stronger layer may tighten what a weaker one says, and cannot loosen it."""
    plant_text = plant(prim("P1", telemetry("flow", address="f", hard=(0, 100), soft=(10, 90))))
    stage = stage_of(plant_text)
    site = Sdf.Layer.CreateAnonymous("site.usda")
    value = limits_of(hard=(20, 500), soft=(-5, 80))
    opinion = prim("P1", f"double twin:telemetry:flow:value {value}", specifier="over")
    site.ImportFromString(HEADER + prim("Plant", opinion, specifier="over").replace("Xform", ""))
    stage.GetSessionLayer().subLayerPaths.append(site.identifier)
    assert only(read_bindings(stage)).limits == Limits(20, 100, 10, 80)


def test_an_existing_attribute_and_an_xform_op_are_driven_by_relationship(live: MakePlant) -> None:
    text = plant(
        prim(
            "P1",
            asset(),
            "double rpm:live = 0",
            "matrix4d xformOp:transform:live",
            'uniform token[] xformOpOrder = ["xformOp:transform:live"]',
            telemetry("rpm", address="rpm", target="/Plant/P1.rpm:live"),
            telemetry("pose", address="pose", target="/Plant/P1.xformOp:transform:live"),
            prim("Light", "bool on = false", type_name="Scope"),
            telemetry("on", address="on", target="/Plant/P1/Light.on"),
        )
    )
    twin = live(text)
    pose = Gf.Matrix4d().SetTranslate(Gf.Vec3d(1, 2, 3))
    twin.send("rpm", 1480.5)
    twin.send("pose", [list(row) for row in pose])
    twin.tell("on", True)
    assert twin.get("/Plant/P1.rpm:live") == 1480.5
    assert twin.get("/Plant/P1/Light.on") is True
    xform = UsdGeom.Xformable(twin.stage.GetPrimAtPath("/Plant/P1"))
    assert xform.GetLocalTransformation() == pose
    assert twin.quality("/Plant/P1.rpm") == "good"


def test_a_target_follows_references_and_forwards_through_a_relationship(tmp_path: Path) -> None:
    (tmp_path / "pump.usda").write_text(
        HEADER.replace('"Z"', '"Z"\n    defaultPrim = "Pump"')
        + prim(
            "Pump",
            asset(),
            "rel driven = </Pump/Rotor.speed>",
            telemetry("rpm", address="{prim.name}", target="/Pump.driven"),
            prim("Rotor", "float speed = 0"),
        )
    )
    text = plant(prim("P1", meta="references = @pump.usda@"))
    binding = only(read_bindings(stage_of(text, tmp_path / "plant.usda")))
    assert binding.target == "/Plant/P1/Rotor.speed"
    assert binding.address == "P1"


def test_fifty_references_of_one_asset_are_fifty_live_machines(
    live: MakePlant, tmp_path: Path
) -> None:
    (tmp_path / "pump.usda").write_text(
        HEADER.replace('"Z"', '"Z"\n    defaultPrim = "Pump"')
        + prim("Pump", asset(), telemetry("flow", "float", "{twin:var:area}/{twin:id}/{signal}"))
    )
    pumps = [
        prim(
            f"P{i}",
            f'uniform string twin:id = "P-{i:03}"',
            meta=f"references = @pump.usda@\ninstanceable = {str(i % 2 == 0).lower()}",
        )
        for i in range(50)
    ]
    twin = live(stage_of(plant('string twin:var:area = "north"', *pumps), tmp_path / "plant.usda"))
    assert twin.codes() == []
    for i in range(50):
        twin.send(f"north/P-{i:03}/flow", i / 2)
    twin.tick()
    assert [twin.get(f"/Plant/P{i}.flow") for i in range(50)] == [i / 2 for i in range(50)]


def test_a_class_gives_its_bindings_to_all_that_inherit_it(live: MakePlant) -> None:
    """A site's class overrides every pump; a local opinion wins over it."""
    text = (
        HEADER
        + connection()
        + prim(
            "_Pump",
            asset(connection="line"),
            telemetry("flow", address="{prim.name}/flow", scale=2.0),
            specifier="class",
        )
        + prim("P1", meta="inherits = </_Pump>")
        + prim("P2", "uniform double twin:telemetry:flow:scale = 5", meta="inherits = </_Pump>")
    )
    twin = live(text)
    assert twin.codes() == []
    assert sorted(b.prim for b in twin.twin.table.telemetry.values()) == ["/P1", "/P2"]
    twin.send("P1/flow", 1.0)
    twin.tell("P2/flow", 1.0)
    assert (twin.get("/P1.flow"), twin.get("/P2.flow")) == (2.0, 5.0)


def instanced_plant(tmp_path: Path) -> Usd.Stage:
    (tmp_path / "skid.usda").write_text(
        HEADER.replace('"Z"', '"Z"\n    defaultPrim = "Skid"')
        + prim(
            "Skid",
            asset(),
            telemetry("flow", address="{prim.name}/flow"),
            telemetry("lamp", address="{prim.name}/lamp", target="/Skid/Motor.lamp"),
            prim("Motor", "double lamp = 0", telemetry("rpm", address="{prim.path}/rpm")),
        )
    )
    meta = "references = @skid.usda@\ninstanceable = true"
    return stage_of(plant(prim("A", meta=meta), prim("B", meta=meta)), tmp_path / "plant.usda")


def test_an_instance_root_is_driven_and_what_lies_below_is_reported(
    live: MakePlant, tmp_path: Path
) -> None:
    twin = live(instanced_plant(tmp_path))
    problems = twin.twin.table.problems
    assert {p.code for p in problems} == {"below-instance"}
    assert [(p.prim, p.signal) for p in problems] == [
        ("/Plant/A", "lamp"),
        ("/Plant/A/Motor", "rpm"),
        ("/Plant/B", "lamp"),
        ("/Plant/B/Motor", "rpm"),
    ]
    assert all("/Plant/A" in p.message for p in problems[:2])
    twin.send("A/flow", 1.0)
    twin.tell("B/flow", 2.0)
    assert (twin.get("/Plant/A.flow"), twin.get("/Plant/B.flow")) == (1.0, 2.0)
    assert twin.stage.GetPrimAtPath("/Plant/A").IsInstance()


INSTANCER = """
def PointInstancer "Fleet" (
    prepend apiSchemas = [{apis}]
)
{{
    int[] protoIndices = [0, 0, 0]
    {ids}
    point3f[] positions = {positions}
    rel prototypes = <Robot>
{body}
    def Cube "Robot" {{
    }}
}}
"""


def fleet(*parts: object, ids: str = "", positions: str = "[(0,0,0), (0,0,0), (0,0,0)]") -> str:
    apis = ", ".join(f'"{part.api}"' for part in parts)  # type: ignore[attr-defined]
    body = "".join(part.text for part in parts)  # type: ignore[attr-defined]
    return plant(INSTANCER.format(apis=apis, ids=ids, positions=positions, body=body))


def poses(twin: Plant) -> list[Gf.Vec3d]:
    instancer = UsdGeom.PointInstancer(twin.stage.GetPrimAtPath("/Plant/Fleet"))
    time = Usd.TimeCode.Default()
    found = instancer.ComputeInstanceTransformsAtTime(time, time)
    return [matrix.ExtractTranslation() for matrix in found]


@pytest.mark.parametrize(
    ("ids", "names"), [("", ["0", "1", "2"]), ("int64[] ids = [70, 80, 90]", ["70", "80", "90"])]
)
def test_each_element_of_an_instancer_is_a_channel_by_its_name(
    live: MakePlant, ids: str, names: list[str]
) -> None:
    signal = telemetry("pos", address="amr/{instance}/pos", target="/Plant/Fleet.positions")
    twin = live(fleet(signal, ids=ids))
    assert twin.codes() == []
    addresses = [b.address for b in twin.twin.table.telemetry.values()]
    assert addresses == [f"amr/{name}/pos" for name in names]
    twin.send(f"amr/{names[2]}/pos", {"x": 1, "y": 2, "z": 3})
    twin.tell(f"amr/{names[0]}/pos", [7, 8, 9])
    assert poses(twin) == [(7, 8, 9), (0, 0, 0), (1, 2, 3)]
    twin.tell(f"amr/{names[1]}/pos", [4, 5, 6])
    assert poses(twin) == [(7, 8, 9), (4, 5, 6), (1, 2, 3)]


def test_an_element_may_be_named_by_the_field_of_one_message(live: MakePlant) -> None:
    signal = telemetry("pos", address="fleet", field="{instance}", target="/Plant/Fleet.positions")
    twin = live(fleet(signal))
    assert twin.codes() == []
    twin.tell("fleet", {"0": [1, 0, 0], "1": [2, 0, 0], "2": [3, 0, 0]})
    assert poses(twin) == [(1, 0, 0), (2, 0, 0), (3, 0, 0)]


@pytest.mark.parametrize(
    ("ids", "target_id", "row"), [("", 2, 2), ("int64[] ids = [70, 80, 90]", 80, 1)]
)
def test_one_element_is_driven_by_its_id(
    live: MakePlant, ids: str, target_id: int, row: int
) -> None:
    signal = telemetry("pos", address="pos", target="/Plant/Fleet.positions", targetId=target_id)
    twin = live(fleet(signal, ids=ids))
    twin.tell("pos", [1, 1, 1])
    expected = [Gf.Vec3d(0)] * 3
    expected[row] = Gf.Vec3d(1)
    assert poses(twin) == expected


@pytest.mark.parametrize("target_id", [-1, 0])
def test_an_array_that_was_not_seeded_gets_its_full_length(live: MakePlant, target_id: int) -> None:
    """Arrays of other lengths than the instancer's draw nothing at all."""
    address = "q" if target_id >= 0 else "q/{instance}"
    turn = telemetry(
        "turn", address=address, target="/Plant/Fleet.orientations", targetId=target_id
    )
    twin = live(fleet(turn))
    assert twin.codes() == ["not-seeded"]
    assert len(poses(twin)) == 3
    twin.tell("q" if target_id >= 0 else "q/0", [0, 0, 1, 0])
    orientations = list(twin.get("/Plant/Fleet.orientations"))
    assert orientations == [Gf.Quath(0, Gf.Vec3h(0, 0, 1)), Gf.Quath(1), Gf.Quath(1)]
    assert len(poses(twin)) == 3


def test_scales_that_were_not_seeded_are_one(live: MakePlant) -> None:
    size = telemetry("size", address="s/{instance}", target="/Plant/Fleet.scales")
    twin = live(fleet(size))
    twin.tell("s/1", [2, 2, 2])
    assert list(twin.get("/Plant/Fleet.scales")) == [Gf.Vec3f(1), Gf.Vec3f(2), Gf.Vec3f(1)]


def test_elements_of_a_plain_array_are_driven_by_index(live: MakePlant) -> None:
    lamps = telemetry("lamps", address="lamp/{instance}", target="/Plant/P1.lamps")
    counts = telemetry("counts", address="count", target="/Plant/P1.counts", targetId=1)
    names = telemetry("names", address="name/{instance}", target="/Plant/P1.names")
    twin = live(
        plant(
            prim(
                "P1",
                asset(),
                "bool[] lamps = [false, false, false]",
                "int64[] counts = [5, 6]",
                'string[] names = ["a", "b"]',
                lamps,
                counts,
                names,
            )
        )
    )
    assert twin.codes() == []
    twin.send("lamp/1", True)
    twin.send("name/1", "drei")
    twin.tell("count", 2**60 + 1)
    assert list(twin.get("/Plant/P1.lamps")) == [False, True, False]
    assert list(twin.get("/Plant/P1.counts")) == [5, 2**60 + 1]
    assert list(twin.get("/Plant/P1.names")) == ["a", "drei"]


def test_a_binding_keeps_its_index_and_another_address_is_another_channel() -> None:
    index = ChannelIndex()
    stage = stage_of(plant(prim("P1", telemetry("a", address="a"), telemetry("b", address="b"))))
    before = {b.signal: i for i, b in read_bindings(stage, index).telemetry.items()}
    attr = stage.GetAttributeAtPath("/Plant/P1.twin:telemetry:a:address")
    attr.Set("other")
    between = {b.signal: i for i, b in read_bindings(stage, index).telemetry.items()}
    assert between["b"] == before["b"]
    assert between["a"] not in before.values()
    attr.Set("a")
    assert {b.signal: i for i, b in read_bindings(stage, index).telemetry.items()} == before


def test_commands_are_read_with_their_guards() -> None:
    text = plant(
        prim(
            "P1",
            asset("P-101", level="twin", roles=["operator"]),
            telemetry("rpm", address="rpm"),
            telemetry("ready", "bool", "ready"),
            command(
                "speed",
                address="{twin:id}/speed",
                hard=(0, 3000),
                permissives="/Plant/P1.twin:telemetry:ready:value",
                readback="/Plant/P1.twin:telemetry:rpm:value",
                rateLimit=50.0,
                approval="dual",
                policyClass="routine",
                expiry=3.0,
            ),
        )
    )
    table = table_of(text)
    assert table.problems == []
    (found,) = table.commands
    assert (found.asset, found.signal, found.address) == ("/Plant/P1", "speed", "P-101/speed")
    assert found.limits == Limits(0, 3000)
    assert found.permissives == ("/Plant/P1.twin:telemetry:ready:value",)
    assert found.readback == "/Plant/P1.twin:telemetry:rpm:value"
    assert (found.rate_limit, found.approval, found.expiry) == (50, "dual", 3)
    assert table.assets["/Plant/P1"].roles == ("operator",)


EXISTING = HEADER.replace('"Z"', '"Z"\n    defaultPrim = "World"') + prim(
    "World",
    prim("Pump", "double rpm:live = 0", "float vib:live = 0", 'string note = "from the maker"'),
)


def test_a_sidecar_layer_makes_an_existing_stage_live(live: MakePlant, tmp_path: Path) -> None:
    """Acceptance (a): `rpm:live` and `vib:live` of a pump on a stage without our schema."""
    existing, sidecar = tmp_path / "existing.usda", tmp_path / "sidecar.usda"
    existing.write_text(EXISTING)
    pump = prim(
        "Pump",
        asset("P-101", connection="line"),
        telemetry("rpm", address="p", field="rpm", target="/World/Pump.rpm:live"),
        telemetry("vib", address="p", field="vib", target="/World/Pump.vib:live", unit="mm/s"),
        specifier="over",
    )
    sidecar.write_text(HEADER + connection() + prim("World", pump, specifier="over"))
    before = existing.read_bytes()
    twin = live(open_stage(existing, (sidecar,)))
    assert twin.codes() == []
    twin.tell("p", {"rpm": 1480.25, "vib": 2.5})
    assert twin.get("/World/Pump.rpm:live") == 1480.25
    assert twin.get("/World/Pump.vib:live") == 2.5
    assert twin.quality("/World/Pump.rpm") == "good"
    assert twin.stage.GetDefaultPrim().GetPath() == "/World"
    assert UsdGeom.GetStageUpAxis(twin.stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(twin.stage) == 1.0
    assert existing.read_bytes() == before


WITHOUT_PLUGIN = """
import sys, json, types
import importlib.util
# The package without its registration: a stage must not need the plugin to be read.
spec = importlib.util.find_spec("stagetwin")
package = types.ModuleType("stagetwin")
package.__path__ = list(spec.submodule_search_locations)
sys.modules["stagetwin"] = package
from tests.stages.plants import Plant, stage_of
from stagetwin import _schema
text = sys.stdin.read()
plant = Plant(stage_of(text))
plant.tell("flow", 4.5)
print(json.dumps({
    "registered": _schema.is_registered(),
    "problems": [str(p) for p in plant.twin.table.problems],
    "value": plant.get("/Plant/P1.flow"),
    "quality": plant.quality("/Plant/P1.flow"),
    "commands": len(plant.twin.table.commands),
}))
plant.close()
"""


def test_a_stage_is_read_and_driven_without_the_schema_plugin() -> None:
    text = plant(prim("P1", asset("P-101"), telemetry("flow", address="flow"), command("speed")))
    folders = [str(ROOT), *(str(ROOT / room) for room in ("stages", "bridges", "sim"))]
    environment = {k: v for k, v in os.environ.items() if k != "PXR_PLUGINPATH_NAME"}
    environment["PYTHONPATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PLUGIN],
        input=text,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "registered": False,
        "problems": [],
        "value": 4.5,
        "quality": "good",
        "commands": 1,
    }


def test_a_hidden_or_abstract_prim_is_not_live() -> None:
    signal = telemetry("flow", address="f")
    table = table_of(
        plant(
            prim("Off", signal, meta="active = false"),
            prim("Class", signal, specifier="class"),
            prim("Over", signal, specifier="over").replace("over Xform", "over"),
            prim("On", signal),
        )
    )
    assert [b.prim for b in table.telemetry.values()] == ["/Plant/On"]
    assert paths_of(table.problems, "") == []
