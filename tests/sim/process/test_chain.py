"""A drive, its motor, a pump and the motor's heat, each at its own rate, from a stage."""

from __future__ import annotations

import numpy as np
import pytest

from stagetwin_sim.engine import Engine
from stagetwin_sim.plant import PlantModel
from tests.sim.plant.stages import clean, model, out_of, value_of
from tests.stages.plants import command, prim, telemetry

MOTOR = {"pole_pairs": 1.0, "rated_power": (15.0, "kW"), "inertia": 0.05}
WATER = 998.2 * 9.80665


def chain(setpoint: str = "/Plant/M1.twin:command:speed:desired") -> PlantModel:
    """/Plant/M1 (drive, motor, heat) turns /Plant/P1, between two reservoirs, through a pipe."""
    return clean(
        prim(
            "M1",
            command("speed", unit="1/min", hard=(0, 3600)),
            telemetry("winding_temperature", "float", unit="Cel", address="M1/t"),
            telemetry("power", unit="kW", address="M1/p"),
            model(
                "drive",
                "drive",
                parameters={"pole_pairs": 1.0, "maximum": (3600.0, "1/min")},
                in_setpoint=setpoint,
                in_speed=out_of("M1", "motor", "speed"),
                in_power=out_of("M1", "motor", "power"),
                in_current=out_of("M1", "motor", "current"),
            ),
            model(
                "motor",
                "induction-motor",
                parameters=MOTOR,
                drives="/Plant/P1",
                writes=value_of("M1", "power"),
                in_voltage=out_of("M1", "drive", "voltage"),
                in_frequency=out_of("M1", "drive", "frequency"),
                in_winding_temperature=out_of("M1", "heat", "winding_temperature"),
            ),
            model(
                "heat",
                "motor-thermal",
                parameters={"rated_speed": (2900.0, "1/min")},
                writes=value_of("M1", "winding_temperature"),
                in_winding_heat=out_of("M1", "motor", "winding_heat"),
                in_frame_heat=out_of("M1", "motor", "frame_heat"),
                in_speed=out_of("M1", "motor", "speed"),
            ),
        ),
        prim("R1", model("place", "reservoir", outlet="/Plant/P1")),
        prim("P1", model("pump", "pump")),
        prim(
            "L1",
            model(
                "pipe", "pipe", parameters={"length": 60.0}, inlet="/Plant/P1", outlet="/Plant/R2"
            ),
        ),
        prim("R2", model("place", "reservoir", parameters={"elevation": 20.0})),
        prim(
            "P1M",
            model(
                "watch",
                "pump-monitor",
                parameters={"motor_efficiency": 0.85},
                in_flow=out_of("P1", "pump", "flow"),
                in_suction_pressure=out_of("P1", "pump", "suction_pressure"),
                in_discharge_pressure=out_of("P1", "pump", "discharge_pressure"),
                in_speed=out_of("M1", "motor", "speed"),
                in_power=out_of("M1", "motor", "power"),
            ),
        ),
    )


def start(found: PlantModel, rpm: float = 2900.0) -> Engine:
    engine = found.plan.engine()
    (feed,) = found.setpoints["/Plant/M1.twin:command:speed:desired"]
    engine.write([feed.column], [feed.of(rpm)])
    return engine


def look(engine: Engine, *names: str) -> list[float]:
    """Return outputs given as PRIM.MODEL.PORT."""
    paths = [out_of(*name.split(".", 2)) for name in names]
    return [float(v) for v in engine.read([engine.plan.column(path) for path in paths])[0]]


def test_each_at_its_own_rate_in_the_order_of_its_phase() -> None:
    found = chain()
    engine = found.plan.engine()
    rates = {name: engine.systems[name].rate for name in engine.systems}
    assert list(rates) == [
        "drive",
        "induction-motor",
        "hydraulics",
        "motor-thermal",
        "pump-monitor",
    ]
    assert list(rates.values()) == [20.0, 1000.0, 20.0, 1.0, 20.0]


def test_the_chain_reaches_its_speed_and_every_balance_closes() -> None:
    engine = start(chain())
    engine.step(20 * 30)
    speed, torque, shaft, work = look(
        engine, "M1.motor.speed", "P1.pump.load_torque", "P1.pump.shaft_power", "M1.motor.work"
    )
    # The drive makes up for the slip.
    assert speed == pytest.approx(2900 * np.pi / 30, rel=1e-6)
    assert torque * speed == pytest.approx(shaft, rel=1e-6)
    flow, head, hydraulic, efficiency = look(
        engine, "P1.pump.flow", "P1.pump.head", "P1.pump.hydraulic_power", "P1.pump.efficiency"
    )
    assert hydraulic == pytest.approx(WATER * flow * head, rel=1e-6)
    assert hydraulic == pytest.approx(efficiency * shaft, rel=1e-6)
    engine.step(20)
    (later,) = look(engine, "M1.motor.work")
    assert later - work == pytest.approx(shaft, rel=1e-5)  # one second of it
    power, loss, drawn = look(engine, "M1.motor.power", "M1.motor.loss", "M1.drive.line_power")
    assert power == pytest.approx(shaft + loss, rel=1e-5)
    assert drawn == pytest.approx(power / 0.97, rel=1e-6)


def test_the_monitor_sees_a_sound_pump_and_then_a_worn_one() -> None:
    found = chain()
    engine = start(found)
    engine.step(20 * 30)
    ratio, judged = look(engine, "P1M.watch.efficiency_ratio", "P1M.watch.judged")
    motor = look(engine, "M1.motor.efficiency")[0]
    assert judged == 1.0
    # The suction strainer of the pump takes what its efficiency curve does not know of.
    assert ratio == pytest.approx(motor / 0.85, rel=3e-3)
    wear = found.plan.column("/Plant/P1.twin:model:pump:in:wear")
    engine.write([wear], [0.2])
    engine.step(20 * 20)
    worn, _ = look(engine, "P1M.watch.efficiency_ratio", "P1M.watch.judged")
    assert worn < 0.9 * ratio


def test_no_joule_is_lost_between_a_thousand_steps_a_second_and_one() -> None:
    engine = start(chain())
    given = 0.0
    for _ in range(20 * 8):
        thermal_is_due = engine.frames % 20 == 0
        engine.step()
        if thermal_is_due:
            given = sum(look(engine, "M1.motor.winding_heat", "M1.motor.frame_heat"))
    s = engine.systems["motor-thermal"].save()["state"][0, :, 0]
    stored = 5000.0 * (s[0] - 295.15) + 45e3 * (s[1] - 295.15)
    assert given > 1000
    assert stored + s[2] == pytest.approx(given, rel=1e-9)


def test_while_it_runs_up_the_shaft_keeps_its_energy_within_a_frames_change() -> None:
    engine = start(chain())
    taken = 0.0
    for _ in range(20 * 12):
        engine.step()
        taken += look(engine, "P1.pump.shaft_power")[0] * 0.05
    (work,) = look(engine, "M1.motor.work")
    # Speed and torque are held for a frame; a run-up of 7 s is 150 frames.
    assert work == pytest.approx(taken, rel=0.01)


def test_saved_forked_and_run_alone_it_is_the_same_bit_for_bit() -> None:
    found = chain()
    engine = start(found)
    engine.step(33)
    fork = engine.fork(3)
    other = found.plan.engine()
    other.restore(engine.save())
    other.eager = True
    for each in (engine, fork, other):
        each.step(27)
    assert fork.save().world(2).digest() == engine.save().digest() == other.save().digest()


def test_a_motor_drives_a_belt_and_stays_stable_with_its_inertia() -> None:
    """The belt's inertia at the shaft is many times the rotor's."""
    found = clean(
        prim(
            "M1",
            model(
                "motor",
                "induction-motor",
                parameters={"inertia": 0.005, "rated_power": (2.2, "kW")},
                drives="/Plant/C1",
            ),
        ),
        prim(
            "C1",
            model(
                "belt",
                "conveyor",
                parameters={
                    "gear_ratio": 12.0,
                    "item_mass": 300.0,
                    "items": 6.0,
                    "tension": 9000.0,
                    "blocked": 1.0,  # so that its load stays
                },
            ),
        ),
    )
    engine = found.plan.engine()
    supply = [
        found.plan.column(f"/Plant/M1.twin:model:motor:in:{port}")
        for port in ("voltage", "frequency")
    ]
    engine.write(supply, [400.0, 50.0])
    engine.step(20 * 5)
    (inertia,) = look(engine, "C1.belt.load_inertia")
    assert inertia > 20 * 0.005
    speed, belt, torque, force = look(
        engine, "M1.motor.speed", "C1.belt.speed", "C1.belt.load_torque", "C1.belt.force"
    )
    assert speed > 150
    assert belt == pytest.approx(speed * 0.1 / 12.0, rel=1e-6)
    (before,) = look(engine, "M1.motor.work")
    engine.step(2)
    (after,) = look(engine, "M1.motor.work")
    assert after - before == pytest.approx(torque * speed * 0.1, rel=1e-6)
    assert torque * speed * 0.94 == pytest.approx(force * belt, rel=1e-4)
