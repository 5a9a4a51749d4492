"""Models under a service: a real simulator process, fed by the hub, seen on the stage."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from pxr import Sdf

from stagetwin import AccessError, ServiceError
from stagetwin.gateway import ListenConfig
from stagetwin.people import Principal
from stagetwin.service import Service, ServiceConfig
from tests.stages.plants import asset, full_path, prim, telemetry
from tests.stages.simulation.conftest import (
    DRIVE,
    FLOW,
    PREDICTED,
    RESIDUAL,
    SPEED,
    Serve,
    Served,
    plant_text,
)
from tests.stages.simulation.modelled import model

STATE = "/Plant/P.twin:model:m:state"
WEAR = "/Plant/P.wear"


def test_what_a_model_expects_stands_beside_what_is_measured(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        s.send("flow", 19.0)
        await s.predicted(10.0, 20.0)
        assert s.get(RESIDUAL) == -10.0
        assert s.get("/Plant/P.twin:model:m:out:gain") == 2.0
        await s.until(lambda: s.get(STATE) == "running")
        (row,) = (await s.ask(op="models"))["models"]
        assert (row["path"], row["kind"], row["state"]) == ("/Plant/P.m", "echo", "running")
        assert row["fidelity"] == "screening"
        (signal_row,) = row["signals"]
        assert signal_row == {
            "path": "/Plant/P.flow",
            "property": FLOW,
            "unit": "m3/h",
            "value": 19.0,
            "quality": "good",
            "predicted": 20.0,
            "residual": -10.0,
            "sigma": 0.5,
            "sigmas": -20.0,
        }
        full = (await s.ask(op="model", model="/Plant/P.m"))["model"]
        assert full["parameters"] == {"gain": {"value": 2.0, "unit": ""}}
        assert full["outputs"] == [{"port": "gain", "value": 2.0, "unit": ""}]
        status = (await s.ask(op="status"))["models"]
        assert status["states"] == {"running": 1}
        assert status["simulators"]["beside"]["factor"] == 12.5

    serve(scenario)


def test_a_body_is_placed_where_the_model_sees_it(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(3.0, 6.0)
        matrix = s.get("/Plant/Box.xformOp:transform:predicted")
        assert matrix.ExtractTranslation() == (6, 0, 0)

    serve(scenario)


def test_a_simulator_that_falls_takes_its_word_with_it_and_comes_again(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        beside = s.service.simulation.beside
        assert beside is not None
        os.kill(beside.pid, signal.SIGKILL)
        await s.until(lambda: s.get(PREDICTED) is None)
        assert s.get("/Plant/Box.xformOp:transform:predicted") is None
        assert s.get(STATE) in ("none", "starting", "waiting")
        await s.until(lambda: s.get(PREDICTED) == 20.0)  # from what is measured, told anew
        assert beside.restarts == 1
        metrics = s.service._metrics_text()
        await s.until(
            lambda: 'simulator_restarts_total{role="beside"} 1' in s.service._metrics_text()
        )
        assert "stagetwin_simulator_real_time_factor" in metrics

    serve(scenario)


def test_a_model_that_crashes_its_simulator_again_and_again_costs_nothing_else(
    serve: Serve,
) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        s.send("speed", 666.0)
        await s.until(lambda: s.get(PREDICTED) is None)
        await s.until(lambda: s.get(SPEED) == 666.0)
        s.send("flow", 5.0)
        await s.until(lambda: s.get(FLOW) == 5.0)
        await s.until(lambda: s.service.simulation.status()["simulators"]["beside"]["restarts"] > 0)

    serve(scenario)


def test_a_simulator_that_hangs_is_not_believed(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        beside = s.service.simulation.beside
        assert beside is not None
        os.kill(beside.pid, signal.SIGSTOP)
        try:
            await s.until(lambda: s.get(PREDICTED) is None)
            await s.until(lambda: "does not answer" in s.get("/Plant/P.twin:model:m:cause"))
        finally:
            os.kill(beside.pid, signal.SIGCONT)
        await s.until(lambda: s.get(PREDICTED) == 20.0)
        await s.until(lambda: s.get(STATE) == "running")
        assert beside.restarts == 0

    serve(scenario)


def test_what_does_not_change_stays_and_what_nobody_speaks_of_goes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stagetwin.service._simulation.STALE_AFTER", 1.0)

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        beside = s.service.simulation.beside
        assert beside is not None

        def frames() -> int:
            return beside.health.frames if beside and beside.health else 0

        now = frames()
        await s.until(lambda: frames() >= now + 25)  # a tenth of a second each, at the least
        assert s.get(PREDICTED) == 20.0
        s.send("speed", 777.0)  # it says nothing more, but that its process lives
        await s.until(lambda: s.get(PREDICTED) == 1554.0)
        await s.until(lambda: s.get(PREDICTED) is None)
        await s.predicted(10.0, 20.0)

    serve(scenario)


def test_a_number_that_no_attribute_can_hold_ends_no_service(serve: Serve, simulated: Path) -> None:
    count = full_path("/Plant/P.count")

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)  # the other model expects -10 of an unsigned number
        expected = full_path("/Plant/P.count", "predicted")
        assert s.get(expected) is None
        s.send("speed", -3.0)
        await s.until(lambda: s.get(expected) == 3)
        s.send("speed", 1e30)
        await s.until(lambda: s.get(PREDICTED) == 2e30)
        assert s.get(expected) is None

    part = model("n", reads=[SPEED], writes=[count], parameters={"gain": -1.0})
    serve(scenario, plant_text(simulated.name, telemetry("count", "uint", address="count"), part))


def test_what_cannot_be_passed_on_is_withdrawn_and_costs_nothing_else(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        layer = s.service.twin.predicted
        kept, layer._cast = layer._cast, []  # as after a fault of its own
        layer._plain[:] = False
        s.send("speed", 11.0)
        await s.until(lambda: s.get(PREDICTED) is None)
        s.send("speed", 12.0)
        s.send("flow", 7.0)
        await s.until(lambda: (s.get(SPEED), s.get(FLOW)) == (12.0, 7.0))
        assert math.isnan(layer.time)
        layer._cast = kept
        await s.until(lambda: s.get(PREDICTED) == 24.0)

    serve(scenario)
    said = [r for r in caplog.records if "cannot be passed on" in r.message]
    assert len(said) == 1


def test_models_that_no_simulator_runs_say_why(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        await s.until(lambda: s.get("/Plant/P.twin:model:odd:state") == "failed")
        assert "no kind 'odd' here" in s.get("/Plant/P.twin:model:odd:cause")

    serve(scenario, plant_text(simulated.name, model("odd", "odd")))


def test_files_that_change_are_read_anew(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        stage = simulated / "plant.usda"
        stage.write_text(stage.read_text().replace("param:gain = 2.0", "param:gain = 3.0"))
        await s.until(lambda: s.get(PREDICTED) == 30.0)
        gone = stage.read_text().replace('"TwinModelAPI:m", ', "")
        stage.write_text(gone)
        await s.until(lambda: s.service.simulation.beside is None)
        assert not s.service.twin.layers.predicted.GetAttributeAtPath(PREDICTED)
        assert (await s.ask(op="models"))["fault"] == "this stage has no models"

    serve(scenario)


@pytest.mark.parametrize(("models", "fidelity"), [(True, "screening"), (False, "engineering")])
def test_nothing_is_calibrated_because_the_stage_says_so(
    serve: Serve, simulated: Path, models: bool, fidelity: str
) -> None:
    async def scenario(s: Served) -> None:
        if models:
            await s.predicted(10.0, 20.0)
        (row,) = (await s.ask(op="models"))["models"]
        assert row["fidelity"] == fidelity  # the simulator's word, or what a claim is worth

    claim = 'uniform token twin:model:m:fidelity = "calibrated"'
    text = plant_text(simulated.name).replace(
        "double twin:model:m:", f"{claim}\ndouble twin:model:m:"
    )
    assert claim in text
    serve(scenario, text, models=models)


def test_a_service_may_run_no_models(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        s.send("speed", 10.0)
        await s.until(lambda: s.get(SPEED) == 10.0)
        assert s.service.simulation.beside is None
        await s.until(lambda: s.get("/Plant/P.twin:model:m:cause"))
        assert "--no-models" in s.get("/Plant/P.twin:model:m:cause")

    serve(scenario, models=False)


def test_a_sessions_detour_is_not_believed(serve: Serve) -> None:
    """A session that binds a signal elsewhere must not feed what a rehearsal believes."""

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        session = s.stage.GetSessionLayer()
        spec = Sdf.CreatePrimInLayer(session, "/Plant/P")
        attr = Sdf.AttributeSpec(
            spec, "twin:telemetry:speed:address", Sdf.ValueTypeNames.String,
            Sdf.VariabilityUniform,
        )  # fmt: skip
        attr.default = "flow"
        await s.until(lambda: s.service.twin.table.telemetry and _address(s) == "flow")
        await s.until(lambda: s.send("flow", 40.0) or s.get(SPEED) == 40.0)
        await s.until(lambda: s.get(PREDICTED) is None)
        spec.RemoveProperty(attr)
        await s.until(lambda: _address(s) == "speed")
        # Its bridge hears of the bindings a moment later.
        await s.until(lambda: s.send("speed", 11.0) or s.get(PREDICTED) == 22.0)

    serve(scenario)


def _address(s: Served) -> str:
    (found,) = [b.address for b in s.service.twin.table.telemetry.values() if b.signal == "speed"]
    return found


def test_an_alarm_on_a_residual_arises_and_is_not_cleared_by_silence(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        def row() -> dict[str, Any]:
            book = s.service.alarms.book
            assert book is not None
            (found,) = [row for row in book.rows() if row["id"] == WEAR]
            return found

        await s.predicted(10.0, 20.0)
        assert row()["state"] == "NORMAL"
        await s.predicted(20.0, 40.0)  # residual -20
        await s.until(lambda: row()["state"] == "UNACK")
        assert row()["cause"] == "-20 m3/h is below -15, says its model"
        assert row()["advice"] == "look at the impeller"
        assert s.get("/Plant/P.twin:alarm:wear:state") == "UNACK"
        beside = s.service.simulation.beside
        assert beside is not None
        os.kill(beside.pid, signal.SIGSTOP)
        try:
            await s.until(lambda: s.get(RESIDUAL) is None)
            assert row()["state"] == "UNACK"
        finally:
            os.kill(beside.pid, signal.SIGCONT)
        await s.until(lambda: s.get(RESIDUAL) == -20.0)
        s.send("speed", 14.0)  # within the hysteresis
        await s.until(lambda: s.get(RESIDUAL) == -14.0)
        assert row()["state"] == "UNACK"
        s.send("speed", 5.0)
        await s.until(lambda: row()["state"] == "RTN_UNACK")

    serve(scenario)


# -- what may be asked


def test_the_present_is_saved_to_the_services_folder(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        reply = await s.ask(op="present", name="before")
        path = Path(reply["path"])
        assert path == simulated / "state" / "presents" / "before.present"
        assert b"10.0" in path.read_bytes()
        assert reply["bytes"] == path.stat().st_size
        for wrong in ("../evil", "a/b", 7):
            with pytest.raises(ServiceError, match="name must be"):
                await s.ask(op="present", name=wrong)
        with pytest.raises(AccessError):
            await s.ask(Principal("nobody"), op="present")

    serve(scenario)


async def job_of(s: Served, job: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while (row := (await s.ask(op="job", id=job))["job"])["state"] == "running":
            await asyncio.sleep(0.02)
    return row


def test_no_rehearsal_waits_for_a_what_if(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        endless = {"steps": 10**9, "slow": True}
        begun = (await s.ask(op="what_if", scenario=endless))["job"]
        await s.until(lambda: s.service.models._jobs._jobs[begun["id"]].text == "steps")
        simulation = s.service.simulation
        ahead, what_if = simulation.ahead, simulation.what_if
        assert ahead is not None
        assert what_if is not None
        assert os.getpriority(os.PRIO_PROCESS, what_if.pid) > os.getpriority(
            os.PRIO_PROCESS, ahead.pid
        )
        await s.until(lambda: ahead.table is not None)
        found = (await s.ask(op="rehearse", target=DRIVE, value=20.0))["rehearsal"]
        assert found["verdict"] == "held", found
        assert what_if.busy
        assert set(simulation.status()["simulators"]) == {"beside", "ahead", "what-if"}
        await s.ask(op="cancel_job", id=begun["id"])

    serve(scenario)


def test_futures_are_asked_for_looked_at_and_given_up(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        assert s.service.simulation.what_if is None  # nobody has asked yet
        begun = (await s.ask(op="what_if", scenario={"name": "one", "steps": 3}))["job"]
        row = await job_of(s, begun["id"])
        assert (row["state"], row["done"], row["result"]["name"]) == ("done", 1.0, "one")
        assert "10.0" in row["result"]["from"]
        await s.ask(op="present", name="then")
        begun = (await s.ask(op="what_if", scenario={}, **{"from": "then"}))["job"]
        assert (await job_of(s, begun["id"]))["state"] == "done"
        slow = {"steps": 100_000, "slow": True}
        begun = (await s.ask(op="what_if", scenario=slow))["job"]
        await s.until(lambda: s.service.models._jobs._jobs[begun["id"]].text == "steps")
        with pytest.raises(ServiceError, match="of yours"):
            await s.ask(Principal("somebody"), op="job", id=begun["id"])
        assert (await s.ask(op="cancel_job", id=begun["id"]))["job"]["state"] == "cancelled"
        what_if = s.service.simulation.what_if
        assert what_if is not None
        await s.until(lambda: not what_if.busy)
        begun = (await s.ask(op="what_if", scenario={}, **{"from": "never"}))["job"]
        row = await job_of(s, begun["id"])
        assert (row["state"], "no present 'never'" in row["error"]) == ("failed", True)

    serve(scenario, plant_text(simulated.name, rehearsal="none"))


def test_a_scenario_that_names_files_is_the_owners(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        somebody = Principal("somebody")
        s.service.access.may = lambda *_: True  # type: ignore[method-assign]
        for given in ({"layout": {"layers": ["/etc/x.usda"]}}, {"a": [{"file": "/etc/passwd"}]}):
            with pytest.raises(AccessError, match="names files"):
                await s.ask(somebody, op="what_if", scenario=given)
        for wrong in (None, [], "x"):
            with pytest.raises(ServiceError, match="scenario must be an object"):
                await s.ask(op="what_if", scenario=wrong)

    serve(scenario)


def test_the_process_for_futures_ends_when_nobody_asks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, simulated: Path
) -> None:
    monkeypatch.setattr("stagetwin.service._simulation.IDLE", 0.3)

    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        begun = (await s.ask(op="what_if", scenario={}))["job"]
        assert (await job_of(s, begun["id"]))["state"] == "done"
        assert s.service.simulation.what_if is not None
        assert s.service.simulation.ahead is None  # nobody has a command rehearsed
        await s.until(lambda: s.service.simulation.what_if is None)

    serve(scenario, plant_text(simulated.name, rehearsal="none"))


def test_a_stage_without_models_starts_no_process(simulated: Path) -> None:
    stage = simulated / "bare.usda"
    stage.write_text('#usda 1.0\ndef Xform "World" {}\n')
    config = ServiceConfig(
        stage=stage, socket=simulated / "s.sock", state_dir=simulated / "state", in_process=True
    )

    async def run() -> None:
        service = Service(config)
        task = asyncio.create_task(service.run())
        await asyncio.wait_for(service.ready.wait(), 20)
        await asyncio.sleep(0)
        assert service.simulation.beside is None
        assert service.status()["models"]["simulators"] == {}
        service.stop()
        await task

    asyncio.run(run())


# -- the rehearsal of a command


def test_a_command_that_holds_goes_on(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        row = await s.publish(20.0, until="SENT")
        rehearsed = next(each for each in row["history"] if each["state"] == "REHEARSED")
        assert rehearsed["cause"] == "its rehearsal held: nothing near a limit"
        assert row["rehearsal"]["verdict"] == "held"
        assert row["rehearsal"]["hash"] == "abc"
        assert "10.0" in row["rehearsal"]["evidence"]["from"]
        entries = s.service.desk.path._ledger.entries(row["id"])  # type: ignore[union-attr]
        (kept,) = [e.body for e in entries if e.state == "REHEARSED"]
        assert kept["rehearsal"]["verdict"] == "held"

    serve(scenario)


def test_a_command_that_would_violate_a_limit_is_refused(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        row = await s.publish(60.0)
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        assert row["cause"] == (
            "its rehearsal is violated: limit at /Plant/T.level, 4.2 m, 4 m is allowed, "
            "the tank runs over, 31 s from now"
        )
        assert row["rehearsal"]["evidence"]["violations"][0]["value"] == 4.2
        assert s.get("/Plant/P.twin:command:drive:status") == "REJECTED"
        assert "the tank runs over" in s.get("/Plant/P.twin:command:drive:cause")
        assert s.get("/Plant/P.twin:command:drive:desired") is None

    serve(scenario)


def test_one_over_its_budget_is_refused_and_no_tick_waits_for_it(
    serve: Serve, simulated: Path
) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        publish = asyncio.create_task(s.publish(95.0))
        for speed in (11.0, 12.0, 13.0):  # life goes on meanwhile
            await s.predicted(speed, 2 * speed)
        row = await publish
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        cause = "its rehearsal is inconclusive: over its budget of 0.5 s"
        assert row["cause"].startswith(f"{cause}: the models had just started, and kernels")
        row = await s.publish(20.0, until="SENT")  # what was given up holds up nothing
        assert row["rehearsal"]["verdict"] == "held"
        # The first answer came: now it is not the start any more.
        again = (await s.ask(op="rehearse", target=DRIVE, value=95.0))["rehearsal"]
        assert (
            again["cause"] == "over its budget of 0.5 s; give it more (--budget, rehearsalBudget)"
        )

    serve(scenario, plant_text(simulated.name, rehearsalBudget=0.5))


@pytest.mark.parametrize(
    ("value", "says"),
    [(98.0, "/Plant/P.m: its FMU saves no state"), (99.0, "ended with status 4")],
)
def test_what_cannot_be_said_refuses(serve: Serve, value: float, says: str) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        row = await s.publish(value)
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        assert "is inconclusive" in row["cause"]
        assert says in row["cause"]

    serve(scenario)


def test_without_a_simulator_everything_that_asks_for_a_rehearsal_is_refused(
    serve: Serve,
) -> None:
    async def scenario(s: Served) -> None:
        s.send("speed", 10.0)
        await s.until(lambda: s.get(SPEED) == 10.0)
        row = await s.publish(20.0)
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        assert "--no-models" in row["cause"]

    serve(scenario, models=False)


def test_a_stop_is_not_rehearsed(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        (made,) = (await s.ask(op="halt", prim="/Plant/P"))["commands"]
        life = s.service.desk.path.records.find(made["id"])  # type: ignore[union-attr]
        assert life is not None
        await s.until(lambda: any(each.state == "REHEARSED" for each in life.history))
        rehearsed = next(each for each in life.history if each.state == "REHEARSED")
        assert rehearsed.cause == "a stop request is not rehearsed"

    serve(scenario, plant_text(simulated.name, safe="0"), models=False)


def test_unapproved_models_are_not_believed(serve: Serve, simulated: Path) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        stage = simulated / "plant.usda"
        text = stage.read_text()
        stage.write_text(text.replace("param:gain = 3.0", "param:gain = 4.0"))
        await s.until(lambda: "/Plant/Q" in s.service.twin.demoted)
        row = await s.publish(20.0)
        assert (row["state"], row["code"]) == ("REJECTED", "rehearsal")
        assert "the models of /Plant/Q do not count: its guards changed" in row["cause"]

    other = model(
        "n", reads=[SPEED], writes=[full_path("/Plant/P.speed")], parameters={"gain": 3.0}
    )
    text = plant_text(simulated.name)
    inside = text.rstrip().removesuffix("}")
    serve(scenario, inside + prim("Q", asset("q", level="twin"), other) + "}\n")


def test_somebody_may_rehearse_without_asking_for_it(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        found = (await s.ask(op="rehearse", target=DRIVE, value=60.0))["rehearsal"]
        assert found["verdict"] == "violated"
        assert (await s.ask(op="commands"))["commands"] == []
        for wrong, says in (
            ({"target": "/Plant/P.gone", "value": 1}, "no command"),
            ({"target": DRIVE}, "value is missing"),
            ({"target": DRIVE, "value": 101.0}, r"101 is outside \[0, 100\]"),
            ({"target": DRIVE, "value": "fast"}, "a double is allowed"),
            ({"target": DRIVE, "value": 1, "budget": -1}, "budget must be a number"),
            ({"target": DRIVE, "value": 1, "horizon": 1e9}, "horizon must be a number"),
        ):
            with pytest.raises(ServiceError, match=says):
                await s.ask(op="rehearse", **wrong)
        with pytest.raises(AccessError):
            await s.ask(Principal("nobody"), op="rehearse", target=DRIVE, value=1.0)

    serve(scenario)


def test_programs_ask_over_http(serve: Serve) -> None:
    async def scenario(s: Served) -> None:
        await s.predicted(10.0, 20.0)
        gateway = s.service.gateway
        assert gateway is not None
        await s.until(lambda: gateway._up)
        way = s.service.web()
        headers = {"Authorization": f"Bearer {way['token']}"}

        async def ask(method: str, path: str, **more: Any) -> Any:
            place = f"{way['url']}/api/v1/{path}"
            reply = await asyncio.to_thread(
                httpx.request, method, place, headers=headers, timeout=30, **more
            )
            assert reply.status_code == 200, reply.text
            return reply.json()

        row = (await ask("GET", "models?full=1"))["rows"][0]
        assert (row["path"], row["signals"][0]["predicted"]) == ("/Plant/P.m", 20.0)
        found = await ask("POST", "rehearsals", json={"target": DRIVE, "value": 60.0})
        assert found["rehearsal"]["verdict"] == "violated"
        job = (await ask("POST", "what-if", json={"scenario": {"name": "net"}}))["job"]
        await job_of(s, job["id"])
        assert (await ask("GET", f"jobs/{job['id']}"))["job"]["result"]["name"] == "net"
        assert (await ask("POST", f"jobs/{job['id']}/cancel"))["job"]["state"] == "done"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve(scenario, listen=ListenConfig(host="127.0.0.1", port=port))
