"""What a service believes of a rehearsal, and what it tells simulators of requests under way."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

import pytest

from stagetwin.service._measured import Measured
from stagetwin.service._rehearser import doubt_of
from stagetwin.soft import soft_device
from tests.stages.plants import command, full_path, telemetry
from tests.stages.simulation.conftest import DRIVE, USER, Serve, Served, plant_text
from tests.stages.simulation.modelled import model

DESIRED = "/Plant/P.twin:command:drive:desired"
DRAIN, OPEN = "/Plant/P.drain", "/Plant/P.twin:command:drain:desired"


def test_a_request_that_has_not_left_is_no_set_point_in_force(serve: Serve, simulated: Any) -> None:
    """A rehearsal would else compare the command with itself, and find nothing wrong."""

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        desk = s.service.desk
        assert desk is not None
        told = Measured(s.service.twin, desk.displaced)
        told.bind((DESIRED,))
        request = {"target": DRIVE, "value": 20.0, "revision": await s.revision()}
        made = (await s.ask(op="publish", **request))["command"]
        await s.until(lambda: s.get(DESIRED) == 20.0)  # people see what was asked for
        ((value,), _) = told.all()
        assert math.isnan(value)  # and the models, what was ever told the machine
        await s.ask(op="cancel", id=made["id"])
        await s.until(lambda: s.get(DESIRED) is None)
        ((value,), _) = told.all()
        assert math.isnan(value)

    serve(scenario, plant_text(simulated.name, rehearsal="none", approval="single"))


def test_a_request_that_waits_for_approval_is_not_in_force_for_another(
    serve: Serve, simulated: Any
) -> None:
    """What one person asked for and nobody approved yet must not excuse what another asks for."""

    def given(verdict: dict[str, Any]) -> float:
        """Return the drain's set-point in the present that a rehearsal started from."""
        found = re.search(r"\(0, \((\S+), (\d)\)\)", verdict["evidence"]["from"])
        assert found is not None
        return float(found[1])

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)

        async def rehearsed() -> float:
            reply = await s.ask(op="rehearse", target=DRIVE, value=20.0)
            assert reply["rehearsal"]["verdict"] == "held", reply
            return given(reply["rehearsal"])

        s.send("opening", 0.0)
        await s.until(lambda: s.get(full_path("/Plant/P.opening")) == 0.0)
        await s.revision()
        (drain,) = [t for t in (await s.ask(op="targets"))["targets"] if t["path"] == DRAIN]
        request = {"target": DRAIN, "value": 1.0, "revision": drain["revision"]}
        made = (await s.ask(op="publish", **request))["command"]
        await s.until(lambda: s.get(OPEN) == 1.0)
        assert math.isnan(await rehearsed())
        desk = s.service.desk
        assert desk is not None
        soft_device(s.line, lambda told: s.send("opening", told.value) or "")
        try:
            desk.path.approve(made["id"], "bob", "", "")
            async with asyncio.timeout(30):
                while await rehearsed() != 1.0:  # it has left: now it is in force
                    await asyncio.sleep(0.05)
        finally:
            soft_device(s.line, None)

    opening = full_path("/Plant/P.opening")
    parts = (
        telemetry("opening", address="opening"),
        command("drain", address="open", readback=opening, approval="single", expiry=30.0),
        model("d", reads=[OPEN], writes=[opening]),
    )
    text = plant_text(simulated.name, *parts)
    serve(scenario, text, roles={"operator": (USER, "bob")})


def test_a_simulator_that_reads_older_files_is_not_believed(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        ahead = s.service.simulation.ahead
        assert ahead is not None
        await s.until(lambda: ahead.table is not None)
        s.service.simulation.version += 1  # as when files changed that no guard is in
        found = (await s.ask(op="rehearse", target=DRIVE, value=20.0))["rehearsal"]
        assert found["verdict"] == "inconclusive"
        assert found["cause"] == "the simulator has not read the plant's files as they are now"

    serve(scenario)


def test_the_start_of_the_process_ahead_is_no_part_of_a_budget(
    serve: Serve, simulated: Any
) -> None:
    starting = simulated / "starting"
    starting.touch()

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        ahead = s.service.simulation.ahead
        assert ahead is not None
        publish = asyncio.create_task(s.publish(20.0, until="SENT"))
        asked = asyncio.create_task(s.ask(op="rehearse", target=DRIVE, value=20.0))
        await asyncio.sleep(1.5)  # longer than the budget
        assert ahead.table is None
        assert not publish.done()
        assert not asked.done()
        starting.unlink()
        assert (await asked)["rehearsal"]["verdict"] == "held"
        assert (await publish)["rehearsal"]["verdict"] == "held"

    serve(scenario, plant_text(simulated.name, rehearsalBudget=1.0, expiry=60.0))


def test_a_start_that_takes_longer_than_a_request_lives_refuses(
    serve: Serve, simulated: Any
) -> None:
    starting = simulated / "starting"
    starting.touch()

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        found = (await s.ask(op="rehearse", target=DRIVE, value=20.0))["rehearsal"]
        assert found["verdict"] == "inconclusive"
        assert found["cause"].startswith("over its budget of 0.5 s: the models had just started")
        starting.unlink()

    serve(scenario, plant_text(simulated.name, rehearsalBudget=0.5, expiry=2.0))


GIVEN = {"command": DRIVE, "value": 20.0, "horizon": 60.0, "plan": "abc"}
FULL = {"command": DRIVE, "value": 20.0, "simulated": 60.0, "present": {"plan": "abc"}}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"violations": []}, ""),
        ({"simulated": 30.0}, "does not show 60 s"),
        ({"simulated": math.nan}, "does not show 60 s"),
        ({"simulated": None}, "does not show 60 s"),
        ({"simulated": True}, "does not show 60 s"),
        ({"violations": [{"kind": "hard"}]}, "names what is violated"),
        ({"value": 21.0}, "is of another value"),
        ({"value": None}, "is of another value"),
        ({"value": "20.0"}, "is of another value"),
        ({"command": "/Plant/Q.drive"}, "is of another command"),
        ({"command": None}, "is of another command"),
        ({"present": {"plan": "abd"}}, "is of another plan"),
        ({"present": {}}, "is of another plan"),
        ({"present": None}, "is of another plan"),
    ],
)
def test_evidence_must_bear_out_that_a_command_holds(changed: dict[str, Any], says: str) -> None:
    doubt = doubt_of({**FULL, **changed}, GIVEN)
    assert says in doubt
    assert bool(says) == bool(doubt)


def test_evidence_without_a_plan_is_none_even_if_the_present_has_none() -> None:
    assert doubt_of({**FULL, "present": {"plan": None}}, {**GIVEN, "plan": None})


def test_a_boolean_comes_back_as_a_number() -> None:
    assert doubt_of({**FULL, "value": 1.0}, {**GIVEN, "value": True}) == ""
