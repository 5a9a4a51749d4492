"""Mirrors: equal to the service's stage at wire precision, whatever happened on the way."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Gf

from stagetwin import FrameError
from stagetwin.sync import Mailbox, decode_frame
from tests.stages.plants import full_path, plant, prim, telemetry
from tests.stages.sync.pair import Pair, differences, near, rows_of, shown
from tests.stages.test_live_layer import random_wire
from tests.stages.test_values import CASES, EVERY_TYPE

MakePair = Callable[..., Pair]

FLEET = """def PointInstancer "Fleet" (
    prepend apiSchemas = ["TwinTelemetryAPI:position", "TwinTelemetryAPI:turn"]
)
{
    rel prototypes = </Plant/P1>
    int[] protoIndices = [0, 0, 0, 0, 0]
    int64[] ids = [7, 8, 9, 10, 11]
    point3f[] positions = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]
    quath[] orientations = []
    rel twin:telemetry:position:target = </Plant/Fleet.positions>
    uniform string twin:telemetry:position:address = "fleet/{instance}/at"
    rel twin:telemetry:turn:target = </Plant/Fleet.orientations>
    uniform string twin:telemetry:turn:address = "fleet/{instance}/turn"
}
"""
TYPES = {f"s{i}": name for i, name in enumerate(EVERY_TYPE)}


@pytest.fixture
def pair() -> Iterator[MakePair]:
    made: list[Pair] = []

    def make(text: str, mirrored: str | None = None) -> Pair:
        made.append(Pair(text, mirrored))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize(("name", "wire", "expected"), CASES, ids=[c[0] for c in CASES])
def test_a_value_of_every_type_reaches_the_mirror(
    pair: MakePair, name: str, wire: Any, expected: Any
) -> None:
    two = pair(plant(prim("P1", telemetry("s", name, "a"))))
    assert two.stage.GetAttributeAtPath(full_path("/Plant/P1.s", "quality")).Get() == "stale"
    two.plant.tell("a", wire)
    assert two.deliver() == 1
    attr = two.stage.GetAttributeAtPath(full_path("/Plant/P1.s"))
    assert near(attr.Get(), two.plant.get("/Plant/P1.s"))
    assert str(attr.GetTypeName()) == name
    rows = rows_of(two.plant.twin)
    assert differences(two.served(), shown(two.stage, rows)) == []
    assert two.mirror.problems == {}


def test_after_thousands_of_changes_the_mirror_shows_what_the_service_does(pair: MakePair) -> None:
    two = pair(plant(prim("P1", *(telemetry(s, t, s) for s, t in TYPES.items()))))
    dice = random.Random(7)
    rows = rows_of(two.plant.twin)
    for _ in range(40):
        for signal in dice.sample(sorted(TYPES), 60):
            two.plant.send(signal, random_wire(dice, TYPES[signal]))
        two.plant.tick(0.1)
        if dice.random() < 0.6:
            two.deliver()
    two.deliver()
    assert differences(two.served(), shown(two.stage, rows)) == []
    assert two.mirror.problems == {}


# -- the property

SCALARS = ("double", "float", "int64", "uint64", "bool", "string", "float3", "quatf", "double[]")
SIGNALS = {f"s{i}": name for i, name in enumerate(SCALARS)}
WORLD = plant(
    prim("P1", *(telemetry(s, t, s) for s, t in SIGNALS.items())),
    prim(
        "P2",
        telemetry("pose", "matrix4d", "pose"),
        telemetry("shear", "matrix4d", "shear"),
        telemetry("a", address="a", target="/Plant/P2.level", redundancyGroup="g"),
        telemetry("b", address="b", target="/Plant/P2.level", redundancyGroup="g"),
        "custom double level",
    ),
    FLEET,
)

WHOLE = st.sampled_from([0, -1, 1, 2**31 - 1, -(2**63), 2**63 - 1, 2**53 + 1, -(2**53) - 1])
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
SMALL = st.floats(-(2.0**100), 2.0**100, width=32)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
ANGLE = st.floats(-math.pi, math.pi)
POINT = st.lists(SMALL, min_size=3, max_size=3)
PRIMS = st.sampled_from([("/",), ("/Plant/P1",), ("/Plant/P2",)])


def quaternion(turn: tuple[float, float, float]) -> list[float]:
    spin = Gf.Rotation(Gf.Vec3d(turn[0], turn[1], 1.0), math.degrees(turn[2])).GetQuat()
    return [*spin.GetImaginary(), spin.GetReal()]


def matrix(place: tuple[float, float, float], turn: tuple[float, float, float]) -> list[float]:
    x, y, z, w = quaternion(turn)
    made = Gf.Matrix4d(1).SetRotate(Gf.Quatd(w, x, y, z))
    made.SetTranslateOnly(Gf.Vec3d(*place))
    return [made[i, j] for i in range(4) for j in range(4)]


TURN = st.tuples(ANGLE, ANGLE, ANGLE)
# Ten kilometres from the origin a float32 would be off by a millimetre.
PLACE = st.tuples(*([st.floats(-12_000, 12_000)] * 3))
POSE = st.builds(matrix, PLACE, TURN)
CHANGES = st.one_of(
    st.tuples(st.just("s0"), NUMBER),
    st.tuples(st.just("s1"), SMALL),
    st.tuples(st.just("s2"), WHOLE),
    st.tuples(st.just("s3"), st.sampled_from([0, 1, 2**63, 2**64 - 1])),
    st.tuples(st.just("s4"), st.booleans()),
    st.tuples(st.just("s5"), TEXT),
    st.tuples(st.just("s6"), st.tuples(SMALL, SMALL, SMALL).map(list)),
    st.tuples(st.just("s7"), TURN.map(quaternion)),
    st.tuples(st.just("s8"), st.lists(NUMBER, max_size=4)),
    st.tuples(st.just("pose"), POSE),
    st.tuples(st.just("shear"), POSE.map(lambda m: [2 * m[0], *m[1:]])),
    st.tuples(st.sampled_from("ab"), NUMBER),
    st.tuples(
        st.sampled_from([f"fleet/{i}/at" for i in (7, 9, 11)]),
        st.lists(SMALL, min_size=3, max_size=3),
    ),
    st.tuples(st.sampled_from([f"fleet/{i}/turn" for i in (7, 10)]), TURN.map(quaternion)),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tick"), st.lists(CHANGES, max_size=6)),
        st.tuples(st.just("bad"), st.sampled_from(["s0", "a", "b", "pose"])),
        st.tuples(st.just("frame"), st.none()),
        st.tuples(st.just("hold"), st.none()),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("again"), st.none()),
        st.tuples(st.just("torn"), st.integers(0, 400)),
        st.tuples(st.just("gap"), st.none()),
        st.tuples(
            st.just("resubscribe"), st.sampled_from([("/",), ("/Plant/P1",), ("/Plant/P2",)])
        ),
        st.tuples(st.just("late"), st.none()),
    ),
    max_size=30,
)


class Story:
    """A mirror, its connection, and what the service showed at each tick."""

    def __init__(self) -> None:
        self.two = Pair(WORLD)
        self.two.plant.twin.on_tick.append(lambda _: self.remember())
        self.past: dict[int, dict[str, Any]] = {}
        self.box = Mailbox()
        self.old_frame = b""
        self.remember()
        self.sent = 0

    def remember(self) -> None:
        self.past[self.two.board.tick] = self.two.served()

    def rows(self) -> list[dict[str, Any]]:
        return [self.two.board.channels[i] for i in self.two.selection.channels.tolist()]

    def check(self) -> None:
        """The mirror equals the newest applied tick over the subscribed channels."""
        if not self.two.mirror.tick:
            return
        now = shown(self.two.stage, self.rows())
        then = self.past[self.two.mirror.tick]
        assert differences(now, {path: then[path] for path in now}) == []

    def send(self) -> None:
        """What the service sends next to this client goes into the mailbox."""
        data = self.two.board.encoded(self.two.selection, self.sent)
        if data:
            self.box.frame(decode_frame(data))
        self.sent = self.two.board.tick

    def take(self) -> None:
        for frame in self.box.take().frames:
            self.two.mirror.apply(frame)

    def subscribe(self, prims: tuple[str, ...]) -> None:
        self.old_frame = self.two.board.encoded(self.two.selection, 0)
        before = self.two.selection
        self.box.take()
        self.two.subscribe(*prims)
        self.sent = 0
        if self.two.selection is before:
            self.old_frame = b""

    def step(self, what: str, given: Any) -> None:
        two, mirror = self.two, self.two.mirror
        if what == "tick":
            for address, value in given:
                two.plant.send(address, value)
            two.plant.tick(0.3)
        elif what == "bad":
            two.plant.send(given, [0.0] * 16 if given == "pose" else 1.0, status=0x80000000)
            two.plant.tick(0.3)
        elif what == "frame":
            self.send()
            self.take()
        elif what == "hold":
            self.send()
        elif what == "take":
            self.take()
        elif what == "again":
            # What was sent already, or more than is needed, changes nothing.
            self.take()
            mirror.apply(two.board.encoded(two.selection, 0))
            self.sent = two.board.tick
        elif what == "torn":
            data = two.board.encoded(two.selection, 0)
            with pytest.raises(FrameError):
                mirror.apply(data[: given % len(data)])
        elif what == "gap":
            self.take()
            if mirror.tick and two.board.tick > mirror.tick:
                frame = two.board.delta(two.selection, mirror.tick + 1)
                mirror.apply(frame)
                assert mirror.needs_resync
                self.subscribe(("/",))
        elif what == "resubscribe":
            self.subscribe(given)
        elif self.old_frame:
            ignored = mirror.ignored
            mirror.apply(self.old_frame)
            assert mirror.ignored == ignored + 1
        self.check()


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_the_mirror_equals_the_newest_applied_tick(steps: list[tuple[str, Any]]) -> None:
    story = Story()
    try:
        for what, given_value in steps:
            story.step(what, given_value)
        story.step("frame", None)
        assert story.two.mirror.tick == story.two.board.tick or not story.two.board.encoded(
            story.two.selection, story.two.mirror.tick
        )
        assert story.two.mirror.problems == {}
    finally:
        story.two.close()
