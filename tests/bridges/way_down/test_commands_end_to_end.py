"""From a request on the control socket to a device that obeys, through real processes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pxr import Sdf, Usd

from stagetwin import ServiceError
from stagetwin.service import ControlClient
from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import PlantService, wait_for
from tests.bridges.way_down.field import (
    USER,
    Field,
    command_service,
    drive,
    ended,
    heard_again,
    plant_text,
    publish,
    ready,
    states,
    targets,
    value_of,
)
from tests.stages.plants import prim, telemetry

WAY = ["REQUESTED", "VALIDATED", "REHEARSED", "APPROVED", "ARMED", "SENT", "ACKNOWLEDGED"]
PUMP = "/World/Pump.speed"


def pump_plant(private: Path, **fields: Any) -> Path:
    stage = private / "plant.usda"
    stage.write_text(plant_text(drive("Pump", **fields)), encoding="utf-8")
    return stage


def alive(field: Field, speed: float = 100.0) -> None:
    field.say("pump/speed", speed)
    field.say("pump/ready", True)


def test_a_command_is_validated_sent_once_obeyed_and_read_back(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        asked = publish(service, PUMP, 1500.0, reason="test")
        row = ended(service, asked["id"])
        assert states(row) == [*WAY, "VERIFIED"]
        assert (row["author"], row["origin"], row["reason"]) == (USER, "human", "test")
        evidence = row["evidence"]
        assert (evidence["kind"], evidence["signal"]) == ("process", PUMP)
        assert (evidence["before"], evidence["value"]) == (100.0, 1500.0)
        assert field.orders == [("pump/cmd/speed", 1500.0)]
        target = targets(service)[PUMP]
        assert (target["desired"], target["reported"], target["status"]) == (
            1500.0,
            1500.0,
            "VERIFIED",
        )
        service.ask(op="snapshot", path=str(private / "seen.usda"))
    seen = Usd.Stage.Open(str(private / "seen.usda"))
    pump = seen.GetPrimAtPath("/World/Pump")
    assert pump.GetAttribute("twin:command:speed:desired").Get() == 1500.0
    assert pump.GetAttribute("twin:command:speed:request").Get() == asked["id"]
    assert pump.GetAttribute("twin:command:speed:status").Get() == "VERIFIED"


def test_a_service_is_read_only_unless_it_is_told_otherwise(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with PlantService(stage, private, broker, {"line": "reader"}) as service:
        alive(field)
        with pytest.raises(ServiceError, match="read-only"):
            service.ask(op="publish", target=PUMP, value=1500.0, revision=0)
        assert service.ask(op="commands") == {"commands": [], "allowed": False}
        assert not (private / "state" / "commands.db").exists()
    assert field.orders == []


def test_a_device_that_refuses_is_a_failure_and_desired_goes_back(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        ended(service, publish(service, PUMP, 1200.0)["id"])
        field.obeying = False
        row = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert (row["state"], row["code"]) == ("FAILED", "refused")
        assert "jammed" in row["cause"]
        assert targets(service)[PUMP]["desired"] == 1200.0


def test_a_device_that_says_nothing_is_judged_by_its_read_back(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        field.answering = False
        row = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert states(row) == [*WAY[:-1], "VERIFIED"]
        assert "without an answer" in row["cause"]


def test_a_permissive_that_is_unknown_or_false_refuses(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        field.say("pump/speed", 100.0)
        ready(service)
        unknown = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert (unknown["state"], unknown["code"]) == ("REJECTED", "permissive")
        assert "unknown" in unknown["cause"]
        field.say("pump/ready", False)
        wait_for(lambda: service.seen()["/World/Pump.ready"]["value"] is False)
        refused = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert (refused["state"], refused["code"]) == ("REJECTED", "permissive")
        assert f"{value_of('/World/Pump', 'ready')} is false" in refused["cause"]
    assert field.orders == []


def test_nobody_commands_without_a_role(broker: LocalBroker, field: Field, private: Path) -> None:
    stage = pump_plant(private)
    service = command_service(stage, private, broker)
    service._command.remove(f"--role=operator={USER}")
    with service:
        alive(field)
        ready(service)
        row = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert (row["state"], row["code"]) == ("REJECTED", "rights")
    assert field.orders == []


def test_guards_that_nobody_approved_command_nothing(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    service = command_service(stage, private, broker)
    (private / "state" / "guards.json").unlink()
    with service:
        alive(field)
        ready(service)
        row = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert (row["state"], row["code"]) == ("REJECTED", "guards")
        assert targets(service)[PUMP]["level"] == "shadow"
    assert field.orders == []


def test_a_limit_changed_in_the_plants_file_voids_the_approval(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        text = stage.read_text(encoding="utf-8").replace("maximum = 3000", "maximum = 9000")
        stage.write_text(text, encoding="utf-8")
        wait_for(lambda: targets(service)[PUMP]["level"] == "shadow")
        row = ended(service, publish(service, PUMP, 5000.0)["id"])
        assert (row["state"], row["code"]) == ("REJECTED", "guards")
    assert field.orders == []


def test_what_waits_for_approval_ends_when_the_guards_change(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private, approval="single", expiry=60.0)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        waiting = publish(service, PUMP, 1500.0)
        wait_for(lambda: targets(service)[PUMP]["status"] == "REHEARSED")
        with pytest.raises(ServiceError, match="its author"):
            service.ask(op="approve_command", id=waiting["id"])
        text = stage.read_text(encoding="utf-8").replace("cmd/speed", "cmd/other")
        stage.write_text(text, encoding="utf-8")
        row = ended(service, waiting["id"])
        assert (row["state"], row["code"]) == ("REJECTED", "guards")
    assert field.orders == []


def test_offline_is_refused_and_never_queued(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private, expiry=60.0)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        broker.kill()
        wait_for(lambda: service.status()["commands"]["clients"]["line"]["state"] != "online")
        row = ended(service, publish(service, PUMP, 1500.0)["id"])
        assert row["state"] == "REJECTED"
        assert row["code"] in ("offline", "stale")
        broker.restart()
        wait_for(field.listens)
        heard_again(service, field)
        ready(service)
        later = ended(service, publish(service, PUMP, 1600.0)["id"])
        assert later["state"] == "VERIFIED"
    assert [value for _, value in field.orders] == [1600.0]


def test_the_broker_dies_while_the_device_works(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    stage = pump_plant(private)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        field.answering = False
        asked = publish(service, PUMP, 1500.0)
        wait_for(lambda: field.orders)
        broker.kill()
        row = ended(service, asked["id"])
        # The read-back may have come before the broker died; nothing else can be known.
        assert row["state"] in ("UNVERIFIED", "VERIFIED")
        broker.restart()
        wait_for(field.listens)
        field.repeat()
        ready(service)
    assert field.orders == [("pump/cmd/speed", 1500.0)]


def test_an_mqtt_message_of_a_failing_machine_leads_to_a_throttle_command(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    rule = (
        "rel twin:rule:throttle:signal = </World/Pump.twin:telemetry:vibration:value>\n"
        "double twin:rule:throttle:threshold = 9.5\n"
        "rel twin:rule:throttle:command = </World/Pump.twin:command:speed:desired>\n"
        "double twin:rule:throttle:setpoint = 600\n"
        'uniform token twin:rule:throttle:urgency = "urgent"\n'
    )
    body = drive("Pump", telemetry("vibration", address="pump/vibration", soft=(0, 5)), rule)
    body = body.replace('["TwinAssetAPI"', '["TwinRuleAPI:throttle", "TwinAssetAPI"', 1)
    stage = private / "plant.usda"
    stage.write_text(plant_text(body), encoding="utf-8")
    with command_service(stage, private, broker) as service:
        alive(field, 1500.0)
        field.say("pump/vibration", 2.0)
        ready(service)
        assert service.ask(op="commands")["commands"] == []
        field.say("pump/vibration", 11.0)
        wait_for(lambda: field.orders)
        (row,) = service.ask(op="commands")["commands"]
        row = ended(service, row["id"])
        assert (row["state"], row["origin"], row["author"]) == (
            "VERIFIED",
            "rule",
            "/World/Pump.throttle",
        )
        assert "11.0" in row["reason"]
        field.say("pump/vibration", 12.0)
        field.say("pump/vibration", 1.0)
        wait_for(lambda: service.seen()["/World/Pump.vibration"]["value"] == 1.0)
    assert field.orders == [("pump/cmd/speed", 600.0)]


def test_the_stop_request_moves_to_the_safe_value_whatever_the_permissives_say(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    body = drive("Pump", "double twin:command:speed:safe = 0", approval="single", expiry=60.0)
    stage = private / "plant.usda"
    stage.write_text(plant_text(body), encoding="utf-8")
    with command_service(stage, private, broker) as service:
        alive(field, 1500.0)
        ready(service)
        waiting = publish(service, PUMP, 1600.0)
        wait_for(lambda: targets(service)[PUMP]["status"] == "REHEARSED")
        field.say("pump/ready", False)
        wait_for(lambda: service.seen()["/World/Pump.ready"]["value"] is False)
        (stop,) = service.ask(op="halt", prim="/World", reason="smoke")["commands"]
        row = ended(service, stop["id"])
        assert (row["state"], row["origin"], row["reason"]) == ("VERIFIED", "stop", "smoke")
        assert ended(service, waiting["id"])["state"] == "SUPERSEDED"
    assert field.orders == [("pump/cmd/speed", 0.0)]


KILLED_IN = [*WAY, "VERIFIED"]


@pytest.mark.parametrize("state", KILLED_IN)
def test_a_service_killed_in_any_state_sends_nothing_twice(
    broker: LocalBroker, field: Field, private: Path, state: str
) -> None:
    stage = pump_plant(private)
    service = command_service(stage, private, broker)
    config = {
        "stage": str(stage),
        "endpoints": {"line": broker.endpoint()},
        "socket": str(service.socket),
        "state_dir": str(service.state_dir),
        "roles": {"operator": [USER]},
        "credentials": str(private / "credentials.toml"),
        "state": state,
    }
    script = Path(__file__).with_name("killed_service.py")
    victim = subprocess.Popen([sys.executable, str(script), json.dumps(config)])
    try:
        wait_for(service.online)
        alive(field)
        ready(service)
        with contextlib.suppress(ServiceError):
            publish(service, PUMP, 1500.0)
        assert victim.wait(20) == -signal.SIGKILL
    finally:
        victim.kill()
        victim.wait()
    with service:
        field.repeat()
        (row,) = wait_for(lambda: _recovered(service))
    sent = state in ("SENT", "ACKNOWLEDGED", "VERIFIED")
    assert len(field.orders) <= int(sent)
    assert max(field.executed.values(), default=0) <= 1
    if not sent:
        assert (row["state"], row["code"]) == ("EXPIRED", "restart")
    elif field.orders:
        assert row["state"] == "VERIFIED"
    else:
        assert row["state"] == "UNVERIFIED"


def _recovered(service: PlantService) -> list[dict[str, Any]]:
    rows = service.ask(op="commands")["commands"]
    return rows if rows and all(row["ended"] for row in rows) else []


@pytest.mark.alone
def test_ten_thousand_changes_on_both_sides_leave_stage_and_devices_alike(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    machines, sensors = 25, 25
    rng = random.Random(7)
    bodies = [drive(f"M{i}", expiry=60.0, settleTime=1.0) for i in range(machines)]
    bodies += [
        prim(f"S{i}", 'uniform token twin:connection = "line"', telemetry("v", address=f"s{i}/v"))
        for i in range(sensors)
    ]
    stage = private / "plant.usda"
    stage.write_text(plant_text(*bodies), encoding="utf-8")
    with command_service(stage, private, broker) as service:
        for i in range(machines):
            field.say(f"m{i}/speed", 0.0)
            field.say(f"m{i}/ready", True)
        for i in range(sensors):
            field.say(f"s{i}/v", 0.0)
        ready(service)
        asked = 0
        with ControlClient(service.socket) as client:
            seen = {t["path"]: t["revision"] for t in client.ask(op="targets", prim="/")["targets"]}
            for step in range(10_000):
                value = float(rng.randint(0, 3000))
                choice = rng.random()
                if choice < 0.2:
                    path = f"/World/M{rng.randrange(machines)}.speed"
                    row = client.ask(op="publish", target=path, value=value, revision=seen[path])[
                        "command"
                    ]
                    asked += 1
                    # Compare-and-set: what came of it is what the next author has seen.
                    (target,) = client.ask(op="targets", prim=path)["targets"]
                    seen[path] = target["revision"]
                    assert row["state"] in ("REJECTED", *WAY, "VERIFIED"), row
                elif choice < 0.3:
                    field.say(f"m{rng.randrange(machines)}/speed", value)
                else:
                    field.say(f"s{rng.randrange(sensors)}/v", value)
                if step % 100 == 0:
                    time.sleep(0.01)  # the broker's queue is bounded, as a real one's
        wait_for(lambda: not service.ask(op="commands", open=True)["commands"], 60)
        before = {path: (t["desired"], t["revision"]) for path, t in targets(service).items()}
        field.repeat()
        time.sleep(2.0)  # the quiet that the rule gives both sides
        shown = service.seen()
        for i in range(sensors):
            assert shown[f"/World/S{i}.v"]["value"] == field.values[f"s{i}/v"]
        for i in range(machines):
            assert shown[f"/World/M{i}.speed"]["value"] == field.values[f"m{i}/speed"]
        for i in range(machines):
            field.say(f"m{i}/speed", float(i))
        wait_for(lambda: service.seen()["/World/M24.speed"]["value"] == 24.0)
        after = {path: (t["desired"], t["revision"]) for path, t in targets(service).items()}
        assert after == before
        status = service.status()["commands"]
        assert sum(status["ended"].values()) == asked
        assert status["ended"]["VERIFIED"] > 0.5 * asked
    assert max(field.executed.values()) == 1


def test_an_edit_in_a_mirror_is_published_sent_and_read_back(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    from stagetwin.drafts import Drafts

    stage = pump_plant(private, publish="settled", debounce=0.1)
    with command_service(stage, private, broker) as service:
        alive(field)
        ready(service)
        mirror = Usd.Stage.Open(str(stage))
        drafts = Drafts(mirror, lambda: ControlClient(service.socket))
        try:
            wait_for(lambda: drafts.poll() or not drafts.fault)
            with Usd.EditContext(mirror, drafts.layer):
                mirror.GetAttributeAtPath("/World/Pump.twin:command:speed:desired").Set(1500.0)

            def obeyed() -> bool:
                drafts.poll()
                return bool(field.orders)

            wait_for(obeyed)
            (row,) = service.ask(op="commands")["commands"]
            row = ended(service, row["id"])
            assert (row["state"], row["author"], row["value"]) == ("VERIFIED", USER, 1500.0)
            with Usd.EditContext(mirror, drafts.layer):
                mirror.GetAttributeAtPath("/World/Pump.twin:command:speed:desired").Clear()
            mirror.MuteLayer(drafts.layer.identifier)
            mirror.UnmuteLayer(drafts.layer.identifier)
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                drafts.poll()
                time.sleep(0.02)
        finally:
            drafts.close()
    assert field.orders == [("pump/cmd/speed", 1500.0)]
    assert Sdf.Layer.FindOrOpen(str(stage)).GetAttributeAtPath(
        "/World/Pump.twin:command:speed:desired"
    ).default in (None, 0.0)
    assert os.path.exists(stage)
