"""What holds whatever fleet control does: properties over made-up sessions."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from stagetwin_bridges.vda5050.messages import Action, InstantActions, Response, Responses
from stagetwin_bridges.vda5050.vehicle import Progress, VehicleOptions
from stagetwin_bridges.vda5050.vehicle._geometry import Area, Way, outline, sample_curve, turn
from tests.bridges.vda5050.vehicle.stand import Stand, action, box, order

_GAP = 1.0
_BLOCKING = st.sampled_from(["NONE", "SINGLE", "SOFT", "HARD"])

_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 25)),
        st.tuples(st.just("extend"), st.integers(0, 3), st.integers(0, 2), _BLOCKING),
        st.tuples(st.just("stale"), st.integers(-2, 1)),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("new"), st.integers(1, 3)),
        st.tuples(st.just("pause"), st.booleans()),
        st.tuples(st.just("mode"), st.sampled_from(["AUTOMATIC", "MANUAL", "INTERVENED"])),
        st.tuples(st.just("answer"), st.sampled_from(["GRANTED", "REVOKED", "QUEUED"])),
        st.tuples(st.just("lost"), st.booleans()),
    ),
    min_size=3,
    max_size=14,
)


class Session:
    """Fleet control along a straight line: node k stands k metres from where the order began."""

    def __init__(self, version: str) -> None:
        self.stand = Stand(version, options=VehicleOptions(request_retry=1.0))
        if version == "3.0.0":
            zone = box("r", "RELEASE", 4.5, 6.0, release_loss_behavior="STOP")
            self.stand.zones(zone)
        self.orders = 0
        self.actions = 0
        self.update = 0
        self.last = 0
        self.start = 0.0
        self.border = 0.0
        self.inside = False
        self.new(2)

    @property
    def name(self) -> str:
        return f"o{self.orders}"

    def place(self, k: int) -> tuple[str, float, float]:
        return f"{self.name}-{k}", self.start + _GAP * k, 0.0

    def new(self, base: int) -> None:
        """Begin a new order where the vehicle stands; it is refused while one is active."""
        taken = self.stand.vehicle.idle and self.stand.vehicle.mode == "AUTOMATIC"
        old = (self.orders, self.update, self.last, self.start)
        self.orders, self.update, self.last = self.orders + 1, 0, base
        self.start = self.stand.x
        places = [self.place(k) for k in range(base + 2)]
        self.stand.send(order(places, released=base + 1, name=self.name, deviation=0.3))
        if taken:
            self.border = self.place(base)[1]
        else:
            self.orders, self.update, self.last, self.start = old

    def extend(self, base: int, horizon: int, blocking: Any) -> None:
        """Send an update that may bring more base, and an action on its last released node."""
        self.update += 1
        self.actions += 1
        places = [self.place(self.last + k) for k in range(base + horizon + 1)]
        modern = self.stand.codec.version == "3.0.0"
        kind = "NONE" if blocking == "SINGLE" and not modern else blocking
        nodes = {base: [action("detectObject", f"a{self.actions}", kind)]} if base else {}
        message = order(
            places,
            released=base + 1,
            name=self.name,
            update=self.update,
            first=2 * self.last,
            nodes=nodes,
        )
        self.stand.send(message)
        held = self.stand.vehicle._parts.held
        if held is not None and (held.order_id, held.update_id) == (self.name, self.update):
            self.last += base
            self.border = self.place(self.last)[1]

    def do(self, event: tuple[Any, ...]) -> None:
        stand = self.stand
        match event:
            case ("run", int(steps)):
                for _ in range(steps):
                    stand.step()
                    self.check()
            case ("extend", int(base), int(horizon), blocking):
                self.extend(base, horizon, blocking)
            case ("stale", int(by)):
                places = [self.place(0), self.place(1)]
                update = max(self.update + by, 0)
                if update <= self.update:
                    stand.send(order(places, name=self.name, update=update))
            case ("cancel",):
                self.actions += 1
                stand.instant("cancelOrder", f"c{self.actions}")
            case ("new", int(base)):
                self.new(base)
            case ("pause", bool(on)):
                self.actions += 1
                kind = "startPause" if on else "stopPause"
                stand.send(InstantActions(actions=(action(kind, f"p{self.actions}"),)))
            case ("mode", mode):
                if mode in stand.vehicle._parts.rules.modes:
                    stand.vehicle.set_mode(mode, stand.now)
            case ("answer", grant):
                for asked in stand.state.zone_requests or ():
                    answer = Response(request_id=asked.request_id, grant_type=grant)
                    stand.send(Responses(responses=(answer,)))
            case ("lost", bool(on)):
                stand.vehicle.set_localized(not on, stand.now)
        self.check()

    def check(self) -> None:
        """Never beyond the base, nor in a zone without its permission."""
        assert self.stand.x <= self.border + 1e-6
        inside = self.stand.x + 0.4 - 1e-6 > 4.5 and self.stand.x - 0.4 < 6.0
        if inside and not self.inside and self.stand.codec.version == "3.0.0":
            granted = [r.request_status for r in self.stand.state.zone_requests or ()]
            assert granted == ["GRANTED"]
        self.inside = inside
        state = self.stand.state
        for node in state.node_states:
            if node.released and node.node_position is not None:
                assert node.node_position.x <= self.border + 1e-6


@settings(max_examples=250)
@given(st.sampled_from(["2.1.0", "3.0.0"]), _EVENTS)
def test_never_beyond_the_base_and_always_in_order(
    version: str, events: list[tuple[Any, ...]]
) -> None:
    session = Session(version)
    for event in events:
        session.do(event)
    session.do(("run", 25))
    stand = session.stand
    seen: dict[str, tuple[int, int]] = {}
    for state in stand.states:
        sequences = [n.sequence_id for n in state.node_states]
        assert sequences == sorted(set(sequences))
        assert all(n % 2 == 0 for n in sequences)
        assert [e.sequence_id + 1 for e in state.edge_states] == sequences
        released = [n.released for n in state.node_states]
        assert released == sorted(released, reverse=True)
        if state.last_node_id and state.order_id:
            now = (state.order_update_id, state.last_node_sequence_id)
            before = seen.get(state.order_id, (0, 0))
            assert now[0] >= before[0]
            assert now[1] >= before[1] or not state.last_node_id.startswith(state.order_id)
            seen[state.order_id] = now
            assert all(n > state.last_node_sequence_id for n in sequences)
        ids = [a.action_id for a in state.action_states]
        assert len(ids) == len(set(ids))
    headers = [s.header_id for s in stand.states]
    assert headers == list(range(len(headers)))


@given(st.lists(st.tuples(_BLOCKING, st.floats(0.0, 1.0)), min_size=1, max_size=6))
def test_blocking_types_hold_whatever_the_actions_are(actions: list[tuple[Any, float]]) -> None:
    """Nothing beside SINGLE or HARD, no driving during SOFT or HARD; all begin in order."""

    class Slow:
        """Each action takes the time that its descriptor says."""

        def __init__(self) -> None:
            self.begun: dict[str, float] = {}

        def begin(self, each: Action, now: float) -> None:
            self.begun[each.action_id] = now

        def look(self, each: Action, now: float) -> Progress:
            over = now - self.begun[each.action_id] >= times[each.action_id]
            return Progress(status="FINISHED" if over else "RUNNING")

        def hold(self, each: Action, now: float) -> None: ...
        def go_on(self, each: Action, now: float) -> None: ...
        def cancel(self, each: Action, now: float) -> None: ...

    times = {f"a{k}": seconds for k, (_, seconds) in enumerate(actions)}
    kinds = {f"a{k}": kind for k, (kind, _) in enumerate(actions)}
    device = Slow()
    stand = Stand(device=device)
    todo = [action("detectObject", name, kind) for name, kind in kinds.items()]
    stand.send(order([("a", 0.0, 0.0), ("b", 1.0, 0.0), ("c", 3.0, 0.0)], nodes={1: todo}))
    stand.until(lambda: stand.vehicle.idle)
    stand.step()
    assert all(a.action_status == "FINISHED" for a in stand.state.action_states)
    assert list(device.begun) == list(kinds)
    for state in stand.states:
        running = [a.action_id for a in state.action_states if a.action_status == "RUNNING"]
        if any(kinds[name] in ("SINGLE", "HARD") for name in running):
            assert len(running) == 1
        if any(kinds[name] in ("SOFT", "HARD") for name in running):
            assert not state.driving


# -- geometry --------------------------------------------------------------------------------------

_COORDINATE = st.floats(-50.0, 50.0)
_POINTS = st.lists(st.tuples(_COORDINATE, _COORDINATE), min_size=2, max_size=8)


@given(_POINTS, st.floats(0.0, 1.0))
def test_a_place_on_a_way_is_found_again(points: list[tuple[float, float]], share: float) -> None:
    way = Way(points)
    x, y, _ = way.at(share * way.length)
    s, off = way.near(x, y)
    assert abs(off) < 1e-6
    there = way.at(s)
    assert math.dist(there[:2], (x, y)) < 1e-6


@given(_POINTS, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_cut_is_as_long_as_its_ends_are_apart(
    points: list[tuple[float, float]], one: float, other: float
) -> None:
    way = Way(points)
    low, high = sorted((one * way.length, other * way.length))
    assert abs(Way(way.cut(low, high)).length - (high - low)) < 1e-6


@given(st.floats(-1e3, 1e3))
def test_angles_come_home(angle: float) -> None:
    home = turn(angle)
    assert -math.pi < home <= math.pi
    assert abs(math.sin(home) - math.sin(angle)) < 1e-9


@given(
    st.lists(st.tuples(_COORDINATE, _COORDINATE, st.floats(0.1, 10.0)), min_size=4, max_size=8),
    st.integers(1, 3),
)
def test_a_curve_begins_and_ends_at_its_control_points_and_stays_in_their_box(
    points: list[tuple[float, float, float]], degree: int
) -> None:
    curve = sample_curve(points, degree, None)
    for end in (0, -1):
        assert math.dist(curve[end], points[end][:2]) < 1e-6
    for axis in (0, 1):
        low = min(p[axis] for p in points) - 1e-6
        high = max(p[axis] for p in points) + 1e-6
        assert all(low <= p[axis] <= high for p in curve)


def test_a_quarter_circle_as_a_rational_curve_is_round() -> None:
    """The NURBS Book, 7.3: three control points with weights 1, cos 45 deg, 1."""
    points = [(1.0, 0.0, 1.0), (1.0, 1.0, math.sqrt(0.5)), (0.0, 1.0, 1.0)]
    curve = sample_curve(points, 2, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    assert all(abs(math.hypot(x, y) - 1.0) < 1e-12 for x, y in curve)
    assert len(curve) > 10


@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.floats(-math.pi, math.pi))
def test_a_contour_meets_an_area_as_points_of_it_do(x: float, y: float, theta: float) -> None:
    area = Area([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (0.0, 0.2), (-1.0, 1.0)])
    corners = outline(x, y, theta, 0.5, 0.8, 0.4)
    c, s = math.cos(theta), math.sin(theta)
    inside = any(
        area.holds(x + c * u - s * v, y + s * u + c * v)
        for u in [0.5 - 0.8 * k / 40 for k in range(41)]
        for v in [0.2 - 0.4 * k / 20 for k in range(21)]
    )
    if inside:
        assert area.meets(corners)
    elif area.meets(corners):
        # A touch between the points that were tried.
        wider = outline(x, y, theta, 0.53, 0.86, 0.46)
        assert area.meets(wider)
