"""A live session against the real service, its real gateway, and simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pxr import Gf, Usd

from stagetwin import AccessError, ServiceError
from stagetwin.drafts import desired_of
from stagetwin.sync import LiveSession
from tests.stages.gateway.house import House, token
from tests.stages.plants import full_path
from tests.stages.sync.tiny_service import until

PUMP = "/World/Line1/P1"
SPEED = f"{PUMP}.speed"


@pytest.fixture(scope="module")
def plant_of_people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("mirrored"))
    yield house
    house.close()


class Looking:
    """Somebody who looks at the plant on a stage of their own."""

    def __init__(self, house: House, who: str = "ada", prims: tuple[str, ...] = ("/",)) -> None:
        self.stage = Usd.Stage.Open(str(house.stage))
        self.before = self.stage.GetSessionLayer().ExportToString()
        self.session = LiveSession(self.stage, house.url, token=token(who), prims=prims, rate=60.0)

    def until(self, what: Callable[[], Any]) -> Any:
        return until(lambda: self.session.tick() and what(), 60.0)

    def get(self, path: str) -> Any:
        return self.stage.GetAttributeAtPath(path).Get()

    def __enter__(self) -> Looking:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()
        assert self.stage.GetSessionLayer().ExportToString() == self.before


def test_a_session_follows_the_plant(plant_of_people: House) -> None:
    with Looking(plant_of_people) as ada:
        ada.until(lambda: ada.session.mirror.tick)
        plant_of_people.tell("send", "l1/p1/s3", 4.5)
        plant_of_people.tell("send", "l2/p1/tag", "running")
        plant_of_people.tell("send", "l1/p1/place", [10_000.125, 2.0, 3.0])
        ada.until(lambda: ada.get(full_path("/World/Line2/P1.tag")) == "running")
        ada.until(lambda: ada.get(f"{PUMP}.xformOp:translate") == Gf.Vec3d(10_000.125, 2, 3))
        assert ada.get(full_path(f"{PUMP}.s3")) == 4.5
        assert ada.get(full_path(f"{PUMP}.s3", "quality")) == "good"
        (row,) = ada.session.rows(f"{PUMP}.s3")
        assert (row.text, row.quality) == ("4.5", "good")
        assert row.age < 60
        assert ada.session.mirror.problems == {}
        assert (ada.session.tick().state, ada.session.tick().user) == ("live", "ada")
        last = plant_of_people.tell("storm", 1.0)
        ada.until(lambda: all(ada.get(full_path(path)) == value for path, value in last.items()))


def test_a_draft_is_published_and_followed_to_its_end(plant_of_people: House) -> None:
    with Looking(plant_of_people) as ada, Looking(plant_of_people) as other:
        ada.until(lambda: ada.session.targets(PUMP))
        other.until(lambda: other.session.client.state.state == "live")
        ada.session.draft(SPEED, 1250.0)
        ada.until(lambda: other.session.tick() and other.session.others())
        (ghost,) = other.session.others()
        assert (ghost.target, ghost.value, ghost.user) == (SPEED, 1250.0, "ada")
        made = ada.session.publish(SPEED, "a test")
        rows = ada.until(lambda: [r for r in ada.session.commands() if r["id"] == made])
        assert (rows[0]["target"], rows[0]["value"], rows[0]["author"]) == (SPEED, 1250.0, "ada")
        ada.until(lambda: not ada.session.drafts() or ada.session.drafts()[0].cause)
        said = other.until(lambda: [r for r in other.session.commands() if r["id"] == made])
        assert said[0]["target"] == SPEED
        status = other.get(desired_of(SPEED).replace(":desired", ":status"))
        assert status == said[0]["state"]
        ada.session.withdraw(SPEED)
        ada.until(lambda: not ada.session.drafts())
        other.until(lambda: ada.session.tick() and not other.session.others())


def test_who_may_see_one_line_sees_that_alone(plant_of_people: House) -> None:
    with Looking(plant_of_people, "lin") as lin:
        lin.until(lambda: lin.session.mirror.tick)
        assert {row.prim.split("/")[2] for row in lin.session.rows()} == {"Line1"}
        with pytest.raises(AccessError):
            lin.session.client.ask(op="halt", prim=PUMP)
    with Looking(plant_of_people, "nobody") as nobody:
        nobody.until(lambda: nobody.session.client.state.state == "refused")
        with pytest.raises(ServiceError, match="no connection"):
            nobody.session.client.ask(op="status")
