"""PIBT: no conflicts, lifelong throughput, and its plans driven by late vehicles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin_sim._errors import TrafficError
from stagetwin_sim.traffic import FleetOptions, FleetSimulation, GridMap, Pibt
from tests.sim.traffic.reference_pibt import ReferencePibt
from tests.sim.traffic.scenes import grid_hall

GRIDS = Path(__file__).resolve().parents[4] / "shared" / "data" / "maps" / "grids"


def _grid(name: str) -> GridMap:
    path = GRIDS / f"{name}.map"
    if not path.exists():
        pytest.skip(f"{path.name} of the public grid maps is not here")
    return GridMap.parse(path.read_text())


def _check_step(grid: GridMap, before: np.ndarray, after: np.ndarray) -> None:
    for was, now in zip(before.tolist(), after.tolist(), strict=True):
        assert len(set(now)) == len(now), "two agents on a cell"
        there = {cell: i for i, cell in enumerate(was)}
        for i, (a, b) in enumerate(zip(was, now, strict=True)):
            assert a == b or b in grid.neighbours[a].tolist()
            k = there.get(b, i)
            assert k == i or now[k] != a, "two agents changed places"


@settings(max_examples=25)
@given(st.data())
def test_agents_never_meet(data: st.DataObject) -> None:
    """On any grid, as full as it may be, with and without rings."""
    rows, columns = data.draw(st.integers(2, 8)), data.draw(st.integers(2, 8))
    walls = data.draw(st.sets(st.integers(0, rows * columns - 1), max_size=rows * columns // 3))
    free = np.ones(rows * columns, bool)
    free[list(walls)] = False
    grid = GridMap(free.reshape(rows, columns))
    cells = np.flatnonzero(free)
    count = data.draw(st.integers(1, len(cells)))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    at = np.stack([rng.permutation(cells)[:count] for _ in range(2)])
    goal = rng.integers(0, len(cells), at.shape)
    rings = data.draw(st.booleans())
    pibt = Pibt(grid, cells.tolist(), at, goal, seed=1, rings=rings)
    for _ in range(15):
        before = pibt.at()
        pibt.step()
        _check_step(grid, before, pibt.at())


@pytest.mark.parametrize(
    ("name", "count"), [("random-32-32-10", 100), ("room-64-64-8", 60), ("empty-48-48", 150)]
)
def test_lifelong_throughput_is_that_of_the_reference(name: str, count: int) -> None:
    """At least 95 % of the paper's algorithm, written plainly, over seeds; and no conflict."""
    grid = _grid(name)
    rng = np.random.default_rng(0)
    cells = grid.connected()
    goals = rng.choice(cells, 32, replace=False)
    worlds, steps, references = 16, 150, 3
    at = np.stack([rng.choice(cells, count, replace=False) for _ in range(worlds)])
    goal = rng.integers(0, len(goals), at.shape)
    pibt = Pibt(grid, goals.tolist(), at, goal, seed=2)
    for _ in range(steps):
        before = pibt.at()
        pibt.step()
        after = pibt.at()
        _check_step(grid, before[:1], after[:1])
    ours = pibt.finished.numpy().sum(axis=1).mean()
    distances, neighbours = grid.distances(goals.tolist()).tolist(), grid.neighbours.tolist()
    theirs = []
    for world in range(references):
        reference = ReferencePibt(
            neighbours, distances, goals.tolist(), at[world].tolist(), goal[world].tolist(), world
        )
        for _ in range(steps):
            reference.step()
        theirs.append(reference.finished)
    assert ours >= 0.95 * np.mean(theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maze-32-32-4", "random-64-64-20", "den312d"])
def test_lifelong_throughput_on_maps_with_narrow_ways(name: str) -> None:
    """These jam now and then: more seeds and longer runs tell what is typical."""
    grid = _grid(name)
    rng = np.random.default_rng(1)
    cells = grid.connected()
    goals = rng.choice(cells, 64, replace=False)
    worlds, steps, count = 48, 1000, 40
    at = np.stack([rng.choice(cells, count, replace=False) for _ in range(worlds)])
    goal = rng.integers(0, len(goals), at.shape)
    pibt = Pibt(grid, goals.tolist(), at, goal, seed=2)
    pibt.step(steps)
    distances, neighbours = grid.distances(goals.tolist()).tolist(), grid.neighbours.tolist()
    theirs = []
    for world in range(24):
        reference = ReferencePibt(
            neighbours, distances, goals.tolist(), at[world].tolist(), goal[world].tolist(), world
        )
        for _ in range(steps):
            reference.step()
        theirs.append(reference.finished)
    assert pibt.finished.numpy().sum(axis=1).mean() >= 0.95 * np.mean(theirs)


@pytest.mark.gpu
def test_worlds_on_a_gpu_are_as_free_of_conflicts() -> None:
    """The same kernel on CUDA."""
    if not wp.is_cuda_available():
        pytest.skip("there is no CUDA device")
    grid = GridMap(np.ones((16, 16), bool))
    at = np.stack([np.random.default_rng(w).permutation(256)[:100] for w in range(256)])
    pibt = Pibt(grid, list(range(256)), at, at[:, ::-1].copy(), device="cuda:0")
    for _ in range(20):
        before = pibt.at()
        pibt.step()
        _check_step(grid, before, pibt.at())


def test_a_plan_is_driven_in_its_order_by_vehicles_that_are_late() -> None:
    """Vehicles stop at random for seconds; nobody meets, nobody enters before its turn."""
    fleet = FleetSimulation(grid_hall(), vehicles=6, worlds=3, options=FleetOptions(), seed=4)
    grid = fleet.grids["Grid"]
    lot = np.random.default_rng(0)
    limits = np.full((3, 6), np.inf, np.float32)
    for _ in range(240):
        chosen = lot.random(limits.shape)
        limits = np.where(chosen < 0.06, 0.05, np.where(chosen > 0.8, np.inf, limits))
        fleet.motion.state.speed_limit.assign(limits.astype(np.float32))
        fleet.run(0.4)
        at = grid.agents.at.numpy()
        assert all(len(set(row)) == len(row) for row in at.tolist())
        done, go = grid.graph.done.numpy(), grid.graph.go.numpy()
        assert (done <= go).all()
        assert (go <= grid.graph.planned.numpy()).all()
    state = fleet.motion.state
    assert state.collisions.numpy().sum() == 0
    assert state.overruns.numpy().sum() == 0
    assert sum(len(record.done) for record in fleet.records) > 3


def test_a_grid_too_fine_for_its_vehicles_is_refused() -> None:
    with pytest.raises(TrafficError, match="cell of the grid zone 'Grid' must be"):
        FleetSimulation(grid_hall(0.9), vehicles=2)


def test_two_agents_on_one_cell_are_refused() -> None:
    grid = GridMap(np.ones((2, 2), bool))
    with pytest.raises(TrafficError, match="two agents begin on one cell"):
        Pibt(grid, [0], [[1, 1]], 0)
