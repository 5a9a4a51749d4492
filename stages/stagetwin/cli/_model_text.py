"""Models as text: one row for each, what it expects of its signals, and why it does not run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from stagetwin.cli._cells import plain_text, unit_text
from stagetwin.cli._lives import value_text

__all__ = ["model_lines", "port_lines"]

Row = dict[str, Any]

STATE_STYLES = {"running": "green", "starting": "yellow", "waiting": "yellow", "failed": "bold red"}

FAR = 3.0
"""Standard deviations beyond which a residual is shown as one that hardly is chance."""
_BEYOND = 999.0
"""Standard deviations beyond which a number says nothing more."""
_HEAD = ("model", "kind", "state")
_SIGNAL = ("signal", "measured", "expected", "residual")
_INDENT = "    "


def model_lines(rows: Sequence[Row], width: int) -> Iterator[Text]:
    """Yield models as lines, a cause whole under the first row that has it.

    Where a row is wider than the terminal, names are short and signals stand below their model.

    Args:
        rows: as the service replies them.
        width: of the terminal [cells].
    """
    paths = [plain_text(row["path"]) for row in rows]
    signals = [[_cells(signal) for signal in row["signals"]] for row in rows]
    figures = [Text(name, style="dim") for name in _SIGNAL]
    right = _widths([figures, *(cells for each in signals for cells in each)])
    heads = [_head(row, path) for row, path in zip(rows, paths, strict=True)]
    names = [Text(name, style="dim") for name in _HEAD]
    left = _widths([names, *heads])
    beside = sum(left) + sum(right) + 2 * (len(left) + len(right) - 1) <= width
    if beside:
        yield _line(names, left).append("  ").append(_line(figures, right, 1))
    else:
        heads = [_head(row, name) for row, name in zip(rows, _short(paths), strict=True)]
        left = _widths([names, *heads])
        yield _line(names, left)
        if any(signals):
            yield Text(_INDENT).append(_line(figures, right, 1))
    blank = " " * (sum(left) + 2 * (len(left) - 1))
    told: set[str] = set()
    for row, head, each in zip(rows, heads, signals, strict=True):
        first = _line(head, left)
        if beside and each:
            yield first.append("  ").append(_line(each[0], right, 1))
            yield from (Text(blank + "  ").append(_line(cells, right, 1)) for cells in each[1:])
        else:
            yield first
            yield from (Text(_INDENT).append(_line(cells, right, 1)) for cells in each)
        cause = plain_text(row["cause"])
        if cause and cause not in told:
            told.add(cause)
            yield Text(f"{_INDENT}{cause}", style="dim")
        elif cause:
            yield Text(f"{_INDENT}for the same cause", style="dim")


def port_lines(row: Row) -> Iterator[Text]:
    """Yield what a model is fed, what it was made with and what it gives: name, value, unit.

    Args:
        row: of one model, as the service replies it.
    """
    table = [
        *(("in", _place(row, each["path"]), each, "") for each in row["inputs"]),
        *(("param", name, each, "") for name, each in sorted(row["parameters"].items())),
        *(("param", name, each, "by default") for name, each in sorted(row["defaults"].items())),
        *(("out", each["port"], each, "") for each in row["outputs"]),
    ]
    cells = [
        [
            Text(what, style="dim"),
            Text(plain_text(name)),
            Text(_figure_text(each["value"], "")),
            Text(unit_text(each["unit"])),
            Text(note, style="dim"),
        ]
        for what, name, each, note in table
    ]
    widths = _widths(cells)
    for each in cells:
        each[2].pad_left(widths[2] - cell_len(each[2].plain))
        line = _line(each, widths)
        line.rstrip()
        yield line


def _figure_text(value: Any, unit: str) -> str:
    """Return a value with its unit, a number with as many digits as a model is good for."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value_text(value, unit)
    return f"{value:.5g} {unit_text(unit)}".rstrip()


def _port_name(path: str) -> str:
    """Return what a property or signal is called on its prim, without what the schema adds."""
    name = plain_text(path).rpartition(".")[2]
    return re.sub(r"^twin:(?:telemetry|command|model):(.+?)(?::value|:desired)?$", r"\1", name)


def _place(row: Row, path: str) -> str:
    """Return a signal's name, with its prim's path where that is another than the model's."""
    prim = plain_text(path).rpartition(".")[0]
    name = _port_name(path)
    return name if prim == row["prim"] else f"{prim}.{name}"


def _head(row: Row, name: str) -> list[Text]:
    kind, state = Text(plain_text(row["kind"])), plain_text(row["state"])
    if row["fidelity"]:
        kind.append(f" {plain_text(row['fidelity'])}", "dim")
    return [Text(name), kind, Text(state, style=STATE_STYLES.get(state, "dim"))]


def _short(paths: Sequence[str]) -> list[str]:
    """Return the ends of paths, as many parts of each as tell it from all others."""
    parts = [path.strip("/").split("/") for path in paths]
    names = list(paths)
    open_ = list(range(len(paths)))
    for length in range(1, max(map(len, parts), default=0) + 1):
        ends = ["/".join(each[-length:]) for each in parts]
        counted = Counter(ends)
        for i in open_:
            if counted[ends[i]] == 1:
                names[i] = ends[i]
        open_ = [i for i in open_ if counted[ends[i]] > 1]
    return names


def _cells(signal: Row) -> list[Text]:
    unit, stale = signal["unit"], signal["quality"] != "good"
    return [
        Text(_port_name(signal["path"])),
        Text(_figure_text(signal["value"], unit), style="dim" if stale else ""),
        Text(_figure_text(signal["predicted"], unit)),
        _residual(signal),
    ]


def _residual(signal: Row) -> Text:
    """Return a residual in its unit, or how many standard deviations it is where that is known."""
    sigmas = signal["sigmas"]
    if sigmas is not None:
        style = "bold #f0b94b" if abs(sigmas) > FAR else ""
        if abs(sigmas) > _BEYOND:
            return Text(f"> {_BEYOND:.0f} σ" if sigmas > 0 else f"< -{_BEYOND:.0f} σ", style)
        return Text(f"{sigmas:+.1f} σ", style)
    if signal["residual"] is not None:
        return Text(_figure_text(signal["residual"], signal["unit"]))
    return Text("-", style="dim")


def _widths(table: Sequence[Sequence[Text]]) -> list[int]:
    return [max(cell_len(cell.plain) for cell in column) for column in zip(*table, strict=True)]


def _line(cells: Sequence[Text], widths: Sequence[int], numbers: int | None = None) -> Text:
    """Return cells beside each other; those from `numbers` on end at the right of their column."""
    line = Text()
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        blank = " " * (width - cell_len(cell.plain))
        right = numbers is not None and i >= numbers
        line.append("  " if i else "").append(blank if right else "").append(cell)
        line.append("" if right else blank)
    return line
