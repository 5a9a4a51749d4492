"""Sweeps: parameters found by trying, many worlds at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration import sweep, worlds_objective
from stagetwin_sim.engine import Engine, Floats
from tests.sim.estimation.small_plants import LAG, plant_of


def bowl(candidates: Mapping[str, Floats]) -> Floats:
    loss = (candidates["a"] - 0.3) ** 2 + (np.log10(candidates["b"]) + 1.0) ** 2
    return np.where(candidates["a"] > 0.9, np.nan, loss)


RANGES = {"a": (0.0, 1.0), "b": (1e-3, 10.0)}


@pytest.mark.parametrize(("method", "off"), [("grid", 0.15), ("random", 0.12), ("refine", 0.01)])
def test_the_least_is_found(method: str, off: float) -> None:
    found = sweep(bowl, RANGES, method=method, budget=256, batch=32)  # type: ignore[arg-type]
    assert found.best["a"] == pytest.approx(0.3, abs=off)
    assert np.log10(found.best["b"]) == pytest.approx(-1.0, abs=3 * off)
    assert len(found.losses) <= 256
    assert np.isnan(found.losses).any()  # those that came to nothing are no candidates
    assert found.loss == np.nanmin(found.losses)


def test_the_seed_decides() -> None:
    first, again, other = (sweep(bowl, RANGES, seed=s, budget=64) for s in (1, 1, 2))
    assert first.best == again.best
    assert first.best != other.best


def test_candidates_run_as_worlds_of_one_engine() -> None:
    plan = plant_of(LAG, 1).plan
    truth = plan.engine()
    state = truth.systems["test-lag"].save()
    truth.systems["test-lag"].load({**state, "parameters": np.array([[[0.7], [2.5]]])})
    engine = plan.engine(16)
    wanted = []
    truth.write([0], [1.0])
    engine.write([0], [1.0])
    for _ in range(20):
        truth.step(2)
        wanted.append(truth.read([1])[0, 0])

    def assign(own: Engine, values: Mapping[str, Floats]) -> None:
        group = own.systems["test-lag"]
        parameters = np.stack([values["tau"], values["gain"]], axis=1)[:, :, None]
        group.load({**group.save(), "parameters": parameters})

    def loss(own: Engine, history: Floats) -> Floats:
        del own
        total: Floats = ((history[:, :, 0] - np.array(wanted)[:, None]) ** 2).sum(axis=0)
        return total

    objective = worlds_objective(engine, assign, loss, [1], frames=40, every=2)
    before = engine.save().digest()
    found = sweep(objective, {"tau": (0.1, 3.0), "gain": (0.5, 5.0)}, budget=320, batch=16)
    assert found.best["tau"] == pytest.approx(0.7, rel=0.1)
    assert found.best["gain"] == pytest.approx(2.5, rel=0.05)
    engine.restore(engine.save())
    assert engine.save().digest() != before  # it has run; each batch began from the same state
    with pytest.raises(CalibrationError, match="40 candidates, 16 worlds"):
        sweep(objective, {"tau": (0.1, 3.0), "gain": (0.5, 5.0)}, budget=40, batch=40)


def test_what_cannot_be_swept_is_refused() -> None:
    with pytest.raises(CalibrationError, match="a: a range must rise and be finite, got 1 to 1"):
        sweep(bowl, {"a": (1, 1)})
    with pytest.raises(CalibrationError, match="every candidate of the sweep came to nothing"):
        sweep(lambda c: np.full(len(c["a"]), np.nan), RANGES, budget=8)
    with pytest.raises(CalibrationError, match="must give 8 numbers"):
        sweep(lambda c: np.zeros(3), RANGES, budget=8)
    with pytest.raises(CalibrationError, match="at least one range"):
        sweep(bowl, {})
