"""Ownership: a stage belongs to one thread; everybody else hands it columns."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from pxr import Sdf

from stagetwin._errors import OwnershipError
from stagetwin.hub import Changes
from stagetwin.live import Owner
from stagetwin.ports import ConnectionState
from tests.stages.conftest import MakePlant
from tests.stages.plants import Plant, plant, prim, telemetry

TYPES = Sdf.ValueTypeNames
NOTHING = Changes(*[np.empty(0, np.intp)] * 3)
CALLS: dict[str, Callable[[Plant], object]] = {
    "tick": lambda p: p.twin.tick(),
    "sync_structure": lambda p: p.twin.sync_structure(),
    "refresh_health": lambda p: p.twin.refresh_health(),
    "connection": lambda p: p.twin.connection("line", ConnectionState.ONLINE, "", 1.0),
    "bind": lambda p: p.twin._live.bind({}, 0),
    "write": lambda p: p.twin._live.write(NOTHING, p.twin.hub.latest, 0.0),
    "clear": lambda p: p.twin._live.clear(),
    "state": lambda p: p.twin._state.write({Sdf.Path("/A.b"): (TYPES.Double, 1.0)}),
    "withdraw": lambda p: p.twin._state.withdraw(Sdf.Path("/A.b")),
}


def elsewhere(call: Callable[[], object]) -> BaseException | None:
    """Run a call on another thread and return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_may_not_touch_the_stage(live: MakePlant, name: str) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="flow"))))
    twin.tell("flow", 1.0)
    before = twin.stage.Flatten(addSourceFileComment=False).ExportToString()
    error = elsewhere(lambda: CALLS[name](twin))
    assert isinstance(error, OwnershipError)
    assert "hand it columns through the hub" in str(error)
    assert twin.stage.Flatten(addSourceFileComment=False).ExportToString() == before


def test_another_thread_may_send_and_vouch(live: MakePlant) -> None:
    twin = live(plant(prim("P1", telemetry("flow", address="flow"))))

    def work() -> None:
        twin.send("flow", 2.0)
        twin.sinks["line"].vouch([0], True)

    assert elsewhere(work) is None
    twin.tick()
    assert twin.get("/Plant/P1.flow") == 2.0


def test_a_stage_may_live_on_any_one_thread() -> None:
    owners: list[Owner] = []
    assert elsewhere(lambda: owners.append(Owner())) is None
    with pytest.raises(OwnershipError):
        owners[0].check()
    Owner().check()
