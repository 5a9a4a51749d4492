"""Our 2.1 messages read by `vda5050-sdk`, and its messages read by us."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from stagetwin_bridges.vda5050.messages import (
    Codec,
    Connection,
    Headers,
    Identity,
    InstantActions,
    Message,
    State,
    Visualization,
)
from tests.bridges.vda5050.documents import state
from tests.bridges.vda5050.test_versions import full_order

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # theirs
    sdk = pytest.importorskip("vda5050.model")
    validator = pytest.importorskip("vda5050.validation").default_validator()

CODEC = Codec("2.1")
HEADERS = Headers(Identity("uagv", "2.1", "KIT", "7"))

MESSAGES: list[tuple[str, Message]] = [
    ("Order", full_order()),
    ("State", state()),
    ("Visualization", Visualization(reference_state_header_id=0, velocity=state().velocity)),
    ("Connection", Connection(connection_state="CONNECTION_BROKEN")),
    ("InstantActions", InstantActions(actions=full_order().nodes[0].actions)),
]


@pytest.mark.parametrize(("name", "message"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_each_reads_what_the_other_wrote(name: str, message: Message) -> None:
    data = CODEC.encode(HEADERS.stamp(message))
    assert validator.errors(message.topic, json.loads(data)) == []
    theirs = getattr(sdk, name).model_validate_json(data)
    wire: dict[str, Any] = theirs.to_wire()
    again = json.dumps(wire, default=str).encode()
    assert CODEC.faults(message.topic, again) == []
    assert CODEC.decode(message.topic, again) == CODEC.decode(message.topic, data)


def test_their_state_has_our_words() -> None:
    theirs = sdk.State.model_validate_json(CODEC.encode(HEADERS.stamp(state())))
    assert theirs.battery_state.battery_charge == 81.5
    assert theirs.agv_position.position_initialized is True
    theirs.operating_mode = sdk.OperatingMode("TEACHIN")
    ours = CODEC.decode("state", json.dumps(theirs.to_wire(), default=str).encode())
    assert isinstance(ours, State)
    assert ours.operating_mode == "TEACH_IN"
