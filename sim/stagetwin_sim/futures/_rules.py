"""The rules of the stage as a future runs them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from stagetwin.bindings import CommandBinding, RuleBinding
from stagetwin_sim.futures._present import RuleTimer
from stagetwin_sim.futures._slots import Slots
from stagetwin_sim.futures._watch import RuleRow

__all__ = ["permissives_of", "rule_rows"]

_COMPARISONS = ("above", "below", "equal", "unequal")
_LEAST_PAUSE = 1.0
"""Least time between two requests of a rule [s], as in the command path."""


class _Silent(Exception):
    """Why a rule does not act."""


def rule_rows(slots: Slots, approve: bool) -> tuple[list[RuleRow], dict[str, str]]:
    """Return the rules that act in a future, and why others do not, by path.

    Args:
        slots: of the future; gets those that rules need.
        approve: whether people approve what rules ask for.
    """
    rows: list[RuleRow] = []
    silent: dict[str, str] = {}
    by_name = {command.path: command for command in slots.commands.values()}
    for rule in slots.present.plant.table.rules:
        try:
            rows.append(_row(slots, rule, by_name.get(rule.command), approve))
        except _Silent as why:
            silent[rule.path] = str(why)
    return rows, silent


def _row(slots: Slots, rule: RuleBinding, command: CommandBinding | None, approve: bool) -> RuleRow:
    table = slots.present.plant.table
    if command is None:
        raise _Silent(f"{rule.command} is no number")
    asset = table.assets.get(command.asset)
    if asset is None or asset.level != "twin":
        raise _Silent(f"{command.asset} is no twin, and takes no command")
    if command.approval != "none" and not approve:
        raise _Silent(f"{rule.command} waits for the approval of a person")
    if rule.signal not in slots.telemetry or isinstance(rule.threshold, str):
        raise _Silent(f"{rule.signal} is no number")
    if not slots.is_known(rule.signal):
        raise _Silent(f"nobody knows {rule.signal}")
    setpoint = json.loads(rule.setpoint)
    timer = slots.present.rules.get(rule.path, RuleTimer())
    number, largest = _largest_step(command, setpoint)
    readback = -1
    if number and command.readback in slots.telemetry:
        readback = slots.slot(command.readback)
    held = -1.0 if timer.held is None else timer.held
    return RuleRow(
        path=rule.path,
        signal=slots.slot(rule.signal),
        comparison=_COMPARISONS.index(rule.comparison),
        threshold=float(rule.threshold),
        hold_for=rule.hold_for,
        desired=slots.slot(command.target),
        setpoint=float(setpoint),
        readback=readback,
        largest_step=largest,
        pause=max(_LEAST_PAUSE, command.settle_time),
        permissives=permissives_of(slots, command, slots.slot),
        timer=(held, int(timer.asked), timer.wait, timer.pause),
    )


def _largest_step(command: CommandBinding, setpoint: object) -> tuple[bool, float]:
    limited = math.isfinite(command.rate_limit) and not isinstance(setpoint, bool)
    return limited, command.rate_limit * command.settle_time if limited else math.inf


def permissives_of(
    slots: Slots, command: CommandBinding, column: Callable[[str], int]
) -> tuple[int, ...]:
    """Return the columns of what permits a command; -1 for what nobody knows."""
    asset = slots.present.plant.table.assets.get(command.asset)
    remote = asset.remote if asset is not None else ""
    paths = [path for path in (*command.permissives, remote) if path]
    return tuple(column(path) if slots.is_known(path) else -1 for path in paths)
