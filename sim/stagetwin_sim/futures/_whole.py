"""Models that do not run, and what may be said of futures without them."""

from __future__ import annotations

from collections.abc import Collection

from stagetwin_sim._errors import ScenarioError
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._depends import dependants, missing, sources
from stagetwin_sim.futures._forecast import Setting
from stagetwin_sim.futures._future import Future
from stagetwin_sim.futures._present import Present
from stagetwin_sim.futures._slots import Slots
from stagetwin_sim.futures._wiring import wire
from stagetwin_sim.plant import PlantModel

__all__ = ["check_whole", "lost_of", "stopped_in"]


def lost_of(plant: PlantModel) -> list[str]:
    """Return the models of a stage that do not run, as `PRIM.NAME`."""
    return sorted(m.path for m in plant.table.models if m.path not in plant.instances)


def stopped_in(future: Future) -> list[str]:
    """Return the models that stopped in any world of a future, as `PRIM.NAME`."""
    return sorted(
        {
            str(state.place)
            for system in future.engine.systems.values()
            for state in getattr(system, "health", list)()
            if state.stopped
        }
    )


def check_whole(present: Present, commands: Collection[str], measured: Collection[str]) -> None:
    """Refuse a scenario whose answer depends on a model that does not run.

    Args:
        present: where it starts.
        commands: paths of the commanded properties that its futures set.
        measured: signals, set-points and outputs that its measures take, as they are named there.

    Raises:
        ScenarioError: a command or measure depends on one.
    """
    if not lost_of(present.plant):
        return
    slots = Slots(present)
    taps = {name: slots.tap(name) for name in measured}
    settings = tuple(Setting(path, 0.0) for path in sorted(commands))
    wiring = wire(slots, [Branch(settings=settings)])
    for path in sorted(commands):
        found = missing(present.plant, path, dict(dependants(wiring, path)))
        _refuse(slots.commands[path].path, found)
    names = {signal.path: path for path, signal in slots.telemetry.items()}
    for name, tap in sorted(taps.items()):
        found = missing(present.plant, names.get(name, name), sources(wiring, {}, [tap.column]))
        _refuse(name, found)


def _refuse(name: str, lost: tuple[str, str] | None) -> None:
    if lost is not None:
        model, why = lost
        raise ScenarioError(
            f"{name} may depend on {model}, which does not run: {why}; mend it, or go without it "
            "(--allow-missing, allow_missing)"
        )
