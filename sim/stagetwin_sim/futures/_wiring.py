"""The plan of a future: the present's own, with a boundary before it and a watch behind it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stagetwin.bindings import CommandBinding
from stagetwin_sim.engine import Plan, fingerprint
from stagetwin_sim.futures._boundary import BoundaryPlan, Course, Link, LinksPlan, Row
from stagetwin_sim.futures._branch import Branch
from stagetwin_sim.futures._forecast import Mode
from stagetwin_sim.futures._limits import limits_of
from stagetwin_sim.futures._rules import rule_rows
from stagetwin_sim.futures._slots import Slots
from stagetwin_sim.futures._watch import Limit, Reading, RuleRow, WatchPlan

__all__ = ["Wiring", "wire"]

SETTLED = 4.0
"""Time constants until a first-order lag is within 2 %: exp(-4) = 0.018."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The plan of a future, and what of it can be found again.

    Attributes:
        plan: extends the present's.
        slots: where signals are.
        rules: that act.
        silent: why other rules do not, by path.
        limits: that it is held to.
        actuators: signals that follow a command because no model predicts them, by path of the
            signal the path of the command.
    """

    plan: Plan
    slots: Slots
    rules: Sequence[RuleRow]
    silent: Mapping[str, str]
    limits: Sequence[Limit]
    actuators: Mapping[str, str]


def wire(
    slots: Slots,
    branches: Sequence[Branch],
    *,
    readings: Sequence[Reading] = (),
    limits: Sequence[Limit] = (),
    limited: bool = False,
    approve_rules: bool = False,
) -> Wiring:
    """Return the plan of a future.

    Args:
        slots: of the present; may hold some already.
        branches: one for each world.
        readings: measures to take.
        limits: to watch, besides the stage's own.
        limited: whether to watch the stage's own.
        approve_rules: whether people approve what rules ask for.
    """
    present = slots.present
    set_here = {setting.path for branch in branches for setting in branch.settings}
    actuators = _actuators(slots, set_here)
    rules, silent = rule_rows(slots, approve_rules)
    forecast = dict.fromkeys(path for branch in branches for path in branch.forecasts)
    moving = [*actuators, *forecast]
    held = [*limits, *(limits_of(slots, moving) if limited else ())]
    rows = [
        *(_forecast_row(slots, path, branches, actuators) for path in forecast),
        *(
            _actuator_row(slots, path, command, branches)
            for path, command in actuators.items()
            if path not in forecast
        ),
    ]
    commanded = set_here | {
        slots.commands[p].target for p in slots.commands if _ruled(slots, p, rules)
    }
    rows = [*(_setpoint_row(slots, path, branches) for path in sorted(commanded)), *rows]
    links = _links(slots, branches)
    starts = [int(present.snapshot.ticks[0])] * len(branches)
    plan = present.plant.plan
    extended = plan.extended(
        slots.columns,
        before=[BoundaryPlan(rows=rows, starts=starts)],
        after=[
            LinksPlan(links=links),
            WatchPlan(rules=rules, limits=held, readings=readings, starts=starts),
        ],
        salt=fingerprint([repr((branches, rows, links, rules, held, readings))]),
    )
    return Wiring(
        plan=extended,
        slots=slots,
        rules=rules,
        silent=silent,
        limits=held,
        actuators={path: command.target for path, command in actuators.items()},
    )


def _ruled(slots: Slots, path: str, rules: Sequence[RuleRow]) -> bool:
    column = slots.slots.get(path)
    return column is not None and any(rule.desired == column for rule in rules)


def _actuators(slots: Slots, first: Collection[str]) -> dict[str, CommandBinding]:
    """Return the commands whose read-backs follow them by themselves, by the path of the signal.

    Args:
        slots: of the present.
        first: paths of commands that go before others of the same read-back: those that are given.
    """
    found: dict[str, CommandBinding] = {}
    for command in sorted(slots.commands.values(), key=lambda each: each.target not in first):
        path = command.readback
        if path in slots.telemetry and path not in slots.outputs and path not in found:
            found[path] = command
    return found


def _setpoint_row(slots: Slots, path: str, branches: Sequence[Branch]) -> Row:
    courses = [
        Course(
            Mode.SETPOINT,
            points=tuple((s.at, s.value) for s in branch.settings if s.path == path),
        )
        for branch in branches
    ]
    return Row(slots.slot(path), slots.present.plant.setpoints.get(path, ()), courses)


def _forecast_row(
    slots: Slots, path: str, branches: Sequence[Branch], actuators: Mapping[str, CommandBinding]
) -> Row:
    command = actuators.get(path)
    other = _follow(slots, command) if command is not None else Course()
    courses = [
        Course.of(branch.forecasts[path]) if path in branch.forecasts else other
        for branch in branches
    ]
    source = slots.slot(command.target) if command is not None else -1
    return Row(slots.slot(path), slots.present.plant.measured.get(path, ()), courses, source)


def _actuator_row(
    slots: Slots, path: str, command: CommandBinding, branches: Sequence[Branch]
) -> Row:
    courses = [_follow(slots, command)] * len(branches)
    source = slots.slot(command.target)
    return Row(slots.slot(path), slots.present.plant.measured.get(path, ()), courses, source)


def _follow(slots: Slots, command: CommandBinding) -> Course:
    """Return how a read-back follows its set-point."""
    if command.value_type.kind == "boolean":
        return Course(Mode.SWITCH)
    if math.isfinite(command.rate_limit) and command.rate_limit > 0:
        return Course(Mode.RATE, (command.rate_limit,))
    if command.settle_time > 0:
        frame = slots.present.plant.plan.frame
        return Course(Mode.LAG, (-math.expm1(-SETTLED * frame / command.settle_time),))
    return Course(Mode.SWITCH)


def _links(slots: Slots, branches: Sequence[Branch]) -> list[Link]:
    """Return the predictions that stand for signals which models, rules or permissives read."""
    links: list[Link] = []
    plant = slots.present.plant
    for path, output in slots.outputs.items():
        targets = [
            (feed.column, output.scale * feed.scale, output.offset * feed.scale + feed.offset)
            for feed in plant.measured.get(path, ())
        ]
        if path in slots.slots:
            targets.append((slots.slots[path], output.scale, output.offset))
        told = tuple(path not in branch.forecasts for branch in branches)
        opened = None if all(told) else told
        links.extend(Link(output.column, *target, opened) for target in targets)
    return links
