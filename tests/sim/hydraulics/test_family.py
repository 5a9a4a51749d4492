"""Networks authored on a stage: relationships become nodes, and what is wrong is said."""

from __future__ import annotations

import pytest

from stagetwin_sim.plant import PlantModel
from tests.sim.plant.stages import clean, codes, model, out_of, read, value_of
from tests.stages.plants import prim, telemetry


def hydraulic(name: str, kind: str, **options: object) -> str:
    return prim(name, model("h", kind, **options))  # type: ignore[arg-type]


def end(name: str, which: str) -> str:
    return f"/Plant/{name}.twin:model:h:{which}"


def line(pump: str = "", **tank: object) -> list[str]:
    """Return a tank, a pump that draws from it, a valve behind, and a place outside."""
    return [
        hydraulic("T", "tank", **tank),
        pump
        or prim(
            "P",
            telemetry("speed", unit="1/min", address="s"),
            telemetry("flow", unit="m3/h", address="f"),
            telemetry("discharge_pressure", unit="bar", address="p"),
            model(
                "h",
                "pump",
                reads=value_of("P", "speed"),
                writes=[value_of("P", "flow"), value_of("P", "discharge_pressure")],
                parameters={"rated_flow": (50.0, "m3/h"), "rated_speed": (2900.0, "1/min")},
                inlet="/Plant/T",
                outlet="/Plant/V",
            ),
        ),
        hydraulic("V", "valve", outlet="/Plant/R"),
        hydraulic("R", "reservoir", parameters={"elevation": 5.0}),
    ]


def settled(found: PlantModel, speed: float = 2900.0) -> PlantModel:
    return found.at({value_of("P", "speed"): speed})


def shown(found: PlantModel, path: str, frames: int = 20) -> float:
    engine = found.plan.engine()
    engine.step(frames)
    output = next(o for o in found.outputs if o.path == path)
    return output.of(float(engine.read()[0, output.column]))


def test_a_line_on_a_stage_delivers_in_its_own_units() -> None:
    found = settled(clean(*line()))
    flow = shown(found, "/Plant/P.twin:telemetry:flow:predicted")
    assert 50.0 < flow < 100.0
    bar = shown(found, "/Plant/P.twin:telemetry:discharge_pressure:predicted")
    power = shown(found, out_of("P", "h", "hydraulic_power"))
    suction = shown(found, out_of("P", "h", "suction_pressure")) / 1e5
    assert power / 1e3 == pytest.approx(flow * 1e3 / 60 * (bar - suction) / 600, rel=1e-9)
    instance = found.instances["/Plant/P.h"]
    assert instance.group == "hydraulics"
    assert instance.inputs.keys() == {"speed", "wear", "leak", "blockage"}
    assert "/Plant/P.twin:model:h:network:residual" in found.plan


@pytest.mark.parametrize("way", ["one side", "other side", "both", "by end"])
def test_either_side_says_who_is_joined(way: str) -> None:
    tank = {"outlet": "/Plant/C"} if way in ("other side", "both") else {}
    pipe: dict[str, object] = {}
    if way in ("one side", "both"):
        pipe = {"inlet": "/Plant/T", "outlet": "/Plant/R"}
    elif way == "by end":
        pipe = {"inlet": end("T", "outlet")}
    far = {"inlet": end("C", "outlet") if way == "by end" else "/Plant/C"}
    found = clean(
        hydraulic("T", "tank", **tank),
        hydraulic("C", "pipe", **pipe),
        hydraulic("R", "reservoir", **({} if way == "one side" else far)),
    )
    assert 0.005 < shown(found, out_of("C", "h", "flow")) < 0.05


def test_ends_that_meet_are_one_node() -> None:
    found = clean(
        hydraulic("T", "tank"),
        hydraulic("A", "pipe", inlet="/Plant/T"),
        hydraulic("B", "pipe", inlet="/Plant/T", outlet=end("A", "outlet")),
        hydraulic("C", "pipe", inlet=["/Plant/A", "/Plant/B"], outlet="/Plant/R"),
        hydraulic("R", "reservoir"),
    )
    flows = [shown(found, out_of(name, "h", "flow")) for name in "ABC"]
    assert flows[0] == pytest.approx(flows[1])
    assert flows[0] + flows[1] == pytest.approx(flows[2])


def test_two_networks_and_a_blind_end() -> None:
    found = read(*line(), hydraulic("T2", "tank"), hydraulic("C", "pipe", inlet="/Plant/T2"))
    assert codes(found) == [("/Plant/C", "blind-end")]
    assert shown(settled(found), out_of("C", "h", "flow")) == pytest.approx(0.0, abs=1e-9)
    assert shown(settled(found), out_of("T2", "h", "level")) == pytest.approx(1.5, abs=1e-9)


def test_a_network_without_a_pressure_does_not_run() -> None:
    found = read(
        *line(),
        hydraulic("J", "junction", outlet="/Plant/C"),
        hydraulic("C", "pipe", outlet="/Plant/K"),
        hydraulic("K", "junction"),
    )
    assert codes(found) == [(f"/Plant/{name}", "network") for name in "CJK"]
    assert "neither tank nor reservoir" in found.problems[0].message
    assert found.instances.keys() == {f"/Plant/{name}.h" for name in "TPVR"}


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        (
            [
                hydraulic("T", "tank", parameters={"density": 800.0}, outlet="/Plant/C"),
                hydraulic("C", "pipe", outlet="/Plant/R"),
                hydraulic("R", "reservoir"),
            ],
            "more than one density: 800, 998.2",
        ),
        (
            [hydraulic("T", "tank", outlet="/Plant/R"), hydraulic("R", "reservoir")],
            "/Plant/R.h and /Plant/T.h meet without anything between them",
        ),
        (
            [
                hydraulic("T", "tank", outlet="/Plant/C"),
                hydraulic("C", "pipe", outlet="/Plant/T"),
            ],
            "inlet and outlet meet",
        ),
        (
            [hydraulic("T", "tank", outlet="/Plant/D"), prim("D")],
            "outlet must name one hydraulic model or its inlet or outlet; /Plant/D has no",
        ),
        (
            [
                hydraulic(
                    "T", "tank", parameters={"start_level": 4.0, "height": 3.0}, outlet="/Plant/C"
                ),
                hydraulic("C", "pipe", outlet="/Plant/R"),
                hydraulic("R", "reservoir"),
            ],
            "param:start_level must be at most the height, 3 m, got 4 m",
        ),
        (
            [
                hydraulic("T", "tank", outlet="/Plant/Q"),
                hydraulic("Q", "pump", outlet="/Plant/R", parameters={"shutoff_head": 20.0}),
                hydraulic("R", "reservoir"),
            ],
            "param:shutoff_head must be above rated_head, 32 m, or 0, got 20 m",
        ),
    ],
)
def test_what_is_wrong_is_said(bodies: list[str], message: str) -> None:
    found = read(*bodies)
    assert any(message in problem.message for problem in found.problems), found.problems
    found.plan.engine().step()


def test_faults_are_parameters_or_driven() -> None:
    sound = shown(settled(clean(*line())), out_of("V", "h", "flow"))
    worn = line()
    worn[1] = worn[1].replace(
        "rel twin:model:h:inlet", "double twin:model:h:param:wear = 0.2\nrel twin:model:h:inlet"
    )
    found = settled(clean(*worn))
    assert found.plan.columns[found.instances["/Plant/P.h"].inputs["wear"]].value == 0.2
    assert shown(found, out_of("V", "h", "flow")) < 0.97 * sound
