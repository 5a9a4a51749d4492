"""A broker, and command clients of a fleet."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stagetwin.actuation import CommandTarget, Fate, Renewal, Report, Transmission
from stagetwin.clock import WallClock
from stagetwin.identifiers import uuid7
from stagetwin.maps import RoadMap
from stagetwin.ports import ConnectionSpec, ConnectionState, ValueKind
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.vda5050 import Vda5050Protocol
from stagetwin_bridges.vda5050.control import FleetCommander
from tests.bridges.mqtt.commanding import CommandRecorder
from tests.bridges.recording_sink import eventually

ASSET = "/Plant/AMR1"
CLOCK = WallClock()
_tokens = itertools.count(1)


def target(field: str = "order", address: str = "KIT/0001", **more: Any) -> CommandTarget:
    """Return a target of the vehicle."""
    kind, name = (ValueKind.TEXT, "string") if field == "order" else (ValueKind.BOOLEAN, "bool")
    fields: dict[str, Any] = {"kind": kind, "type_name": name, **more}
    return CommandTarget(prim=ASSET, command=field, address=address, field=field, **fields)


class Desk:
    """What the service is to a commander: it sends, and renews while it likes.

    Attributes:
        commander: the command client.
        said: its reports and states.
        renewing: whether commands are renewed.
    """

    def __init__(
        self, broker: LocalBroker, road_map: RoadMap, *targets: CommandTarget, **options: Any
    ) -> None:
        interface = options.pop("interface", "vda5050")
        query = "&".join(f"{key}={value}" for key, value in options.items())
        endpoint = broker.endpoint().replace("mqtt://", "vda5050+mqtt://")
        spec = ConnectionSpec(
            name="fleet",
            prim="/fleet",
            endpoint=f"{endpoint}/{interface}?{query}",
            credential="commander",
            map=road_map.encode().decode(),
        )
        self.said = CommandRecorder()
        self.renewing = True
        self._ids: list[Transmission] = []
        self._stopped = threading.Event()
        made = Vda5050Protocol().commander(spec, targets, self.said, broker.credential("commander"))
        self.commander: FleetCommander = made
        self.commander.authorise({ASSET: "g"})
        self.commander.start()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stopped.wait(0.25):
            for sent in list(self._ids) if self.renewing else ():
                self.renew(sent)

    def renew(self, sent: Transmission, **more: Any) -> None:
        """Renew one command."""
        fields: dict[str, Any] = {"guard": sent.guard, "until": CLOCK.steady() + 2.0, **more}
        self.commander.renew(Renewal(id=sent.id, target=sent.target, asset=sent.asset, **fields))

    def ready(self, address: str = "KIT/0001") -> None:
        """Wait until the vehicle is known."""

        def known() -> bool:
            control = self.commander._controls.get(address)
            return control is not None and not control.mirror.absent()

        eventually(known)

    def send(self, to: CommandTarget, value: Any, **given: Any) -> Transmission:
        """Send a command, which is renewed from now on."""
        now = CLOCK.steady()
        fields: dict[str, Any] = {
            "id": uuid7(),
            "asset": ASSET,
            "guard": "g",
            "token": (1, next(_tokens)),
            "deadline": now + 5.0,
            "expires": now + 10.0,
            **given,
        }
        sent = Transmission(target=to, value=value, **fields)
        self._ids.append(sent)
        self.commander.send(sent)
        return sent

    def reports(self, sent: Transmission) -> list[Report]:
        """Return the reports of one command."""
        return [report for report in list(self.said.reports) if report.id == sent.id]

    def fates(self, sent: Transmission) -> list[str]:
        """Return what became of one command, without notes."""
        return [str(r.fate) for r in self.reports(sent) if r.fate is not Fate.NOTED]

    def noted(self, sent: Transmission, words: str) -> bool:
        """Tell whether something was noted of a command."""
        return any(words in r.cause for r in self.reports(sent) if r.fate is Fate.NOTED)

    def close(self) -> None:
        """End it."""
        self._stopped.set()
        self._thread.join(10)
        self.commander.stop()

    @property
    def online(self) -> bool:
        """Whether it is connected."""
        states = [state for state, _ in list(self.said.states)]
        return bool(states) and states[-1] is ConnectionState.ONLINE


MakeDesk = Callable[..., Desk]


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A mosquitto of the test's own, which it may kill."""
    with LocalBroker("mosquitto") as running:
        yield running


@pytest.fixture
def make_desk(broker: LocalBroker) -> Iterator[MakeDesk]:
    """Make command clients that end with the test."""
    made: list[Desk] = []

    def make(road_map: RoadMap, *targets: CommandTarget, **options: Any) -> Desk:
        made.append(Desk(broker, road_map, *(targets or (target(),)), **options))
        return made[-1]

    yield make
    for desk in made:
        desk.close()
