"""What is remembered of vehicles and worlds, as plain data."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["Deadlock", "Job", "Phase", "TaskRecord", "VehicleRecord", "WorldRecord"]


class Job(enum.IntEnum):
    """What a vehicle does."""

    IDLE = 0
    TO_PICK = 1
    PICK = 2
    TO_DROP = 3
    DROP = 4
    TO_CHARGE = 5
    CHARGE = 6
    TO_PARK = 7


class Phase(enum.IntEnum):
    """How a vehicle moves.

    REST: it does not. LANES: along a route of the lane authority. DOOR: it waits off the lanes for
    the first cells. APPROACH: it drives to them. FREE: in a free zone. GRID: on a grid. AWAY: out
    of somebody's way, to go on later. GATE: on a grid, with lanes ahead whose first cells it wants.
    """

    REST = 0
    LANES = 1
    DOOR = 2
    APPROACH = 3
    FREE = 4
    GRID = 5
    AWAY = 6
    GATE = 7


class TaskRecord(msgspec.Struct):
    """A load from a station to another; times since the start [s].

    Attributes:
        source, target: ids of the stations.
        vehicle: who brings it.
        created: when it was there.
        assigned: when a vehicle set out for it.
        reached: when that was there.
        picked: when it was taken.
        brought: when it was at the target.
        done: when it was given.
        waited: how long the vehicle stood for the sake of others [s].
        distance: that the vehicle drove for it [m].
    """

    source: str
    target: str = ""
    vehicle: int = -1
    created: float = 0.0
    assigned: float = 0.0
    reached: float = 0.0
    picked: float = 0.0
    brought: float = 0.0
    done: float = 0.0
    waited: float = 0.0
    distance: float = 0.0


class Deadlock(msgspec.Struct):
    """A circle of vehicles that waited for each other.

    Attributes:
        begun: when it was complete [s].
        vehicles: who.
        places: lanes and nodes where they stood.
        ended: when it was over [s]; -1 while it is not.
    """

    begun: float
    vehicles: list[int]
    places: list[str]
    ended: float = -1.0


class VehicleRecord(msgspec.Struct):
    """What a vehicle is about.

    Attributes:
        job, phase: see Job and Phase.
        node: where it stands; empty on the way.
        cell: of a lane on which it stands out of the way; -1 for none.
        goal: the node that it drives to; empty for none.
        way: stretches of its way: authority, nodes, number of the route.
        leg: which of these it is on.
        waypoint: which node of a stretch in a free zone it heads for.
        slot: its place at a node for several.
        holding: whether it still holds a cell that it is about to leave.
        sent: a goal that is on its way to it: when it is heard [s], x, y [m], theta [rad].
        heard: when control hears that it is there [s]; -1 while there is nothing to hear.
        station: where its job is.
        due: when its job is done, or looked at again [s]; infinite for none.
        loaded: whether it carries something.
        task: what it carries or fetches.
        after: vehicle that it lets pass before it goes on; -1 for none.
        mark: how far that one must be: number of its route and step.
    """

    job: Job = Job.IDLE
    phase: Phase = Phase.REST
    node: str = ""
    cell: int = -1
    goal: str = ""
    way: list[tuple[str, tuple[str, ...], int]] = []
    leg: int = 0
    waypoint: int = 0
    slot: int = 0
    holding: bool = False
    sent: tuple[float, float, float, float] | None = None
    heard: float = -1.0
    station: str = ""
    due: float = 1e300
    loaded: bool = False
    task: TaskRecord | None = None
    after: int = -1
    mark: tuple[int, int] = (-1, -1)


class WorldRecord(msgspec.Struct):
    """What happens in a world.

    Attributes:
        vehicles: all of them.
        booked: who has a place at a node, or is on its way to it.
        waiting: loads at pick stations, by when they came [s].
        next: when the next load comes to a station [s].
        draws: numbers drawn so far.
        done: finished tasks.
        turned_away: loads for which there was no room.
        lost: messages of or to vehicles in free zones and at the ends of stretches.
        deadlocks: all of them.
        yields: vehicles without work that were sent out of the way.
        stuck: since when circles wait [s], by their vehicles.
    """

    vehicles: list[VehicleRecord]
    booked: dict[str, list[int]] = {}
    waiting: dict[str, list[float]] = {}
    next: dict[str, float] = {}
    draws: int = 0
    done: list[TaskRecord] = []
    turned_away: int = 0
    lost: int = 0
    deadlocks: list[Deadlock] = []
    yields: int = 0
    stuck: dict[str, float] = {}
