"""An adviser at a real service: its drafts wait for a person, its loop asks as anybody asks."""

from __future__ import annotations

import asyncio
import getpass
import time
from pathlib import Path
from typing import Any

import pytest
from pxr import Usd

from stagetwin.drafts import Drafts, DraftState, desired_of
from stagetwin.guards import GuardBook, GuardStage
from stagetwin.service import ControlClient, ServiceConfig
from stagetwin_sim.policies import (
    Advisor,
    Approval,
    Bounds,
    Bundle,
    Envelope,
    PolicySpec,
    Reading,
    Runner,
    ServiceDesk,
    SigningKey,
    SpeedLimit,
    Stage,
)
from tests.sim.policies.test_advisor import bundle
from tests.stages.plants import stage_of
from tests.stages.test_drafts_end_to_end import LEVEL, SPEED, plant_text, serve

AUTHOR, PERSON = SigningKey.make(), SigningKey.make()


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
        roles={"operator": (getpass.getuser(),)},
    )


class Bench:
    """An adviser about a speed, with a clock that is set by hand."""

    def __init__(self, desk: ServiceDesk, target: str, high: float = 3000.0) -> None:
        self.now = 0.0
        spec: PolicySpec = bundle().spec
        signed = Bundle(spec=spec, model=bundle().model).sign(PERSON)
        self.advisor = Advisor(
            Runner(signed, lambda: self.now),
            [SpeedLimit(action="limit", target=target, step=0.5)],
            desk,
            envelope=Envelope(commands=(Bounds(target=target, low=0.0, high=high),)),
            author=AUTHOR.public.id,
            approvers=[PERSON.public],
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


def test_a_loop_asks_the_command_path_and_ends_when_it_refuses(config: ServiceConfig) -> None:
    desk = ServiceDesk(lambda: ControlClient(config.socket), ttl=20.0)
    bench = Bench(desk, LEVEL)

    async def scenario() -> None:
        def loop() -> Any:
            bench.advisor.advise()
            approval = Approval.give(bench.advisor.session, PERSON, reason="", time=time.time())
            bench.advisor.close_loop(approval)
            bench.say(1.5)
            with ControlClient(config.socket) as client:
                for reply in client.follow(op="follow", id=desk.published[0]["id"]):
                    if reply["command"]["ended"]:
                        assert desk.trouble() == ""
                        return reply["command"]
            raise AssertionError("it never ended")

        row = await asyncio.to_thread(loop)
        assert row["state"] == "VERIFIED", row["cause"]
        assert row["reason"].startswith("policy releases 1 (")
        assert PERSON.public.id in row["reason"]
        assert bench.advisor.stage is Stage.LOOP
        await asyncio.to_thread(interfere)
        assert bench.advisor.stage is Stage.ADVISORY

    def interfere() -> None:
        with ControlClient(config.socket) as client:
            (row,) = [
                one
                for one in client.ask(op="targets", prim="/Plant/P1")["targets"]
                if one["command"] == "level"
            ]
            said = client.ask(op="publish", target=LEVEL, value=1.0, revision=row["revision"])
            for reply in client.follow(op="follow", id=said["command"]["id"]):
                if reply["command"]["ended"]:
                    break
        bench.say(0.5)  # a person gave the same command meanwhile

    arrived = serve(config, scenario)
    assert [each.value for each in arrived] == [1.5, 1.0]
    # The service is gone: nothing can be asked any more, and the loop is over.
    bench.say(0.5)
    assert bench.advisor.stage is Stage.ADVISORY


def test_a_request_that_comes_to_nothing_ends_the_loop(config: ServiceConfig) -> None:
    desk = ServiceDesk(lambda: ControlClient(config.socket), ttl=20.0)
    bench = Bench(desk, SPEED)

    async def scenario() -> None:
        def loop() -> None:
            bench.advisor.advise()
            approval = Approval.give(bench.advisor.session, PERSON, reason="", time=time.time())
            bench.advisor.close_loop(approval)
            bench.say(2.0)
            with ControlClient(config.socket) as client:
                one = desk.published[0]["id"]
                client.ask(op="cancel", id=one, reason="not now")
                for reply in client.follow(op="follow", id=one):
                    if reply["command"]["ended"]:
                        break
            bench.say(2.0)
            assert bench.advisor.stage is Stage.ADVISORY

        await asyncio.to_thread(loop)

    assert serve(config, scenario) == []
