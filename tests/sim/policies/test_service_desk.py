"""An adviser at a real service: its drafts wait for a person, its loop asks as anybody asks."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pxr import Usd

from stagetwin import ServiceError
from stagetwin.actuation import Transmission
from stagetwin.drafts import Drafts, DraftState, desired_of
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.service import ControlClient, Service, ServiceConfig
from stagetwin.soft import soft_bridge, soft_device
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies import (
    Advisor,
    Approval,
    Bounds,
    Bundle,
    Envelope,
    PolicySpec,
    Proposal,
    Reading,
    Runner,
    ServiceDesk,
    SigningKey,
    SpeedLimit,
    Stage,
)
from tests.bridges.plant_service import wait_for
from tests.sim.policies.plant_floor import DOOR, PERSON, run_beside
from tests.sim.policies.test_advisor import bundle
from tests.stages.plants import stage_of
from tests.stages.test_drafts_end_to_end import LEVEL, SPEED, plant_text, serve

AUTHOR, KEY = SigningKey.make(), SigningKey.make()


@pytest.fixture
def config(tmp_path: Path) -> ServiceConfig:
    """A service with a pump whose `level` is published explicitly, and whose `speed` settles."""
    path = tmp_path / "plant.usda"
    stage = stage_of(plant_text(tmp_path.name), path)
    book = GuardBook(tmp_path / "state" / "guards.json")
    book.approve(GuardStage(stage.GetRootLayer()).hashes(), "ann", time.time())
    return ServiceConfig(
        stage=path,
        socket=tmp_path / "run" / "s.sock",
        state_dir=tmp_path / "state",
        in_process=True,
        allow_commands=True,
        roles={"operator": (getpass.getuser(), PERSON)},
    )


class Bench:
    """An adviser about a speed, with a clock that is set by hand."""

    def __init__(self, desk: ServiceDesk, target: str, high: float = 3000.0) -> None:
        self.now = 0.0
        spec: PolicySpec = bundle().spec
        signed = Bundle(spec=spec, model=bundle().model).sign(KEY)
        self.advisor = Advisor(
            Runner(signed, lambda: self.now),
            [SpeedLimit(action="limit", target=target, step=0.5)],
            desk,
            envelope=Envelope(commands=(Bounds(target=target, low=0.0, high=high),)),
            author=AUTHOR.public.id,
            approvers=[KEY.public],
            clock=lambda: self.now,
        )

    def say(self, limit: float) -> None:
        self.now += 1.0
        number = limit - 1.0  # the term's numbers are from 0 to 2
        self.advisor.step({"asked": Reading([0.0, 0.0, 0.0, 0.0, number], self.now)})


def test_drafts_wait_for_a_person(config: ServiceConfig) -> None:
    async def scenario() -> None:
        def person() -> None:
            mirror = Usd.Stage.Open(str(config.stage))
            drafts = Drafts(mirror, lambda: ControlClient(config.socket))
            desk = ServiceDesk(lambda: ControlClient(config.socket), mirror, drafts)
            for target, held in ((LEVEL, True), (SPEED, False)):
                bench = Bench(desk, target)
                bench.advisor.advise()
                bench.say(1.5)
                assert bench.advisor.counts["drafts refused"] == 1  # nothing is known yet
                while drafts.fault:
                    drafts.poll()
                bench.say(2.0)
                drafts.poll()
                refused = bench.advisor.counts["drafts refused"]
                assert refused == (1 if held else 2)
                if held:
                    (draft,) = drafts.drafts
                    assert (draft.command, draft.value) == (LEVEL, 2.0)
                    assert draft.state is DraftState.HELD
                    drafts.targets.clear()
                    drafts.fault = "asked again"
            assert not mirror.GetAttributeAtPath(desired_of(SPEED)).HasAuthoredValue()

        await asyncio.to_thread(person)

    assert serve(config, scenario) == []


def approve(config: ServiceConfig, bench: Bench) -> Approval:
    """Let bob approve what a bench is about."""
    approval = Approval.give(bench.advisor.session, KEY, reason="", time=time.time())
    statement = msgspec.to_builtins(approval)
    with ControlClient(config.socket.parent / DOOR) as client:
        client.ask(op="loop_approve", id=bench.advisor.session.id, statement=statement)
    return approval


def level(client: ControlClient) -> dict[str, Any]:
    rows = client.ask(op="targets", prim="/Plant/P1")["targets"]
    return next(dict(one) for one in rows if one["command"] == "level")


def followed(client: ControlClient, command: str) -> dict[str, Any]:
    """Return a command's row at its end."""
    for reply in client.follow(op="follow", id=command):
        if reply["command"]["ended"]:
            return dict(reply["command"])
    raise AssertionError("it never ended")


def begun(config: ServiceConfig, desk: ServiceDesk, target: str) -> Bench:
    """Return a bench whose loop somebody approved."""
    bench = Bench(desk, target)
    bench.advisor.advise()
    bench.advisor.step({})
    bench.advisor.close_loop(approve(config, bench))
    return bench


def serve_beside(config: ServiceConfig, scenario: Callable[[], None], fault: str = "") -> list[Any]:
    """Run a service with its second door and its soft device, and a scenario beside it."""
    arrived: list[Any] = []
    name = config.stage.parent.name

    def device(transmission: Transmission) -> str:
        arrived.append(transmission.value)
        return fault

    def chatter(over: threading.Event) -> None:
        while not over.wait(0.05):
            with contextlib.suppress(ServiceError):  # the bridge is still to start
                speed = arrived[-1] if arrived else 1200.0
                soft_bridge(name).send("rpm", speed, source_time=time.time())

    def work(service: Service) -> None:
        over = threading.Event()
        thread = threading.Thread(target=chatter, args=(over,))
        thread.start()
        try:
            wait_for(lambda: service.status()["commands"]["clients"])
            wait_for(lambda: is_ready(config))
            scenario()
        finally:
            over.set()
            thread.join()

    soft_device(name, device)
    try:
        run_beside(config, work)
    finally:
        soft_device(name, None)
    return arrived


def is_ready(config: ServiceConfig) -> bool:
    """Tell whether the command client is online and the machine has said its speed."""
    with ControlClient(config.socket) as client:
        clients = client.ask(op="status")["commands"]["clients"].values()
        online = [one["state"] for one in clients] == ["online"]
        return online and level(client)["reported"] is not None


def test_a_loop_asks_the_command_path_and_ends_when_it_refuses(config: ServiceConfig) -> None:
    desk = ServiceDesk(lambda: ControlClient(config.socket), ttl=20.0)
    benches: list[Bench] = []

    def scenario() -> None:
        bench = begun(config, desk, LEVEL)
        benches.append(bench)
        bench.say(1.5)
        with ControlClient(config.socket) as client:
            row = followed(client, desk.published[0]["id"])
            assert row["state"] == "VERIFIED", row["cause"]
            assert desk.trouble() == ""
            assert row["origin"] == "policy"
            assert "policy releases 1 (" in row["reason"]
            assert KEY.public.id in row["reason"]
            assert bench.advisor.stage is Stage.LOOP
            # A person gives the same command meanwhile.
            seen = level(client)["revision"]
            said = client.ask(op="publish", target=LEVEL, value=1.0, revision=seen)
            followed(client, said["command"]["id"])
        bench.say(0.5)
        assert bench.advisor.stage is Stage.ADVISORY
        # Approved anew, it does not end by what was given before.
        bench.advisor.step({})
        bench.advisor.close_loop(approve(config, bench))
        bench.say(2.0)
        assert bench.advisor.stage is Stage.LOOP
        with ControlClient(config.socket) as client:
            assert followed(client, desk.published[-1]["id"])["state"] == "VERIFIED"

    assert serve_beside(config, scenario) == [1.5, 1.0, 2.0]
    # The service is gone: nothing can be asked any more.
    benches[0].say(0.5)
    assert benches[0].advisor.stage is Stage.ADVISORY


def test_a_request_that_comes_to_nothing_ends_the_loop(config: ServiceConfig) -> None:
    desk = ServiceDesk(lambda: ControlClient(config.socket), ttl=20.0)

    def scenario() -> None:
        bench = begun(config, desk, SPEED)
        bench.say(2.0)
        with ControlClient(config.socket) as client:
            assert followed(client, desk.published[0]["id"])["state"] == "FAILED"
        bench.say(1.0)
        assert bench.advisor.stage is Stage.ADVISORY
        with ControlClient(config.socket) as client:
            (row,) = client.ask(op="loops")["loops"]
        assert row["cause"].endswith("ended FAILED: the device refused: jammed")

    assert serve_beside(config, scenario, fault="jammed") == [2.0]


def test_the_service_holds_a_loop_to_its_envelope_whatever_its_adviser_says(
    config: ServiceConfig,
) -> None:
    desk = ServiceDesk(lambda: ControlClient(config.socket), ttl=20.0)

    def scenario() -> None:
        with ControlClient(config.socket) as client:
            for changes, words in (
                ({"envelope": {"commands": "x" * 300_000}}, "at most 262144 characters"),
                ({"policy": 7}, "policy must be a text"),
                ({"op": "loop_beat"}, "id must be that of a session"),
                ({"op": "loop_beat", "id": "1", "counts": []}, "counts and advice are objects"),
                ({"op": "loop_stop", "id": "1234"}, "no open session"),
            ):
                asked = {"op": "loop_open", "policy": "p", "session": {}, "envelope": {}}
                with pytest.raises(ServiceError, match=words):
                    client.ask(**{**asked, **changes})
        bench = Bench(desk, LEVEL)
        bench.advisor.advise()
        bench.advisor.step({})
        own = Approval.give(bench.advisor.session, KEY, reason="", time=time.time())
        with pytest.raises(PolicyError, match="the service has no such approval"):
            bench.advisor.close_loop(own)
        assert bench.advisor.stage is Stage.ADVISORY
        bench.advisor.close_loop(approve(config, bench))
        with pytest.raises(ServiceError, match="outside the envelope"):
            desk.publish(Proposal(target=LEVEL, value=3001.0), "")
        with pytest.raises(ServiceError, match="has no loop"):
            desk.publish(Proposal(target=LEVEL, value=1.0), "")
        bench.say(1.0)  # its next beat tells it
        assert bench.advisor.stage is Stage.ADVISORY
        assert not desk.published

    assert serve_beside(config, scenario) == []
