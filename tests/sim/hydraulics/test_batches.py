"""Networks in many worlds: the same bit for bit, saved, restored and forked at any step."""

from __future__ import annotations

import numpy as np
import pytest
import warp as wp

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.engine import Engine, Snapshot
from stagetwin_sim.hydraulics._lanes_kernels import LANES
from tests.sim.hydraulics.networks import SPEED, Networks, hydraulics, put, transfer, value


def busy() -> Networks:
    """Return two networks with everything in them."""
    n = transfer()
    n.add("pump", "Q", (1, 2), {"speed": 0.8 * SPEED, "wear": 0.1}).add("junction", "J", 3)
    n.add("tank", "C", 20, {"leak": 1e-4, "heat": 1e4}, shape=1.0, start_temperature=330.0)
    n.add("pipe", "E", (20, 21), {"leak": 1e-5}).add("valve", "W", (21, 22), stroke_time=3.0)
    n.add("reservoir", "R", 22, {"pressure": 1e4}).add("supply", "X", 20, {"flow": 0.003})
    return n


def run(engine: Engine, frames: int) -> None:
    """Step through changes that depend on the frame alone."""
    for _ in range(frames):
        at = engine.frames
        put(engine, "/P.in.speed", SPEED * (0.0 if at % 13 in (5, 6) else 0.6 + 0.03 * (at % 7)))
        put(engine, "/W.in.opening", (at % 5) / 4)
        put(engine, "/J.in.demand", 0.002 * (at % 3))
        engine.step()


def test_one_world_equals_any_of_many() -> None:
    plan = busy().plan()
    one, many = plan.engine(1), plan.engine(5)
    for engine in (one, many):
        run(engine, 30)
    assert np.array_equal(many.read(), one.read().repeat(5, axis=0))
    assert many.save().world(3).digest() == one.save().digest()


def test_worlds_side_by_side_are_as_each_by_itself_bit_for_bit() -> None:
    plan = busy().plan()
    worlds = LANES + 3  # the last lanes stand empty
    names = ("/P.in.speed", "/Q.in.speed", "/W.in.opening", "/J.in.demand", "/X.in.flow")
    columns = [plan.column(name) for name in names]
    draw = np.random.default_rng(5).random((12, worlds, len(names)))
    draw[:, :, :2] = SPEED * np.where(draw[:, :, :2] < 0.3, 0.0, draw[:, :, :2])
    draw[:, :, 3:] *= np.where(draw[:, :, 3:] < 0.3, 0.0, 0.01)
    many, found = plan.engine(worlds), []
    for values in draw:
        many.write(columns, values)
        many.context.bus[2:3, columns[0] : columns[0] + 1].fill_(np.nan)  # counted as a failure
        many.step(3)
        found.append(many.read())
    end = many.save()
    for world in range(worlds):
        one = plan.engine()
        for values, expected in zip(draw, found, strict=True):
            one.write(columns, values[world])
            if world == 2:
                one.context.bus[:, columns[0] : columns[0] + 1].fill_(np.nan)
            one.step(3)
            assert np.array_equal(one.read()[0], expected[world], equal_nan=True)
        assert one.save().digest() == end.world(world).digest()
    assert hydraulics(many).failures()
    assert sum(len(np.unique(values[:, plan.column("/P.flow")])) for values in found) > 60


def test_worlds_go_their_own_ways() -> None:
    plan = transfer().plan()
    engine = plan.engine(3)
    engine.write([plan.column("/P.in.speed")], [[SPEED], [0.8 * SPEED], [0.0]])
    engine.step(5)
    flows = engine.read([plan.column("/S.flow")])[:, 0]
    assert flows[0] > flows[1] > flows[2] == 0


def test_graph_and_single_launches_agree_bit_for_bit() -> None:
    plan = busy().plan()
    graph, eager = plan.engine(), plan.engine()
    eager.eager = True
    for engine in (graph, eager):
        run(engine, 20)
    assert graph.save().digest() == eager.save().digest()


@pytest.mark.parametrize("moment", [0, 1, 6, 13])
def test_fork_and_run_equals_run_at_any_step(moment: int) -> None:
    engine = busy().plan().engine()
    run(engine, moment)
    fork = engine.fork(2)
    for each in (engine, fork):
        run(each, 25)
    assert fork.save().world(1).digest() == engine.save().digest()


def test_a_state_is_taken_up_by_an_engine_that_was_elsewhere() -> None:
    engine = busy().plan().engine()
    run(engine, 9)
    kept = Snapshot.from_bytes(engine.save().to_bytes())
    run(engine, 17)
    expected = engine.save().digest()
    engine.restore(kept)
    run(engine, 17)
    assert engine.save().digest() == expected
    other = busy().plan().engine()
    with pytest.raises(SnapshotError, match="head has shape"):
        hydraulics(other).load({**hydraulics(other).save(), "head": np.zeros((1, 1))})


def test_parameters_may_differ_between_worlds() -> None:
    plan = transfer().plan()
    engine = plan.engine(2)
    system = hydraulics(engine)
    values = system.parameters.numpy()
    values[1, system.parameter("/D.h", "minor_loss")] = 100.0
    system.parameters.assign(values)
    engine.step()
    assert value(engine, "/P.flow", 1) < 0.8 * value(engine, "/P.flow", 0)
    with pytest.raises(ModelError, match=r"/D\.h: a pipe has no parameter kv"):
        system.parameter("/D.h", "kv")
    with pytest.raises(ModelError, match=r"/N\.h is in no network"):
        system.parameter("/N.h", "kv")


def test_an_observer_sets_levels_temperatures_and_openings() -> None:
    n = busy()
    engine = n.plan().engine()
    engine.step()
    names = {"/C.level": 1.2, "/A.temperature": 310.0, "/W.opening": 0.4, "/P.flow": 1.0}
    columns = {engine.plan.column(name): number for name, number in names.items()}
    taken = hydraulics(engine).correct(columns)
    assert set(taken) == {engine.plan.column(name) for name in list(names)[:3]}
    put(engine, "/W.in.stuck", 1.0)
    engine.step()
    assert value(engine, "/C.level") == pytest.approx(1.2, abs=5e-3)
    assert value(engine, "/A.temperature") == pytest.approx(310.0, abs=1e-6)
    assert value(engine, "/W.opening") == 0.4


def test_a_tank_begins_at_its_measured_level() -> None:
    n = Networks().add("tank", "T", 0, {"level": 2.25}, start_level=0.1)
    engine = n.plan().engine()
    engine.step()
    assert value(engine, "/T.level") == pytest.approx(2.25)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu_over_fifty_steps() -> None:
    if not wp.get_cuda_devices():
        pytest.skip("no CUDA device")
    plan = busy().plan()
    engines = [plan.engine(3, device) for device in ("cpu", "cuda:0")]
    for engine in engines:
        run(engine, 50)
    cpu, cuda = (engine.read() for engine in engines)
    names = [c.name for c in plan.columns]
    close = [i for i, name in enumerate(names) if ":network:" not in name]
    assert cuda[:, close] == pytest.approx(cpu[:, close], rel=1e-7, abs=1e-8)
