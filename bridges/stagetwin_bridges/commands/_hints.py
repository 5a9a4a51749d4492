"""What to try in another terminal while the demo runs: whole command lines, to be copied."""

from __future__ import annotations

import contextlib
import math
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from rich.text import Text

from stagetwin_bridges.commands._cast import Cast, Part
from stagetwin_bridges.commands._fleet_cast import FleetCast
from stagetwin_bridges.commands._plant import DemoPlant

__all__ = ["hint_lines", "hints"]

_STYLE = "#7fd1e0"
_SHARE = 0.6
"""Where between its limits a setpoint is proposed."""


def hints(plant: DemoPlant, cast: Cast) -> list[list[str]]:
    """Return command lines that ask the demo's service and devices, as words for a shell.

    The most telling come first.
    """
    part = cast.obeys
    lines: list[list[str]] = []
    if plant.viewed:
        lines.append(_asked(plant, "open", "--browse"))
    if part is not None:
        lines.append(_asked(plant, "set", part.command.path, _proposed(part)))
    lines += _of_vehicles(plant)
    liar = cast.refuses or part
    if liar is not None:
        asset = plant.table.assets[liar.command.asset]
        known_as = asset.id or liar.command.asset
        words = (_program(), "devices", "misbehave", known_as, "refuse")
        lines.append([*words, "--devices", str(plant.devices)])
    if plant.table.models:
        lines += _of_models(plant, cast)
    if part is not None:
        lines.append(_asked(plant, "commands list"))
        lines.append(_asked(plant, "halt", _halted(cast, part)))
    lines += [_asked(plant, command) for command in ("status", "watch", "snapshot")]
    return [[shlex.quote(word) for word in words] for words in lines]


def _of_vehicles(plant: DemoPlant) -> list[list[str]]:
    """Return how a vehicle without a part is sent somewhere, and all are stopped."""
    cast = FleetCast.of(plant.stage, plant.table)
    goal = next(iter(cast.others or cast.drivers), None)
    if goal is None:
        return []
    asset = goal.command.asset
    return [
        _asked(plant, "set", goal.command.path, goal.station),
        _asked(plant, "halt", asset.rpartition("/")[0] or "/"),
        _asked(plant, "commands list"),
    ]


def _of_models(plant: DemoPlant, cast: Cast) -> list[list[str]]:
    """Return what can be asked of a plant's models, and the machine of one made to fail."""
    lines = [_asked(plant, "models list")]
    if cast.obeys is not None:
        command = cast.obeys.command.path
        lines.append(_asked(plant, "models rehearse", command, _proposed(cast.obeys)))
    machines = dict.fromkeys(model.asset for model in plant.table.models if model.asset)
    served = {binding.asset for binding in plant.table.telemetry.values()}
    prim = next((prim for prim in machines if prim in served), "")
    if prim:
        # Without a kind of fault it lists what there may be.
        known_as = plant.table.assets[prim].id or prim
        words = (_program(), "devices", "fault", known_as, "--devices", str(plant.devices))
        lines.append([*words])
    return lines


def hint_lines(plant: DemoPlant, cast: Cast, width: int, room: int) -> list[Text]:
    """Return what stays in sight: a title that names some, and the first whole; or nothing.

    Args:
        plant, cast: as for `hints`.
        width: of the terminal [cells]; what is wider goes on as a shell reads it.
        room: lines that there are at most.
    """
    known = hints(plant, cast)
    shown: list[Text] = []
    named = 0
    for words in known[:3]:
        lines = _folded(words, width)
        if 1 + len(shown) + len(lines) > room:
            break
        shown += [Text(line, _STYLE) for line in lines]
        named += 1
    if not shown:
        return []
    # Not beside a command line, which people copy whole.
    others = ", ".join(dict.fromkeys(words[1] for words in known[named:]))
    title = f" try in another terminal ({others} too):" if others else " try in another terminal:"
    return [Text(title, "dim", no_wrap=True), *shown]


def _folded(words: list[str], width: int) -> list[str]:
    whole = " " + " ".join(words)
    if len(whole) <= width:
        return [whole]
    return [" " + " ".join(words[:-2]) + " \\", "   " + " ".join(words[-2:])]


def _asked(plant: DemoPlant, command: str, *more: str) -> list[str]:
    stage = plant.stage_path.resolve()
    with contextlib.suppress(ValueError):
        stage = stage.relative_to(Path.cwd())
    words = [_program(), *command.split(), str(stage), *more, "--socket", str(plant.socket)]
    # What a copied line leaves behind, it leaves with the other passing things.
    return (
        [*words, "-o", f"{tempfile.gettempdir()}/snapshot.usdc"] if command == "snapshot" else words
    )


def _program() -> str:
    """Return how the command line is called: it need not be on another shell's path."""
    beside = Path(sys.executable).with_name("stagetwin")
    if shutil.which("stagetwin") or not beside.exists():
        return "stagetwin"
    with contextlib.suppress(ValueError):
        beside = beside.relative_to(Path.cwd())
    return str(beside)


def _halted(cast: Cast, part: Part) -> str:
    """Return a prim to halt: best one where the demo itself has nobody to command."""
    played = [each for each in (part, cast.refuses, cast.drops_off) if each is not None]
    theirs = {_parent(each) for each in played}
    others = (_parent(each) for each in reversed(cast.others))
    return next((prim for prim in others if prim not in theirs), _parent(part))


def _parent(part: Part) -> str:
    return part.command.asset.rpartition("/")[0] or "/"


def _proposed(part: Part) -> str:
    limits = part.command.limits
    low, high = limits.hard_min, limits.hard_max
    if not isinstance(low, float) or not isinstance(high, float) or math.isinf(high - low):
        return "1"
    return f"{low + _SHARE * (high - low):.4g}"
