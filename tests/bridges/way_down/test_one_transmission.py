"""What goes over the wire while the wire breaks: each command at most once."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

from stagetwin import ServiceError
from stagetwin.service import ControlClient
from stagetwin_bridges.broker import LocalBroker
from tests.bridges.plant_service import wait_for
from tests.bridges.tcp_proxy import TcpProxy
from tests.bridges.way_down.field import (
    Field,
    command_service,
    drive,
    heard_again,
    plant_text,
    ready,
)

_ID = re.compile(rb'"id": ?"([0-9a-f-]{36})"')
_MACHINES = 40
_CUTS = 5


def test_no_command_is_written_twice_over_cuts(
    broker: LocalBroker, field: Field, private: Path
) -> None:
    bodies = [drive(f"M{i}", settleTime=0.5, encoding="json", expiry=5.0) for i in range(_MACHINES)]
    stage = private / "plant.usda"
    stage.write_text(plant_text(*bodies), encoding="utf-8")
    rng = random.Random(3)
    with TcpProxy(broker.port) as proxy:
        endpoint = f"mqtt://127.0.0.1:{proxy.port}"
        service = command_service(stage, private, broker, endpoint=endpoint)
        service._command = [
            f"--endpoint=line={endpoint}" if word.startswith("--endpoint=") else word
            for word in service._command
        ]
        with service, ControlClient(service.socket) as client:
            for i in range(_MACHINES):
                field.say(f"m{i}/speed", 0.0)
                field.say(f"m{i}/ready", True)
            ready(service)
            asked: list[str] = []
            for _ in range(_CUTS):
                # Each cut makes the clients wait longer before they try again.
                wait_for(lambda: _online(client), 40)
                heard_again(service, field)
                wait_for(lambda: not any(t["status"] == "SENT" for t in _targets(client)))
                for number, target in enumerate(_targets(client)):
                    row = client.ask(
                        op="publish",
                        target=target["path"],
                        value=float(rng.randint(1, 3000)),
                        revision=target["revision"],
                    )["command"]
                    asked.append(row["id"])
                    if number == _MACHINES // 2:
                        time.sleep(rng.random() * 0.01)  # somewhere between request and answer
                        proxy.cut()
            wait_for(lambda: not client.ask(op="commands", open=True)["commands"], 60)
            ends = Counter(client.ask(op="command", id=each)["command"]["state"] for each in asked)
        written = Counter(_ID.findall(proxy.sent("to_server")))
    assert written, "nothing was sent, so nothing was shown"
    assert max(written.values()) == 1
    assert set(written) <= {each.encode() for each in asked}
    assert max(field.executed.values(), default=0) <= 1
    assert sum(ends.values()) == len(asked) == _MACHINES * _CUTS
    assert set(ends) <= {"VERIFIED", "UNVERIFIED", "FAILED", "REJECTED", "EXPIRED"}
    # What was verified was written; what was rejected or expired was not.
    assert ends["VERIFIED"] <= len(written) <= len(asked) - ends["REJECTED"] - ends["EXPIRED"]


def _targets(client: ControlClient) -> list[dict[str, Any]]:
    return list(client.ask(op="targets", prim="/")["targets"])


def _online(client: ControlClient) -> bool:
    try:
        status = client.ask(op="status")
    except ServiceError:
        return False
    links = [*status["connections"].values(), *status["commands"]["clients"].values()]
    return all(link["state"] == "online" for link in links)
