"""The plant of `benchmarks.process` that is read from a stage: 1,000 assets in loops of eight.

A loop is tank, suction pipe, valve, pump with motor, drive and heat, discharge pipe, valve, drain:
the plant of `tests/sim/plant/test_a_thousand_assets.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pxr import Sdf, Usd

from stagetwin_sim.plant import PlantModel, read_plant

__all__ = ["ASSETS", "thousand_assets"]

ASSETS = 1_000

_JOINED = (
    ("drive", "speed", "motor", "speed"),
    ("drive", "current", "motor", "current"),
    ("motor", "frequency", "drive", "frequency"),
    ("motor", "voltage", "drive", "voltage"),
    ("motor", "winding_temperature", "heat", "winding_temperature"),
    ("heat", "winding_heat", "motor", "winding_heat"),
    ("heat", "frame_heat", "motor", "frame_heat"),
    ("heat", "speed", "motor", "speed"),
)
"""In a motor's asset: model, input, and whose output it takes."""


def _asset(name: str, kinds: Mapping[str, str], said: Mapping[str, float | str]) -> str:
    """Return an asset as usda: what is said is a number, or the path that a relationship names."""
    apis = ["TwinAssetAPI", *(f"TwinModelAPI:{model}" for model in kinds)]
    lines = [f'uniform token twin:model:{model}:kind = "{kind}"' for model, kind in kinds.items()]
    lines += [
        f"rel twin:model:{key} = <{value}>"
        if isinstance(value, str)
        else f"double twin:model:{key} = {value!r}"
        for key, value in said.items()
    ]
    applied = ", ".join(f'"{api}"' for api in apis)
    body = "\n".join(lines)
    return f'def Xform "{name}" (\nprepend apiSchemas = [{applied}]\n)\n{{\n{body}\n}}\n'


def _loop(number: int) -> str:
    at = f"/Plant/Loop{number}"
    motor = f"{at}/Motor.twin:model:"
    wet: dict[str, tuple[str, dict[str, float | str]]] = {
        "Tank": ("tank", {"h:param:start_level": 1.0 + 0.5 * (number % 3)}),
        "Suction": ("pipe", {"h:inlet": f"{at}/Tank"}),
        "Gate": ("valve", {"h:inlet": f"{at}/Suction", "h:param:opening": 1.0}),
        "Pump": ("pump", {"h:inlet": f"{at}/Gate", "h:param:inertia": 0.05}),
        "Rise": ("pipe", {"h:inlet": f"{at}/Pump", "h:param:length": 40.0}),
        "Throttle": (
            "valve",
            {"h:inlet": f"{at}/Rise", "h:param:opening": 0.3 + 0.05 * (number % 10)},
        ),
        "Drain": ("reservoir", {"h:inlet": f"{at}/Throttle", "h:param:elevation": 8.0}),
    }
    turning: dict[str, float | str] = {
        "drive:param:setpoint": 240.0 + 0.4 * number,
        "drive:param:pole_pairs": 1.0,
        "motor:param:pole_pairs": 1.0,
        "motor:drives": f"{at}/Pump",
        **{f"{to}:in:{port}": f"{motor}{of}:out:{out}" for to, port, of, out in _JOINED},
    }
    kinds = {"drive": "drive", "motor": "induction-motor", "heat": "motor-thermal"}
    assets = [_asset(name, {"h": kind}, said) for name, (kind, said) in wet.items()]
    assets.append(_asset("Motor", kinds, turning))
    return f'def Xform "Loop{number}"\n{{\n{"".join(assets)}}}\n'


def thousand_assets() -> PlantModel:
    """Return the plant as its stage is read."""
    layer = Sdf.Layer.CreateAnonymous("thousand.usda")
    loops = "".join(_loop(number) for number in range(ASSETS // 8))
    layer.ImportFromString(f'#usda 1.0\ndef Xform "Plant"\n{{\n{loops}}}\n')
    found = read_plant(Usd.Stage.Open(layer))
    assert not found.problems, found.problems[:3]
    assert len({each.binding.prim for each in found.instances.values()}) == ASSETS
    return found
