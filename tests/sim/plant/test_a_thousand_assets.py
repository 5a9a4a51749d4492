"""A thousand assets of a coupled plant, authored on a stage: read, stepped together, in balance."""

from __future__ import annotations

import numpy as np
import pytest
from pxr import Sdf, Usd

from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import PlantModel, read_plant

LOOPS = 125
"""Of eight assets: tank, suction pipe, valve, pump, motor, discharge pipe, valve, drain."""


def author(layer: Sdf.Layer, path: str, kinds: dict[str, str], **said: float | str) -> None:
    """Author an asset with models.

    Args:
        layer: where.
        path: of the asset.
        kinds: of its models, by their names.
        said: `MODEL__param__NAME` to a number, or `MODEL__RELATION` to a path.
    """
    prim = Sdf.CreatePrimInLayer(layer, path)
    for each in Sdf.Path(path).GetPrefixes():
        layer.GetPrimAtPath(each).specifier = Sdf.SpecifierDef
    apis = Sdf.TokenListOp()
    apis.prependedItems = ["TwinAssetAPI", *(f"TwinModelAPI:{name}" for name in kinds)]
    prim.SetInfo("apiSchemas", apis)
    for name, kind in kinds.items():
        spec = Sdf.AttributeSpec(
            prim, f"twin:model:{name}:kind", Sdf.ValueTypeNames.Token, Sdf.VariabilityUniform
        )
        spec.default = kind
    for key, value in said.items():
        name = "twin:model:" + key.replace("__", ":")
        if isinstance(value, str):
            rel = Sdf.RelationshipSpec(prim, name, False, Sdf.VariabilityUniform)
            rel.targetPathList.explicitItems = [Sdf.Path(value)]
        else:
            Sdf.AttributeSpec(prim, name, Sdf.ValueTypeNames.Double).default = value


def author_loop(layer: Sdf.Layer, number: int) -> None:
    """Author one loop."""
    at = f"/Plant/Loop{number}"
    liquid = {"liquid": ""}

    def of(kind: str) -> dict[str, str]:
        return dict.fromkeys(liquid, kind)

    author(layer, f"{at}/Tank", of("tank"), liquid__param__start_level=1.0 + 0.5 * (number % 3))
    author(layer, f"{at}/Suction", of("pipe"), liquid__inlet=f"{at}/Tank")
    author(
        layer, f"{at}/Gate", of("valve"), liquid__inlet=f"{at}/Suction", liquid__param__opening=1.0
    )
    author(layer, f"{at}/Pump", of("pump"), liquid__inlet=f"{at}/Gate", liquid__param__inertia=0.05)
    author(layer, f"{at}/Rise", of("pipe"), liquid__inlet=f"{at}/Pump", liquid__param__length=40.0)
    author(
        layer,
        f"{at}/Throttle",
        of("valve"),
        liquid__inlet=f"{at}/Rise",
        liquid__param__opening=0.3 + 0.05 * (number % 10),
    )
    author(
        layer,
        f"{at}/Drain",
        of("reservoir"),
        liquid__inlet=f"{at}/Throttle",
        liquid__param__elevation=8.0,
    )
    author(
        layer,
        f"{at}/Motor",
        {"drive": "drive", "motor": "induction-motor", "heat": "motor-thermal"},
        drive__param__setpoint=240.0 + 0.4 * number,
        drive__param__pole_pairs=1.0,
        motor__param__pole_pairs=1.0,
        motor__drives=f"{at}/Pump",
        **{
            "drive__in__speed": f"{at}/Motor.twin:model:motor:out:speed",
            "drive__in__current": f"{at}/Motor.twin:model:motor:out:current",
            "motor__in__frequency": f"{at}/Motor.twin:model:drive:out:frequency",
            "motor__in__voltage": f"{at}/Motor.twin:model:drive:out:voltage",
            "motor__in__winding_temperature": f"{at}/Motor.twin:model:heat:out:winding_temperature",
            "heat__in__winding_heat": f"{at}/Motor.twin:model:motor:out:winding_heat",
            "heat__in__frame_heat": f"{at}/Motor.twin:model:motor:out:frame_heat",
            "heat__in__speed": f"{at}/Motor.twin:model:motor:out:speed",
        },
    )


@pytest.fixture(scope="module")
def stage() -> Usd.Stage:
    layer = Sdf.Layer.CreateAnonymous("thousand.usda")
    with Sdf.ChangeBlock():
        for number in range(LOOPS):
            author_loop(layer, number)
    return Usd.Stage.Open(layer)


@pytest.fixture(scope="module")
def found(stage: Usd.Stage) -> PlantModel:
    return read_plant(stage)


@pytest.fixture(scope="module")
def engine(found: PlantModel) -> Engine:
    made = found.plan.engine()
    made.step(600)
    return made


def values(found: PlantModel, engine: Engine, name: str, port: str) -> np.ndarray:
    """Return an output of the models of one name in all loops."""
    columns = [
        each.outputs[port]
        for path, each in found.instances.items()
        if path.endswith(f"/{name}") and port in each.outputs
    ]
    return engine.read()[0, columns]


def test_every_asset_has_its_models(found: PlantModel) -> None:
    assert [str(problem) for problem in found.problems] == []
    assert len({each.binding.prim for each in found.instances.values()}) == 8 * LOOPS == 1000
    assert len(found.instances) == 10 * LOOPS
    names = [system.name for system in found.plan.systems]
    assert names == ["drive", "induction-motor", "hydraulics", "motor-thermal"]


def test_all_runs_and_nothing_is_lost(found: PlantModel, engine: Engine) -> None:
    engine.check()
    flow = values(found, engine, "Pump.liquid", "flow")
    assert flow.shape == (LOOPS,)
    assert (flow > 1e-3).all()
    drained = values(found, engine, "Drain.liquid", "flow")
    assert np.abs(flow + drained).max() < 1e-6  # what the pump gives leaves by the drain
    left = [
        values(found, engine, f"{name}.liquid", "flow") for name in ("Suction", "Gate", "Throttle")
    ]
    assert max(np.abs(each - flow).max() for each in left) < 1e-6
    residuals = [
        i for i, column in enumerate(found.plan.columns) if column.name.endswith(":residual")
    ]
    assert len(residuals) == LOOPS
    assert np.abs(engine.read()[0, residuals]).max() < 1e-6


def test_shafts_agree(found: PlantModel, engine: Engine) -> None:
    speed = values(found, engine, "Motor.motor", "speed")
    wanted = 240.0 + 0.4 * np.arange(LOOPS)
    assert speed == pytest.approx(wanted, rel=5e-3)
    torque = values(found, engine, "Pump.liquid", "load_torque")
    given = values(found, engine, "Motor.motor", "shaft_power") / speed
    assert given == pytest.approx(torque, rel=2e-2)
    winding = values(found, engine, "Motor.heat", "winding_temperature")
    assert (winding > 293.0).all()


def test_a_future_of_all_is_the_same_bit_for_bit(engine: Engine) -> None:
    future = engine.fork()
    before = engine.save()
    engine.step(25)
    future.step(25)
    assert future.save().digest() == engine.save().digest()
    engine.restore(before)


@pytest.mark.gpu
def test_a_gpu_comes_to_the_same(found: PlantModel) -> None:
    wp = pytest.importorskip("warp")
    if not wp.is_cuda_available():
        pytest.skip("there is no CUDA device")
    here, there = (found.plan.engine(1, device) for device in ("cpu", "cuda:0"))
    here.step(50)
    there.step(50)
    close = [i for i, c in enumerate(found.plan.columns) if ":network:" not in c.name]
    assert there.read()[:, close] == pytest.approx(here.read()[:, close], rel=1e-7, abs=1e-8)
