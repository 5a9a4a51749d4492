"""Faults of sensors as they are defined; scripts, and what is wrong with them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.bindings import TelemetryBinding
from stagetwin_sim._errors import FaultError
from stagetwin_sim.faults import SENSOR_KINDS, Fault, Faults, FaultScript, Weakness
from tests.stages.plants import plant, prim, table_of, telemetry

PUMP = "/Plant/P1"
DT = 0.1


def signals() -> list[TelemetryBinding]:
    parts = (
        telemetry("flow", address="f", unit="m3/h", hard=(0, 100)),
        telemetry("temperature", address="t", unit="Cel"),
        telemetry("position", "double3", "p", unit="m"),
        telemetry("running", "bool", "r"),
        telemetry("state", "token", "s"),
    )
    return list(table_of(plant(prim("P1", *parts))).telemetry.values())


FLOW, TEMPERATURE, POSITION, RUNNING, STATE = range(5)
SOUND: list[Any] = [40.0, 20.0, [1.0, 2.0, 3.0], True, "ready"]


def faults(*given: Fault, seed: int = 0, weak: Sequence[Weakness] = ()) -> Faults:
    made = Faults(signals(), weak, {"p1": "/Plant"}, seed)
    made.script(FaultScript(fault=given))
    return made


def play(made: Faults, steps: int, values: Sequence[Any] = SOUND) -> list[list[Any]]:
    """Return what is told after each step of DT."""
    told = []
    for _ in range(steps):
        made.advance(DT)
        told.append(made.told(list(values)))
    return told


def flow(kind: str, **how: Any) -> Fault:
    return Fault(signal=f"{PUMP}.flow", kind=kind, **how)


# -- what a faulty sensor says


def test_a_bias_comes_stays_and_goes_when_it_is_told_to() -> None:
    told = [row[FLOW] for row in play(faults(flow("bias", amount=5.0, at=0.95, lasts=1.0)), 25)]
    assert told == [40.0] * 9 + [45.0] * 10 + [40.0] * 6


@given(st.floats(-50, 50), st.floats(0, 3), st.floats(0.2, 4))
def test_a_ramp_brings_a_bias_evenly(amount: float, at: float, ramp: float) -> None:
    made = faults(flow("bias", amount=amount, at=at, ramp=ramp))
    for step, row in enumerate(play(made, 60), 1):
        share = min(max((step * DT - at) / ramp, 0.0), 1.0)
        assert row[FLOW] == pytest.approx(40.0 + amount * share, abs=1e-6)


def test_a_drift_grows_with_time_in_the_unit_that_it_is_given_in() -> None:
    made = faults(
        flow("drift", amount=0.5, at=1.0),
        Fault(signal=f"{PUMP}.temperature", kind="drift", amount=3600.0, unit="K/h"),
    )
    told = play(made, 30)
    assert told[-1][FLOW] == pytest.approx(40.0 + 0.5 * 2.0)
    assert told[-1][TEMPERATURE] == pytest.approx(20.0 + 3.0)


def test_gain_and_resolution_change_what_is_measured() -> None:
    assert play(faults(flow("gain", amount=-0.25)), 1)[0][FLOW] == 30.0
    made = faults(flow("resolution", amount=8.0))
    said = [made.told([y, *SOUND[1:]])[FLOW] for y in (0.0, 3.9, 4.1, 41.0)]
    assert said == [0.0, 0.0, 8.0, 40.0]


def test_a_frozen_sensor_repeats_what_it_said_when_it_froze_whatever_it_is() -> None:
    for name in ("flow", "position", "running", "state"):
        made = faults(Fault(signal=f"{PUMP}.{name}", kind="freeze", at=0.25, lasts=0.5))
        row = {"flow": FLOW, "position": POSITION, "running": RUNNING, "state": STATE}[name]
        told = []
        for step in range(10):
            made.advance(DT)
            told.append(made.told([step] * 5)[row])
        assert told == [0, 1, 2, 2, 2, 2, 2, 7, 8, 9]


def test_noise_has_its_deviation_and_no_mean() -> None:
    told = np.array([row[FLOW] for row in play(faults(flow("noise", amount=2.0)), 4000)])
    assert told.mean() == pytest.approx(40.0, abs=4 * 2.0 / 4000**0.5)
    assert told.std() == pytest.approx(2.0, rel=4 / (2 * 4000) ** 0.5)
    assert abs(np.corrcoef(told[1:], told[:-1])[0, 1]) < 4 / 4000**0.5


def test_dropouts_are_a_share_of_the_samples() -> None:
    told = [row[FLOW] for row in play(faults(flow("dropout", amount=0.3)), 4000)]
    assert {each for each in told if each is not None} == {40.0}
    assert told.count(None) / 4000 == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)


def test_every_number_of_a_vector_is_wrong_alike_and_others_are_sound() -> None:
    told = play(faults(Fault(signal=f"{PUMP}.position", kind="bias", amount=1.0)), 1)[0]
    assert told[POSITION] == [2.0, 3.0, 4.0]
    assert [told[i] for i in (FLOW, TEMPERATURE, RUNNING, STATE)] == [40.0, 20.0, True, "ready"]


def test_the_same_seed_gives_the_same_noise_and_another_another() -> None:
    wanted = (flow("noise", amount=2.0), flow("dropout", amount=0.5))
    first, again, other = (
        [row[FLOW] for row in play(faults(*wanted, seed=seed), 50)] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other
    alone = [row[FLOW] for row in play(faults(flow("dropout", amount=0.5), seed=7), 50)]
    assert [each is None for each in alone] == [each is None for each in first]


def test_a_scripts_seed_goes_before_that_of_the_machines(tmp_path: Path) -> None:
    def told(text: str, seed: int) -> list[Any]:
        made = Faults(signals(), (), {}, seed)
        path = tmp_path / "faults.toml"
        path.write_text(text)
        made.script(FaultScript.load(path))
        return [row[FLOW] for row in play(made, 20)]

    entry = f'[[fault]]\nsignal = "{PUMP}.flow"\nkind = "noise"\namount = 1\n'
    assert told("seed = 3\n" + entry, 1) == told("seed = 3\n" + entry, 2)
    assert told(entry, 1) != told(entry, 2)


# -- the process


def weakness(struck: list[float], **more: Any) -> Weakness:
    given = {"low": 0.0, "high": 0.95, "sound": 0.1, "unit": "1", "model": "m", **more}
    return Weakness(prim=PUMP, asset="/Plant", port="wear", strike=struck.append, **given)


def test_a_fault_of_the_process_goes_from_what_is_sound_to_its_amount_and_back() -> None:
    struck: list[float] = []
    fault = Fault(asset=PUMP, kind="wear", amount=0.5, at=0.15, ramp=0.4, lasts=0.6)
    play(faults(fault, weak=[weakness(struck)]), 10)
    assert struck == pytest.approx([0.15, 0.25, 0.35, 0.45, 0.5, 0.5, 0.1])


def test_two_faults_of_one_place_add_up_within_its_range() -> None:
    struck: list[float] = []
    each = Fault(asset="p1", kind="wear", amount=0.4)
    worse = Fault(asset="p1", kind="wear", amount=0.9, at=0.15)
    play(faults(each, worse, weak=[weakness(struck, sound=0.0)]), 2)
    assert struck == pytest.approx([0.4, 0.95])


def test_on_demand_a_fault_begins_now_and_the_same_again_replaces_it() -> None:
    struck: list[float] = []
    made = faults(weak=[weakness(struck)])
    play(made, 30)
    made.begin(made.fault("p1", "wear", amount=20, unit="%"))
    made.begin(made.fault("p1", "wear", amount=0.3, lasts=0.15))
    made.begin(made.fault(f"{PUMP}.flow", "bias", amount=1.0))
    assert [(row["where"], row["kind"], row["amount"]) for row in made.rows()] == [
        ("p1", "wear", 0.3),
        (f"{PUMP}.flow", "bias", 1.0),
    ]
    assert play(made, 3)[-1][FLOW] == 41.0
    assert struck == pytest.approx([0.3, 0.1])
    assert made.end("/Plant") == 1
    assert made.rows() == []


# -- what is wrong with a script


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"asset": "p1", "kind": "wear", "amount": 2}, [PUMP, "wear", "[0, 0.95] 1", "got 2"]),
        ({"asset": "p1", "kind": "wear"}, [PUMP, "needs an amount in [0, 0.95] 1"]),
        ({"asset": "p1", "kind": "rust", "amount": 1}, ["/Plant", "'rust'", "m.wear"]),
        ({"asset": "/Else", "kind": "wear", "amount": 0.1}, ["/Else", "no such machine"]),
        (
            {"asset": "p1", "kind": "wear", "amount": 1, "unit": "bar"},
            [PUMP, "wear is in 1", "'bar' cannot become '1'"],
        ),
        ({"signal": f"{PUMP}.heat", "kind": "bias", "amount": 1}, [f"{PUMP}.heat", f"{PUMP}.flow"]),
        ({"signal": f"{PUMP}.flow", "kind": "lie"}, [f"{PUMP}.flow", "'lie'", *SENSOR_KINDS]),
        (
            {"signal": f"{PUMP}.state", "kind": "bias", "amount": 1},
            [f"{PUMP}.state", "token", "freeze, dropout"],
        ),
        ({"signal": f"{PUMP}.running", "kind": "gain", "amount": 1}, ["bool", "freeze, dropout"]),
        (
            {"signal": f"{PUMP}.flow", "kind": "noise", "amount": -1},
            [f"{PUMP}.flow", "[0, inf] m3/h", "got -1"],
        ),
        ({"signal": f"{PUMP}.flow", "kind": "dropout", "amount": 1.5}, ["[0, 1] 1", "got 1.5"]),
        ({"signal": f"{PUMP}.flow", "kind": "drift", "amount": 1, "unit": "m3/h"}, ["in m3/h/s"]),
        ({"signal": f"{PUMP}.flow", "kind": "drift", "amount": 1, "ramp": 2}, ["no ramp", "2 s"]),
        ({"signal": f"{PUMP}.flow", "kind": "freeze", "amount": 1}, ["no amount", "got 1"]),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_place_and_range(
    fault: dict[str, Any], words: list[str]
) -> None:
    made = Faults(signals(), [weakness([])], {"p1": "/Plant"})
    sound = Fault(signal=f"{PUMP}.flow", kind="freeze")
    script = FaultScript(fault=(sound, Fault(**fault)))
    with pytest.raises(FaultError) as refused:
        made.script(script, "day.toml")
    assert str(refused.value).startswith("day.toml: fault 2: ")
    for word in words:
        assert word in str(refused.value)
    assert made.rows() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[fault]]\nkind = 'x'\n", ["fault 1", "either asset (the process) or signal"]),
        ("[[fault]]\nasset='a'\nsignal='b'\nkind='x'\n", ["fault 1", "either asset"]),
        ("[[fault]]\nasset='a'\nkind='x'\n[[fault]]\nasset='a'\nkind='x'\nat=-1\n", ["fault 2.at"]),
        ("[[fault]]\nasset='a'\nkind='x'\nwhen=3\n", ["fault 1.when", "Extra", "got 3"]),
        ("[[fault]]\nasset='a'\nkind='x'\namount=inf\n", ["fault 1.amount", "finite"]),
        ("[[fault]]\nasset='a'\nkind='x'\nfor=0\n", ["fault 1.for", "greater than 0"]),
        ("seeds = 3\n", ["seeds", "Extra"]),
        ("[[fault\n", ["no TOML"]),
    ],
)
def test_a_script_that_cannot_be_read_is_refused_by_entry(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(FaultError) as refused:
        FaultScript.load(path)
    for word in (str(path), *words):
        assert word in str(refused.value)


def test_faults_of_what_is_elsewhere_are_passed_over_and_of_nowhere_are_not() -> None:
    made = Faults(signals())
    script = FaultScript(fault=(Fault(asset="q9", kind="wear", amount=0.1),))
    made.script(script, "s", elsewhere={"q9"})
    assert made.rows() == []
    with pytest.raises(FaultError, match="q9"):
        made.script(script, "s", elsewhere={"q8"})


def test_a_missing_script_is_said() -> None:
    with pytest.raises(FaultError, match=r"cannot read .*none\.toml: No such file"):
        FaultScript.load(Path("none.toml"))


def test_levels_are_within_0_and_1() -> None:
    fault = Fault(asset="a", kind="x", at=1.0, lasts=3.0, ramp=2.0)
    levels = [fault.level(t / 4) for t in range(20)]
    assert levels[:4] == [0.0] * 4
    assert all(b >= a for a, b in itertools.pairwise(levels[:16]))
    assert (levels[12], levels[15], levels[16]) == (1.0, 1.0, 0.0)
