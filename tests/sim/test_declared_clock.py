"""Models beside a twin that lives in another time than the machine, with the real simulator."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from stagetwin.simulation import wire
from stagetwin.soft import SoftBridge, soft_bridge
from tests.stages.plants import HEADER, asset, connection, full_path, prim, telemetry
from tests.stages.simulation.conftest import Served, run_service
from tests.stages.simulation.modelled import model

EXPECTED = "/Plant/P.twin:model:r:out:value"
RECORDED = 1_500_000_000.0
RISE = 0.5
FRAME = 0.05


def plant_text(line: str, realm: str = "simulation") -> str:
    """Something that rises by half a unit a second towards what is wanted."""
    pump = prim(
        "P",
        asset("p"),
        telemetry("wanted", address="wanted", staleAfter=1e6),
        model(
            "r", "ramp", parameters={"rate_up": RISE}, in_setpoint=full_path("/Plant/P.wanted")
        ),
    )  # fmt: skip
    plant = prim("Plant", asset(connection="line"), pump)
    return HEADER + connection("line", f"soft://{line}", realm=realm) + plant


def health_of(s: Served) -> wire.Health | None:
    beside = s.service.simulation.beside
    return beside.health if beside is not None else None


async def next_health(s: Served, last: wire.Health | None = None) -> wire.Health:
    """Return a word of health after another, of models that run."""
    found: wire.Health = await s.until(
        lambda: (h := health_of(s)) is not last and h is not None and h.frames > 0 and h, timeout=60
    )
    return found


def expected(s: Served) -> tuple[float, float]:
    """Return the time of what the model expects, and that."""
    return s.service.twin.predicted.time, s.get(EXPECTED)


async def reached(s: Served, bridge: SoftBridge, seconds: float) -> None:
    """Let a recording go on to a time, and wait until the models are there too."""
    bridge.send("wanted", 1e6, source_time=RECORDED + seconds)
    least = RECORDED + seconds - FRAME - 1e-6
    await s.until(lambda: least <= s.service.twin.predicted.time < least + 1.0, timeout=60)


@pytest.mark.timeout(400)
def test_models_run_ten_times_as_fast(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        began = s.service.twin.clock.steady()
        s.send("wanted", 1e6)
        # Kernels that nobody has compiled on this machine yet take their time.
        await s.until(lambda: s.get(EXPECTED) is not None, timeout=180)
        words = [await next_health(s)]
        before = expected(s)
        while len(words) < 4:
            words.append(await next_health(s, words[-1]))
        after = expected(s)
        # At least a second of the wall is between two words of health: ten of the twin's.
        due = [each.time + each.lag + each.dropped * FRAME for each in words]
        assert all(b - a >= 10.0 - 2 * FRAME for a, b in itertools.pairwise(due)), due
        assert due[-1] <= s.service.twin.clock.steady() - began + FRAME
        assert after[0] - before[0] > 10.0
        assert after[1] - before[1] == pytest.approx(RISE * (after[0] - before[0]), abs=1e-3)

    fields: dict[str, Any] = {"clock": "accelerated", "rate": 10.0, "allow_commands": False}
    run_service(tmp_path, scenario, plant_text(tmp_path.name), **fields)


@pytest.mark.timeout(400)
def test_models_step_with_a_recording_and_stand_still_with_it(tmp_path: Path) -> None:
    async def scenario(s: Served) -> None:
        bridge = soft_bridge(s.line)
        bridge.send("wanted", 1e6, source_time=RECORDED)
        await s.until(lambda: health_of(s) is not None, timeout=180)
        await reached(s, bridge, 1.0)
        first = expected(s)
        for seconds in (10.0, 90.0):  # the same value: time alone goes on
            await reached(s, bridge, seconds)
        last = expected(s)
        assert last[0] == pytest.approx(RECORDED + 90.0, abs=FRAME + 1e-6)
        assert last[1] - first[1] == pytest.approx(RISE * (last[0] - first[0]), abs=1e-3)
        # A word that was on its way is passed over; then nothing moves.
        word = await next_health(s, await next_health(s, health_of(s)))
        assert word.time == pytest.approx(90.0, abs=2 * FRAME)
        assert (await next_health(s, word)).time == word.time
        assert expected(s) == last
        assert word.dropped == 0

    fields: dict[str, Any] = {"clock": "replay", "allow_commands": False}
    run_service(tmp_path, scenario, plant_text(tmp_path.name, "replay"), **fields)
