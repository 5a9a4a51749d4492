"""One order of ours: how far it is released, what the vehicle has confirmed, and how it ends.

What was released once counts as released for ever (3.0, 6.1.2): the base cannot be taken back, and
a message that nobody confirmed may have arrived.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from stagetwin_bridges._errors import OrderError
from stagetwin_bridges.vda5050.control._mirror import Mirror
from stagetwin_bridges.vda5050.control._plan import Plan
from stagetwin_bridges.vda5050.messages import Order, State

__all__ = ["ActiveOrder", "Event", "EventKind", "Phase"]

_ENDED = frozenset({"FINISHED", "FAILED"})


class EventKind(enum.Enum):
    """What became known of an order, or of an instant action.

    `ACCEPTED`: the first message is confirmed; or the action is in the state. `EXTENDED`: an update
    is. `REFUSED`: the vehicle said no. `DROPPED`: it has the order no more, and did not finish.
    `FINISHED`: it stands at the goal and all actions have ended; or the action is finished.
    """

    ACCEPTED = enum.auto()
    EXTENDED = enum.auto()
    REFUSED = enum.auto()
    DROPPED = enum.auto()
    FINISHED = enum.auto()


@dataclass(frozen=True, slots=True)
class Event:
    """News of an order or an instant action.

    Attributes:
        kind: what.
        id: `orderId` or `actionId`.
        words: more of it.
        failed: of an order that is finished, whether an action of it failed.
    """

    kind: EventKind
    id: str
    words: str = ""
    failed: bool = False


class Phase(enum.Enum):
    """How an order stands: not confirmed yet, with the vehicle, or over."""

    OFFERED = enum.auto()
    RUNNING = enum.auto()
    OVER = enum.auto()


class ActiveOrder:
    """An order from its first message to its end.

    Args:
        order_id: its id.
        plan: the whole way.
        released: index of the last stop that the first message releases.
        nodes: most nodes of one message.

    Attributes:
        id, plan: as given.
        released: index of the last stop released in any message.
        update: `orderUpdateId` of the newest message.
        passed: index of the last stop that the vehicle passed, as far as is known.
        phase: how it stands.
        given_up: whether it is repeated no more although nobody confirmed it.
        cancelling: whether its cancel was sent: it is never extended again.
        message: the newest message, without a header; repeated as it is.
        repeats: how often a message was repeated.
    """

    def __init__(
        self, order_id: str, plan: Plan, released: int, nodes: int, *, drawn: bool
    ) -> None:
        self.id, self.plan = order_id, plan
        self.phase = Phase.OFFERED
        self.cancelling = self.given_up = False
        self.update = 0
        self.passed = 0
        self.repeats = 0
        self._drawn = drawn
        self._confirmed = -1
        self._ends: dict[int, int] = {}
        self.message = self._built(0, released, nodes)
        self.released = released

    @property
    def confirmed(self) -> bool:
        """Whether the vehicle has shown the newest message."""
        return self._confirmed >= self.update

    @property
    def running(self) -> bool:
        """Whether it may be extended: confirmed, not cancelled, not over."""
        return self.phase is Phase.RUNNING and self.confirmed and not self.cancelling

    @property
    def edges_ahead(self) -> frozenset[tuple[str, int]]:
        """Edges of the base that are not passed, by id and sequence id; none before it runs."""
        if self.phase is not Phase.RUNNING:
            return frozenset()
        return frozenset(
            (self.plan.ways[i].id, 2 * i + 1) for i in range(self.passed, self.released)
        )

    # -- messages

    def extend(self, released: int, nodes: int, plan: Plan | None = None) -> Order:
        """Return the update that releases more, or another horizon.

        Args:
            released: index of the last stop to be released; not below what is.
            nodes: most nodes of one message.
            plan: another plan; what is released stays as it is in it.

        Raises:
            OrderError: it cannot be updated now, or the base would change.
        """
        if not self.running:
            raise OrderError(f"order {self.id} cannot be updated: {self._obstacle()}")
        plan = plan or self.plan
        kept = self.released + 1
        if plan.stops[:kept] != self.plan.stops[:kept] or (
            plan.ways[: self.released] != self.plan.ways[: self.released]
        ):
            raise OrderError(f"order {self.id}: what is released cannot be changed")
        if not self.released <= released <= plan.last:
            raise OrderError(
                f"order {self.id}: expected to release {self.released} to {plan.last}, "
                f"got {released}"
            )
        self.plan = plan
        self.update += 1
        self.message = self._built(self.released, released, nodes)
        self.released = released
        return self.message

    def _obstacle(self) -> str:
        if self.phase is Phase.OVER:
            return "it is over"
        if self.cancelling:
            return "it is being cancelled"
        return f"update {self.update} is not confirmed"

    def _built(self, first: int, released: int, nodes: int) -> Order:
        """Return a message from a stop on: its base, and as much of the horizon as there is room.

        The first stop is the end of the base before, with its content unchanged (6.1.2).
        """
        last = min(self.plan.last, first + max(nodes, 1) - 1)
        if released > last:
            raise OrderError(
                f"order {self.id}: a message of {nodes} nodes cannot release {released - first + 1}"
            )
        self._ends[self.update] = last
        plan = self.plan
        return Order(
            order_id=self.id,
            order_update_id=self.update,
            nodes=tuple(
                plan.stops[i].node(i, plan.map_id, released=i <= released)
                for i in range(first, last + 1)
            ),
            edges=tuple(
                plan.ways[i].edge(i, released=i < released, drawn=self._drawn)
                for i in range(first, last)
            ),
        )

    # -- what the vehicle says

    def receive(self, mirror: Mirror) -> list[Event]:
        """Judge the newest state; return what became known."""
        state = mirror.state
        if self.phase is Phase.OVER or state is None:
            return []
        if state.order_id != self.id:
            return self._elsewhere(mirror, state)
        if state.order_update_id > self.update:
            words = f"the vehicle has update {state.order_update_id}, the newest of ours is "
            return [self._over(EventKind.DROPPED, f"{words}{self.update}")]
        events = self._confirm(state)
        self.passed = max(self.passed, self._passed(state))
        if not self.confirmed and (why := self._refusal(mirror)):
            return [*events, self._over(EventKind.REFUSED, why)]
        end = self._ends.get(state.order_update_id, self.plan.last)
        ahead = state.node_states or state.edge_states
        there = self.confirmed and self.passed == self.plan.last
        # At the end of what a message had room for there is nothing left that a cancel could clear.
        if not ahead and (self._passed(state) < end or (self.cancelling and not there)):
            where = state.last_node_id or "no node"
            words = (
                f"it was cancelled at {where}"
                if self.cancelling
                else (f"the vehicle cleared it at {where}, in mode {state.operating_mode}")
            )
            events.append(self._over(EventKind.DROPPED, words))
        elif there and not ahead and self._done(state):
            words, failed = self._outcome(state)
            self.phase = Phase.OVER
            events.append(Event(EventKind.FINISHED, self.id, words, failed))
        return events

    def _elsewhere(self, mirror: Mirror, state: State) -> list[Event]:
        """Judge a state that shows another order."""
        if self.phase is Phase.RUNNING:
            other = f"order {state.order_id!r}" if state.order_id else "no order"
            return [self._over(EventKind.DROPPED, f"the vehicle has {other} now")]
        why = self._refusal(mirror)
        return [self._over(EventKind.REFUSED, why)] if why else []

    def _confirm(self, state: State) -> list[Event]:
        if state.order_update_id <= self._confirmed:
            return []
        first, self._confirmed = self._confirmed < 0, state.order_update_id
        self.phase = Phase.RUNNING
        for update in [each for each in self._ends if each < self._confirmed]:
            del self._ends[update]
        at = self.plan.stops[self.released].id
        kind = EventKind.ACCEPTED if first else EventKind.EXTENDED
        return [Event(kind, self.id, f"released to {at} (update {self._confirmed})")]

    def _passed(self, state: State) -> int:
        """Return the index of the last stop passed, by what is behind and by what is ahead."""
        index = state.last_node_sequence_id // 2
        known = 0 <= index <= self.released and state.last_node_sequence_id % 2 == 0
        behind = index if known and self.plan.stops[index].id == state.last_node_id else 0
        if not state.node_states:
            return behind
        return min(behind, min(each.sequence_id for each in state.node_states) // 2 - 1)

    def _refusal(self, mirror: Mirror) -> str:
        """Return why the vehicle refused the newest message; empty if it did not."""
        for about, words in mirror.errors_about("orderId", self.id):
            update = about.get("orderUpdateId")
            if update == str(self.update) or (update is None and self._confirmed < 0):
                return words
        return ""

    def _done(self, state: State) -> bool:
        ours = {a.action_id for stop in self.plan.stops for a in stop.actions}
        ours |= {a.action_id for way in self.plan.ways for a in way.actions}
        ended = {s.action_id for s in state.action_states if s.action_status in _ENDED}
        return ours <= ended or all(s.action_status in _ENDED for s in state.action_states)

    def _outcome(self, state: State) -> tuple[str, bool]:
        """Return how it ended, in words, and whether an action of it failed."""
        failed = {s.action_id: s for s in state.action_states if s.action_status == "FAILED"}
        given = [a for stop in self.plan.stops for a in stop.actions]
        given += [a for way in self.plan.ways for a in way.actions]
        ours = [action for action in given if action.action_id in failed]
        text = f"at {self.plan.stops[-1].id}"
        if not ours:
            return text, False
        said = (
            f"{a.action_type}{f' ({r})' if (r := failed[a.action_id].action_result) else ''}"
            for a in ours
        )
        return f"{text}; failed: {', '.join(said)}", True

    def _over(self, kind: EventKind, words: str) -> Event:
        self.phase = Phase.OVER
        return Event(kind, self.id, words)
