"""An adviser's process beside a plant on a real broker: shadow, advice, a loop, and its end."""

from __future__ import annotations

import contextlib
import getpass
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from stagetwin.cli import _commands, _loops, app
from stagetwin.commands import LOOP_BEGUN, LOOP_ENDED, Ledger
from stagetwin.service import ControlClient, Service, ServiceConfig
from stagetwin_bridges.broker import LocalBroker
from stagetwin_sim.commands import policy
from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    ModelSpec,
    Novelty,
    ObservationSpec,
    PolicySpec,
    SigningKey,
    Term,
)
from tests.bridges.plant_service import wait_for
from tests.bridges.way_down.field import Field, approve, drive, plant_text
from tests.sim.policies.plant_floor import DOOR, PERSON, run_beside
from tests.sim.policies.small_bundles import linear_model
from tests.stages.plants import telemetry

COMMANDS = (_commands, _loops)  # each adds its own to `app`
USER = getpass.getuser()
SPEED = "/World/Pump.speed"
ENVELOPE = f"""
seconds = 600
per_minute = 10

[[commands]]
target = "{SPEED}"
low = 500
high = 2000

[observations]
queue = ["/World/Pump.queue"]

[[advice]]
kind = "speed-limit"
action = "limit"
target = "{SPEED}"
step = 50
"""


def bundle() -> Bundle:
    """Return a policy that runs a pump the faster, the longer a queue of 0 to 1 is."""
    spec = PolicySpec(
        name="pump by queue",
        version="1",
        task="pump",
        kind="advice",
        rate=1.0,
        observations=(ObservationSpec(term=Term(name="queue"), max_age=60.0),),
        actions=(
            ActionSpec(
                term=Term(
                    name="limit", unit="1/min", scale=500.0, offset=1000.0, low=0.0, high=2000.0
                )
            ),
        ),
        model=ModelSpec(opset=18),
        novelty=Novelty(low=(0.0,), high=(1.0,), samples=1000),
    )
    return Bundle(spec=spec, model=linear_model(np.ones((1, 1), np.float32)))


class Floor:
    """Where everything lies, and who has which key."""

    def __init__(self, folder: Path, broker: LocalBroker) -> None:
        self.folder = folder
        self.plant = folder / "plant.usda"
        pump = drive("Pump", telemetry("queue", address="pump/queue"), hard=(0, 3000))
        self.plant.write_text(plant_text(pump), encoding="utf-8")
        approve(self.plant, folder, broker.endpoint())
        self.config = ServiceConfig(
            stage=self.plant,
            socket=folder / "run" / "s.sock",
            state_dir=folder / "state",
            endpoints={"line": broker.endpoint()},
            credentials={
                "reader": broker.credential("subscriber"),
                "commander": broker.credential("commander"),
            },
            in_process=True,
            allow_commands=True,
            roles={"operator": (USER, PERSON)},
        )
        self.door = self.config.socket.parent / DOOR
        for name in ("plant", "author", "bob", "eve"):
            key = SigningKey.make()
            key.save(folder / f"{name}.key.pem")
            key.public.save(folder / f"{name}.pub.pem")
        self.bundle = bundle().write(
            folder / "pump.bundle", SigningKey.load(folder / "plant.key.pem")
        )
        (folder / "envelope.toml").write_text(ENVELOPE)

    def adviser(self) -> subprocess.Popen[str]:
        where = self.folder
        words = [
            *(sys.executable, "-m", "stagetwin", "policy", "advise", self.plant, self.bundle),
            *("--envelope", where / "envelope.toml", "--trust", where / "plant.pub.pem"),
            *("--stage", "loop", "--author", where / "author.pub.pem"),
            *("--approver", where / "bob.pub.pem", "--first", "1"),
            *("--record", where / "record.jsonl", "--socket", self.config.socket),
        ]
        return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)

    def call(self, *words: str | Path, socket: Path | None = None) -> Result:
        said = [str(word) for word in (*words, "--socket", socket or self.config.socket)]
        return CliRunner().invoke(policy, said)

    def approve(self, session: str, key: str, socket: Path | None = None) -> Result:
        file = self.folder / f"{key}.key.pem"
        words = ("approve", self.plant, session, "--key", file, "--bundle", self.bundle, "--yes")
        return self.call(*words, "--reason", "watched it", socket=socket)


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    with LocalBroker("mosquitto") as made:
        yield made


def until(lines: IO[str], what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the first line of which something is true."""
    for line in lines:
        if what(said := json.loads(line)):
            return dict(said)
    raise AssertionError("the adviser ended")


@contextlib.contextmanager
def alive(field: Field) -> Iterator[None]:
    """Let devices repeat what they hold, so that nothing goes stale."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(1.0):
            field.repeat()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def one_line(result: Result) -> str:
    return " ".join(result.output.split())


def loop_through(floor: Floor, service: Service, field: Field) -> str:
    """Let an adviser go through all of its stages; return its session."""
    field.say("pump/speed", 100.0)
    field.say("pump/ready", True)
    field.say("pump/queue", 0.0)

    def online() -> bool:
        clients = service.status()["commands"]["clients"].values()
        with ControlClient(floor.config.socket) as client:
            frame = client.ask(op="values", prim="/World/Pump")["frame"]
        good = all(one["quality"] == "good" for one in frame)
        return good and all(one["state"] == "online" for one in clients)

    wait_for(online)
    with floor.adviser() as adviser:
        assert adviser.stdout is not None
        said = until(adviser.stdout, lambda one: one["what"] == "session")
        session = said["session"]["id"]
        said = until(adviser.stdout, lambda one: one["what"] == "shadow")
        assert (said["target"], said["value"]) == (SPEED, 1000.0)
        until(adviser.stdout, lambda one: one.get("stage") == "advisory")

        def row() -> dict[str, Any]:
            (found,) = map(json.loads, floor.call("status", floor.plant).output.splitlines())
            return dict(found)

        wait_for(lambda: row()["ready"])
        assert row()["advice"] == {SPEED: 1000.0}
        assert field.orders == []
        # The one who began it may not, whatever key; nor may bob with a key nobody knows.
        own = floor.approve(session, "bob")
        assert own.exit_code == 2
        assert "somebody else must approve" in one_line(own)
        stranger = floor.approve(session[-12:], "eve", floor.door)
        assert stranger.exit_code == 0, stranger.output
        refused = until(adviser.stdout, lambda one: one["what"] == "approval refused")
        assert "may not approve" in refused["cause"]
        wait_for(lambda: row()["ready"] and row()["state"] == "OPEN")
        assert "the adviser refused" in row()["cause"]
        assert "the adviser refused" in one_line(floor.call("end", floor.plant, session))
        done = floor.approve(session, "bob", floor.door)
        assert done.exit_code == 0, done.output
        assert f"{SPEED} 500 to 2000" in one_line(done)
        until(adviser.stdout, lambda one: one.get("stage") == "loop")
        wait_for(lambda: field.orders == [("pump/cmd/speed", 1000.0)])
        field.say("pump/queue", 1.0)
        wait_for(lambda: len(field.orders) > 1)
        field.say("pump/queue", 7.0)
        ended = until(adviser.stdout, lambda one: one.get("stage") == "advisory")
        assert ended["cause"].startswith("fallback: unfamiliar: queue is 7")
        adviser.send_signal(signal.SIGTERM)
        *_, last = map(json.loads, adviser.stdout)
        assert (last["stage"], last["cause"]) == ("shadow", "the session ended")
    assert adviser.returncode == 0
    assert field.orders == [("pump/cmd/speed", 1000.0), ("pump/cmd/speed", 1500.0)]
    socket = ["--socket", str(floor.config.socket)]
    whole = CliRunner().invoke(app, ["commands", "verify", str(floor.plant), *socket])
    assert whole.exit_code == 0, whole.output
    listed = CliRunner().invoke(app, ["commands", "loops", str(floor.plant), *socket])
    assert f"approved by {PERSON} (key" in one_line(listed)
    return str(session)


def test_from_shadow_to_a_loop_that_ends_by_what_training_never_saw(
    broker: LocalBroker, tmp_path: Path
) -> None:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    (folder / "state").mkdir(mode=0o700)
    floor = Floor(folder, broker)
    sessions: list[str] = []

    def scenario(service: Service) -> None:
        with Field(broker) as field, alive(field):
            sessions.append(loop_through(floor, service, field))

    run_beside(floor.config, scenario)
    (session,) = sessions
    ledger = Ledger(folder / "state" / "commands.db")
    try:
        entries = ledger.entries(f"loop:{session}")
        states = [entry.state for entry in entries]
        assert states == [LOOP_BEGUN, LOOP_ENDED, LOOP_BEGUN, LOOP_ENDED]
        begun, end = entries[2].body, entries[3].body
        assert (begun["by"], begun["author"]) == (PERSON, USER)
        assert begun["statement"]["session"]["bundle"] == bundle().digest
        assert begun["statement"]["reason"] == "watched it"
        assert end["cause"].startswith("fallback: unfamiliar: queue is 7")
        assert end["commands"] == 2
        asked = [ledger.entries(one)[0].body for one in ledger.newest(10)]
        assert [(one["origin"], one["value"]) for one in asked] == [
            ("policy", 1500.0),
            ("policy", 1000.0),
        ]
        assert all(session in one["reason"] for one in asked)
    finally:
        ledger.close()
    assert len((folder / "record.jsonl").read_text().splitlines()) > 8
