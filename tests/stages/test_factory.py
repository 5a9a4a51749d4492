"""The example plant: composed without errors, fully said, and made again byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade

FACTORY = Path(__file__).resolve().parents[2] / "stages" / "factory"
ASSETS = sorted((FACTORY / "assets").glob("*.usda"))
SCALARS = {"double", "float", "int", "int64"}
REQUIRED_ASSETS = {
    "pump", "tank", "motor", "conveyor", "valve", "arm", "wind_turbine", "energy_meter", "amr",
    "charger", "station",
}  # fmt: skip


def make_factory(out: Path, *options: str) -> None:
    """Run the script as `make factory` does."""
    command = [sys.executable, "-W", "error", str(FACTORY / "make_factory.py")]
    subprocess.run([*command, "--out", str(out), *options], check=True, capture_output=True)


def schemas(prim: Usd.Prim, schema: str) -> list[str]:
    """Instance names of a multiple-apply schema on a prim, plugin or not."""
    applied = prim.GetPrimTypeInfo().GetAppliedAPISchemas()
    return [name.partition(":")[2] for name in applied if name.startswith(f"{schema}:")]


def signals(stage: Usd.Stage) -> Iterator[tuple[Usd.Prim, str]]:
    for prim in stage.Traverse():
        for name in schemas(prim, "TwinTelemetryAPI"):
            yield prim, name


def commands(stage: Usd.Stage) -> Iterator[tuple[Usd.Prim, str]]:
    for prim in stage.Traverse():
        for name in schemas(prim, "TwinCommandAPI"):
            yield prim, name


def driven(prim: Usd.Prim, signal: str) -> Usd.Attribute:
    """The attribute that a signal drives: its target, else its value."""
    prefix = f"twin:telemetry:{signal}"
    targets = prim.GetRelationship(f"{prefix}:target").GetTargets()
    if targets:
        return prim.GetStage().GetAttributeAtPath(targets[0])
    return prim.GetAttribute(f"{prefix}:value")


def counts(stage: Usd.Stage) -> tuple[int, int]:
    return len(list(signals(stage))), len(list(commands(stage)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("factory")
    make_factory(out)
    return out


@pytest.fixture(scope="module")
def plant() -> Usd.Stage:
    return Usd.Stage.Open(str(FACTORY / "factory.usda"))


@pytest.fixture(scope="module")
def testbed() -> Usd.Stage:
    return Usd.Stage.Open(str(FACTORY / "pump_station.usda"))


@pytest.fixture(scope="module")
def fleet() -> Usd.Stage:
    return Usd.Stage.Open(str(FACTORY / "fleet.usda"))


@pytest.fixture
def fresh() -> Usd.Stage:
    """A stage of one test's own, to be edited in its session layer."""
    layer = Sdf.Layer.FindOrOpen(str(FACTORY / "factory.usda"))
    return Usd.Stage.Open(layer, Sdf.Layer.CreateAnonymous())


def test_generation_is_reproducible(made: Path) -> None:
    names = {path.relative_to(made) for path in made.rglob("*.usda")}
    committed = [*FACTORY.glob("*.usda"), *ASSETS]
    assert names == {path.relative_to(FACTORY) for path in committed}
    differing = [n for n in sorted(names) if (made / n).read_bytes() != (FACTORY / n).read_bytes()]
    assert differing == [], "run `make factory` and commit the result"


def test_all_machines_are_there(plant: Usd.Stage) -> None:
    assert {path.stem for path in ASSETS} >= REQUIRED_ASSETS
    world = plant.GetPrimAtPath("/World")
    assert world == plant.GetDefaultPrim()
    vehicles = UsdGeom.PointInstancer.Get(plant, "/World/Logistics/Fleet")
    assert list(vehicles.GetIdsAttr().Get()) == list(range(1, 13))
    assert len(vehicles.ComputeInstanceTransformsAtTime(0, 0)) == 12
    assert len(vehicles.GetOrientationsAttr().Get()) == 12
    arms = [p for p in plant.Traverse() if p.HasAPI(UsdPhysics.ArticulationRootAPI)]
    assert [str(arm.GetPath()) for arm in arms] == ["/World/RobotCell/R01", "/World/RobotCell/R02"]
    cameras = [p.GetName() for p in plant.Traverse() if p.IsA(UsdGeom.Camera)]
    assert "Overview" in cameras
    assert len(plant.GetPrototypes()) > 5


def test_counts(plant: Usd.Stage) -> None:
    signal_count, command_count = counts(plant)
    assert signal_count >= 300
    assert command_count >= 40


@pytest.mark.parametrize("name", ["factory.usda", "pump_station.usda", "fleet.usda"])
def test_stages_compose(name: str) -> None:
    stage = Usd.Stage.Open(str(FACTORY / name))
    assert stage.GetCompositionErrors() == []
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert Usd.ModelAPI(stage.GetDefaultPrim()).GetKind() == Kind.Tokens.assembly


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.stem)
def test_assets_compose(path: Path) -> None:
    stage = Usd.Stage.Open(str(path))
    assert stage.GetCompositionErrors() == []
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert Usd.ModelAPI(stage.GetDefaultPrim()).GetKind() == Kind.Tokens.component


def test_kinds_nest(plant: Usd.Stage) -> None:
    groups = {Kind.Tokens.assembly, Kind.Tokens.group}
    seen: Counter[str] = Counter()
    for prim in plant.Traverse():
        kind = Usd.ModelAPI(prim).GetKind()
        seen[kind] += 1
        if Kind.Registry.IsA(kind, Kind.Tokens.model) and prim != plant.GetDefaultPrim():
            assert Usd.ModelAPI(prim.GetParent()).GetKind() in groups, prim.GetPath()
    assert seen[Kind.Tokens.assembly] == 1
    assert seen[Kind.Tokens.component] > 40
    assert seen[Kind.Tokens.subcomponent] > 0


def check_said(prim: Usd.Prim, attribute: Usd.Attribute, prefix: str) -> None:
    """A signal or command says its unit and its address, and a number says its limits."""
    where = f"{prim.GetPath()} {prefix}"
    assert attribute.IsDefined(), where
    assert prim.GetAttribute(f"{prefix}:unit").Get(), where
    assert prim.GetAttribute(f"{prefix}:address").Get(), where
    if str(attribute.GetTypeName()) in {*SCALARS, "double3", "double[]"}:
        limits = attribute.GetHardLimits()
        low, high = limits.GetMinimum(), limits.GetMaximum()
        assert low is not None, where
        assert high is not None, where
        pairs: list[tuple[Any, Any]] = [(low, high)]
        if str(attribute.GetTypeName()) not in SCALARS:
            pairs = list(zip(low, high, strict=True))
        assert all(a < b for a, b in pairs), where


@pytest.mark.parametrize("name", ["plant", "testbed", "fleet"])
def test_signals_say_unit_type_and_limits(name: str, request: pytest.FixtureRequest) -> None:
    for prim, signal in signals(request.getfixturevalue(name)):
        check_said(prim, driven(prim, signal), f"twin:telemetry:{signal}")


@pytest.mark.parametrize("name", ["plant", "fleet"])
def test_commands_say_unit_type_and_limits(name: str, request: pytest.FixtureRequest) -> None:
    stage: Usd.Stage = request.getfixturevalue(name)
    for prim, command in commands(stage):
        prefix = f"twin:command:{command}"
        check_said(prim, prim.GetAttribute(f"{prefix}:desired"), prefix)
        assert prim.GetAttribute("twin:level").Get() == "twin"
        for permissive in prim.GetRelationship(f"{prefix}:permissives").GetTargets():
            attribute = stage.GetAttributeAtPath(permissive)
            assert attribute.GetTypeName() == Sdf.ValueTypeNames.Bool
            assert attribute.GetPrim() == prim
        for readback in prim.GetRelationship(f"{prefix}:readback").GetTargets():
            attribute = stage.GetAttributeAtPath(readback)
            desired = prim.GetAttribute(f"{prefix}:desired")
            assert attribute.GetTypeName() == desired.GetTypeName()


def test_the_vehicles_of_the_cross_dock_are_commanded_by_ids_of_their_own(
    fleet: Usd.Stage,
) -> None:
    vehicles = [p for p in fleet.Traverse() if schemas(p, "TwinCommandAPI")]
    assert [p.GetName() for p in vehicles] == [f"AMR0{k}" for k in range(1, 9)]
    assert len({p.GetAttribute("twin:id").Get() for p in vehicles}) == 8


def test_ids_are_unique(plant: Usd.Stage) -> None:
    ids = [p.GetAttribute("twin:id").Get() for p in plant.Traverse() if p.HasAttribute("twin:id")]
    assert len(ids) > 40
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    bound = [p for p in plant.Traverse() if schemas(p, "TwinTelemetryAPI")]
    assert all(prim.GetAttribute("twin:id").Get() for prim in bound)


def test_every_flavour_of_binding_is_used(plant: Usd.Stage) -> None:
    types = {str(driven(prim, signal).GetTypeName()) for prim, signal in signals(plant)}
    assert types >= {
        "double", "float", "int", "int64", "bool", "string", "token", "double3", "matrix4d",
        "double[]", "point3f[]", "quath[]",
    }  # fmt: skip
    used: set[str] = set()
    for prim, signal in signals(plant):
        names = ("encoding", "scale", "offset", "deadband", "redundancyGroup", "field", "target")
        used |= {n for n in names if prim.GetProperty(f"twin:telemetry:{signal}:{n}").IsAuthored()}
        used.add(str(prim.GetAttribute(f"twin:telemetry:{signal}:encoding").Get()))
        used |= {
            v
            for v in ("{instance}", "{twin:var:area}", "{twin:id}", "{signal}")
            if v in prim.GetAttribute(f"twin:telemetry:{signal}:address").Get()
        }
    assert used >= {
        "scale", "offset", "deadband", "redundancyGroup", "field", "target", "text", "struct",
        "{instance}", "{twin:var:area}", "{twin:id}", "{signal}",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "least"), [("plant", 40), ("fleet", 8)])
def test_targets_lie_in_the_same_asset(
    name: str, least: int, request: pytest.FixtureRequest
) -> None:
    found = 0
    stage: Usd.Stage = request.getfixturevalue(name)
    for prim, signal in signals(stage):
        for target in prim.GetRelationship(f"twin:telemetry:{signal}:target").GetTargets():
            found += 1
            assert target.HasPrefix(prim.GetPath())
            attribute = stage.GetAttributeAtPath(target)
            assert attribute.IsDefined(), target
            assert attribute.HasAuthoredValue(), f"{target} has no seed"
            assert not attribute.GetPrim().IsInstanceProxy()
            if attribute.GetName().startswith("xformOp:"):
                xform = UsdGeom.Xformable(attribute.GetPrim())
                names = [op.GetOpName() for op in xform.GetOrderedXformOps()]
                assert attribute.GetName() in names
    assert found >= least


def test_redundant_levels_share_their_target(plant: Usd.Stage) -> None:
    tank = plant.GetPrimAtPath("/World/Line1/TK101")
    assert driven(tank, "level_a") == driven(tank, "level_b")
    groups = {tank.GetAttribute(f"twin:telemetry:level_{x}:redundancyGroup").Get() for x in "ab"}
    assert groups == {"level"}


def test_a_class_override_reaches_every_pump(plant: Usd.Stage, fresh: Usd.Stage) -> None:
    pumps = [p for p in plant.Traverse() if "seal_pressure" in schemas(p, "TwinTelemetryAPI")]
    assert len(pumps) == 6
    for pump in pumps:
        limits = pump.GetAttribute("twin:telemetry:bearing_temperature:value").GetHardLimits()
        assert limits.GetMaximum() == 110.0
    site = Sdf.Layer.CreateAnonymous()
    site.ImportFromString(
        '#usda 1.0\nclass "_Pump" {\n'
        'uniform string twin:telemetry:flow:address = "other/{twin:id}"\n}\n'
    )
    fresh.GetSessionLayer().subLayerPaths.append(site.identifier)
    for pump in pumps:
        prim = fresh.GetPrimAtPath(pump.GetPath())
        assert prim.GetAttribute("twin:telemetry:flow:address").Get() == "other/{twin:id}"


def test_the_site_tightens_one_limit(plant: Usd.Stage) -> None:
    flow = "twin:telemetry:flow:value"
    one, other = (plant.GetPrimAtPath(f"/World/Line1/{tag}") for tag in ("P101", "P102"))
    assert one.GetAttribute(flow).GetHardLimits().GetMaximum() == 100.0
    assert other.GetAttribute(flow).GetHardLimits().GetMaximum() == 120.0
    root = plant.GetRootLayer()
    assert root.subLayerPaths[0] == "./site.usda"


def test_variants_switch(fresh: Usd.Stage) -> None:
    def lamp(path: str) -> str:
        prim = fresh.GetPrimAtPath(path)
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        return str(material.GetPrim().GetName())

    line = "/World/Line1"
    assert lamp(f"{line}/P101/Panel/Lamp") == "LightGreen"
    assert lamp(f"{line}/P103/Panel/Lamp") == "LightOff"
    fresh.SetEditTarget(fresh.GetSessionLayer())
    fresh.GetPrimAtPath(f"{line}/P101").GetVariantSet("state").SetVariantSelection("fault")
    assert lamp(f"{line}/P101/Panel/Lamp") == "LightRed"
    level = fresh.GetAttributeAtPath(f"{line}/TK101/Fluid.xformOp:scaleZ:level")
    assert level.Get() == pytest.approx(2.6)
    fresh.GetPrimAtPath(f"{line}/TK101").GetVariantSet("fill").SetVariantSelection("empty")
    assert level.Get() == pytest.approx(0.15)
    turn = fresh.GetAttributeAtPath(f"{line}/V101/Indicator.xformOp:rotateZ:position")
    assert turn.Get() == 90.0
    fresh.GetPrimAtPath(f"{line}/V101").GetVariantSet("position").SetVariantSelection("closed")
    assert turn.Get() == 0.0


def test_live_values_move_the_arm(fresh: Usd.Stage) -> None:
    arm = fresh.GetPrimAtPath("/World/RobotCell/R01")
    flange = driven(arm, "joint6").GetPrim()
    before = UsdGeom.Xformable(flange).ComputeLocalToWorldTransform(0).ExtractTranslation()
    fresh.SetEditTarget(fresh.GetSessionLayer())
    driven(arm, "joint1").Set(90.0)
    after = UsdGeom.Xformable(flange).ComputeLocalToWorldTransform(0).ExtractTranslation()
    assert Gf.Vec3d(after - before).GetLength() > 0.5
    assert after[2] == pytest.approx(before[2])


def test_joint_limits_agree_with_the_signals(plant: Usd.Stage) -> None:
    arm = plant.GetPrimAtPath("/World/RobotCell/R01")
    for index in range(1, 7):
        joint = UsdPhysics.RevoluteJoint.Get(plant, arm.GetPath().AppendPath(f"Joints/Axis{index}"))
        limits = driven(arm, f"joint{index}").GetHardLimits()
        assert joint.GetLowerLimitAttr().Get() == limits.GetMinimum()
        assert joint.GetUpperLimitAttr().Get() == limits.GetMaximum()


def test_connections_hold_no_secret_and_stay_on_loopback(
    plant: Usd.Stage, testbed: Usd.Stage
) -> None:
    found = {}
    for stage in (plant, testbed):
        for prim in stage.GetPrimAtPath("/World/Connections").GetChildren():
            assert prim.GetTypeName() == "TwinConnection"
            endpoint = prim.GetAttribute("twin:endpoint").Get()
            assert "@" not in endpoint
            assert "//127.0.0.1" in endpoint
            found[prim.GetName()] = prim.GetAttribute("twin:realm").Get()
    assert found == {
        "plant": "simulation",
        "fleet": "simulation",
        "energy": "simulation",
        "plc": "simulation",
        "testbed": "replay",
    }


def test_every_signal_has_a_connection(plant: Usd.Stage) -> None:
    known = {p.GetName() for p in plant.GetPrimAtPath("/World/Connections").GetChildren()}
    for prim, _ in signals(plant):
        ancestor = prim
        while not ancestor.GetAttribute("twin:connection").HasAuthoredValue():
            ancestor = ancestor.GetParent()
        assert ancestor.GetAttribute("twin:connection").Get() in known


def test_the_test_bed_binds_the_recorded_columns(testbed: Usd.Stage) -> None:
    bed = testbed.GetPrimAtPath("/World/TestBed")
    fields = {bed.GetAttribute(f"twin:telemetry:{s}:field").Get() for _, s in signals(testbed)}
    assert fields == {
        '["Accelerometer1RMS"]', "Accelerometer2RMS", "Current", "Pressure", "Temperature",
        "Thermocouple", "Voltage", '["Volume Flow RateRMS"]', "anomaly", "changepoint",
    }  # fmt: skip
    assert bed.GetAttribute("twin:connection").Get() == "testbed"


def test_scaling(tmp_path: Path, plant: Usd.Stage) -> None:
    make_factory(tmp_path, "--lines", "5")
    stage = Usd.Stage.Open(str(tmp_path / "factory.usda"))
    assert stage.GetCompositionErrors() == []
    more, base = counts(stage), counts(plant)
    per_line = tuple(
        sum(str(prim.GetPath()).startswith("/World/Line1") for prim, _ in kind(plant))
        for kind in (signals, commands)
    )
    assert more == (base[0] + 3 * per_line[0], base[1] + 3 * per_line[1])


def test_the_script_refuses_a_plant_without_lines(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        make_factory(tmp_path, "--lines", "0")
    assert b"--lines must be at least 1" in failure.value.stderr


# All default rules apply. Variant sets are authored in the assets and the test bed, which are
# checked in every selection; the factory, which repeats those assets, in the selected one.
# interfaces, connections and site are layers of the stack and have no default prim of their own:
# they are checked as parts of the factory.
@pytest.mark.parametrize(
    "arguments",
    [
        ["factory.usda", "--no-variants"],
        ["pump_station.usda"],
        ["fleet.usda", "--no-variants"],
        ["assets"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_validator_finds_nothing(arguments: list[str]) -> None:
    tool = shutil.which("nvidia_usd_validate", path=str(Path(sys.executable).parent))
    if tool is None:
        if os.environ.get("CI") == "true":
            pytest.fail("usd-validation-nvidia is not installed, and CI must not pass without it")
        pytest.skip("usd-validation-nvidia is not installed")
    result = subprocess.run([tool, *arguments], cwd=FACTORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No issues found." in result.stdout + result.stderr
