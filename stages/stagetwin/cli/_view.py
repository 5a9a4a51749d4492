"""The live view as a pure function: what is known and what the keys did, to lines of text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from rich.text import Text

from stagetwin.cli._alarm_text import PRIORITY_STYLES, alarm_count
from stagetwin.cli._cells import plain_text
from stagetwin.cli._model import WatchModel
from stagetwin.cli._rows import QUALITY_STYLES, Columns, columns_for, heading, signal_row

__all__ = ["Row", "View", "body_height", "render", "rows_of"]

_BAND = "on #1d2a33"
_STATES = {
    "online": "#0f2a1c on #4ec98a",
    "connecting": "#332600 on #f0b94b",
    "offline": "#3a0d0d on #ff8787",
    "failed": "bold white on #c0392b",
}
_CHIP_LINES = 3
_WORST_FIRST = {"bad": 0, "stale": 1, "uncertain": 2, "good": 3}
_SORTS = ("name", "age", "quality")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the body: the heading of a prim, or a signal by its index."""

    prim: str
    index: int = -1


@dataclass(slots=True)
class View:
    """What the keys did.

    Attributes:
        sort: name, age or quality.
        query: words that a row must contain.
        typing: whether keys go into `query`.
        paused: whether the picture stands still.
        top: first row shown.
    """

    sort: str = "name"
    query: str = ""
    typing: bool = False
    paused: bool = False
    top: int = 0

    def press(self, key: str, row_count: int, page: int) -> bool:
        """Take one key.

        Args:
            key: as `decode_keys` names it.
            row_count: rows there are to scroll through.
            page: rows shown at once.

        Returns:
            Whether the view is to be left.
        """
        if self.typing:
            self._type(key)
            return False
        step = max(page - 1, 1)
        moves = {
            "up": -1,
            "k": -1,
            "down": 1,
            "j": 1,
            "page up": -step,
            "b": -step,
            "page down": step,
            "f": step,
            "home": -row_count,
            "g": -row_count,
            "end": row_count,
            "G": row_count,
        }
        if key in moves:
            self.top = max(min(self.top + moves[key], row_count - page), 0)
        elif key == "s":
            self.sort = _SORTS[(_SORTS.index(self.sort) + 1) % len(_SORTS)]
            self.top = 0
        elif key == " ":
            self.paused = not self.paused
        elif key == "/":
            self.typing = True
        elif key == "escape":
            self.query = ""
        return key in ("q", "Q")

    def _type(self, key: str) -> None:
        self.top = 0
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing, self.query = False, ""
        elif key == "backspace":
            self.query = self.query[:-1]
        elif len(key) == 1:
            self.query += key


def rows_of(model: WatchModel, view: View) -> list[Row]:
    """Return the rows to show: grouped by prim, or as one list where another order is wanted."""
    words = view.query.lower().split()
    chosen = [
        i
        for i, (signal, reading) in enumerate(zip(model.signals, model.readings, strict=True))
        if not words
        or all(
            word in f"{signal.path} {signal.connection} {reading.quality}".lower() for word in words
        )
    ]
    if view.sort == "name":
        # Stage order; a prim's signals need not lie side by side in it.
        by_prim: dict[str, list[int]] = {}
        for i in chosen:
            by_prim.setdefault(model.signals[i].prim, []).append(i)
        return [
            row
            for prim, indices in by_prim.items()
            for row in (Row(prim), *(Row(prim, i) for i in indices))
        ]
    if view.sort == "age":
        chosen.sort(key=lambda i: -_age(model, i))
    else:
        chosen.sort(key=lambda i: (_WORST_FIRST.get(model.readings[i].quality, 0), -_age(model, i)))
    return [Row(model.signals[i].prim, i) for i in chosen]


def _age(model: WatchModel, index: int) -> float:
    age = model.readings[index].age
    return math.inf if age is None else age


def render(
    model: WatchModel,
    view: View,
    width: int,
    height: int,
    clock: str = "",
    panel: Sequence[Text] = (),
) -> list[Text]:
    """Draw one frame.

    Args:
        model: what is known.
        view: what the keys did.
        width, height: size of the terminal [cells].
        clock: time of day to show.
        panel: lines to keep above the last one, for whoever has something to tell.

    Returns:
        Exactly `height` lines of exactly `width` cells.
    """
    head = _header(model, view, width, clock)
    names = max((len(s.name) for s in model.signals), default=0) + 2
    if view.sort != "name":
        names = max((len(s.name) + len(_tail(s.prim)) + 2 for s in model.signals), default=0)
    columns = columns_for(width, names, model.modelled)
    titles = heading(columns)
    titles.stylize(f"dim {_BAND}")
    room = body_height(model, width, height, panel)
    rows = rows_of(model, view)
    top = max(min(view.top, len(rows) - room), 0)
    lines = [*head, titles, *_body(model, rows, top, room, columns)]
    lines += [*panel[-_panel_height(height, panel) :]] if panel else []
    lines.append(_footer(view, top, min(top + room, len(rows)), len(rows)))
    return [_line(line, width) for line in [*lines[: height - 1], lines[-1]][-height:]]


def body_height(model: WatchModel, width: int, height: int, panel: Sequence[Text] = ()) -> int:
    """Return how many rows a frame has room for."""
    chips = len(_chips(model, width))
    return max(height - 2 - chips - 1 - _panel_height(height, panel) - 1, 0)


def _panel_height(height: int, panel: Sequence[Text]) -> int:
    return min(len(panel), max(height // 3, 0))


def _line(text: Text, width: int) -> Text:
    text.no_wrap, text.overflow, text.end = True, "crop", "\n"
    text.truncate(width, overflow="crop", pad=True)
    return text


# -- body


def _body(model: WatchModel, rows: list[Row], top: int, room: int, columns: Columns) -> list[Text]:
    shown = rows[top : top + room]
    grouped = any(row.index < 0 for row in rows[:1])
    lines: list[Text] = []
    for place, row in enumerate(shown):
        if row.index < 0 or (grouped and place == 0):
            # The prim of what is at the top stays in sight while its signals scroll by.
            lines.append(_prim_heading(model, row.prim))
            continue
        signal = model.signals[row.index]
        label = Text("  " if grouped else "")
        if not grouped:
            label.append(_tail(signal.prim) + " ", "dim")
        label.append(plain_text(signal.name))
        lines.append(
            signal_row(label, signal, model.readings[row.index], model.history[row.index], columns)
        )
    if not rows:
        why = "nothing matches; Esc shows all again" if model.signals else "waiting for the service"
        lines = [Text(""), Text(f"  {why}", "dim")]
    return lines[:room] + [Text("")] * (room - len(lines))


def _prim_heading(model: WatchModel, prim: str) -> Text:
    folder, _, name = plain_text(prim).rpartition("/")
    text = Text.assemble(" ", (f"{folder}/", "dim"), (name, "bold #8fc7ff"))
    if cause := _mapping(model.status.get("demoted")).get(prim):
        text.append(f"  runs as shadow: {plain_text(cause)}", "dim #f0b94b")
    return text


def _tail(prim: str) -> str:
    return plain_text(prim.rpartition("/")[2])


# -- header and footer


def _header(model: WatchModel, view: View, width: int, clock: str) -> list[Text]:
    status = model.status
    plant = PurePath(plain_text(status.get("stage", ""))).stem
    state = ("❚❚ paused", "bold #f0b94b") if view.paused else ("▶ live", "#4ec98a")
    title = Text.assemble(" ", ("stagetwin", "bold #8fc7ff"), "  ", (plant or "…", "bold"))
    if count := alarm_count(counts := _mapping(status.get("alarms"))):
        worst = next(style for name, style in PRIORITY_STYLES.items() if counts.get(name))
        title.append("  ").append(f" {count} alarm{'s' if count > 1 else ''} ", worst)
    right = Text.assemble(state, "  ", (clock, "dim"), " ")
    title.pad_right(max(width - title.cell_len - right.cell_len, 1))
    return [Text.assemble(title, right), _figures(model, width), *_chips(model, width)]


def _figures(model: WatchModel, width: int) -> Text:
    health = _mapping(model.status.get("health"))

    def figure(name: str, scale: float = 1.0) -> float:
        value = health.get(name)
        return value * scale if isinstance(value, (int, float)) else math.nan

    p50, p99 = figure("lagP50", 1e3), figure("lagP99", 1e3)
    between = ("  │  " if width >= 110 else " │ ", "dim")
    text = Text.assemble(
        " ",
        (f"{len(model.signals)}", "bold"),
        " signals",
        *_qualities(model),
        between,
        (_shown(figure("rate"), 0), "bold"),
        " samples/s",
        between,
        "lag p50 ",
        (_shown(p50, 1), "bold"),
        " ms, p99 ",
        (_shown(p99, 1), "bold #f0b94b" if p99 > 250 else "bold"),
        " ms",
    )
    unused, gaps = _unused(model)
    for part in (unused, gaps):
        # Half a word about gaps tells nothing, half a list of reasons does.
        if part and (part is unused or text.cell_len + len(between[0] + part) <= width):
            text.append(*between).append(part, "#f0b94b")
    text.truncate(width, overflow="ellipsis")
    return text


def _unused(model: WatchModel) -> tuple[str, str]:
    """Return what was not used, commonest reasons first, and where gaps of unknown size are."""
    counts: Counter[str] = Counter()
    gaps = 0
    for row in model.status.get("rejections") or []:
        row = _mapping(row)
        reason, count = plain_text(row.get("reason", "")), row.get("count")
        if isinstance(count, int):
            counts[reason] += count
            gaps += reason == "lost" and not count
    names = [f"{count:,} {reason}" for reason, count in counts.most_common(2) if count]
    return (
        f"not used: {', '.join(names)}" if names else "",
        f"gaps on {gaps} connection{'s' if gaps > 1 else ''}" if gaps else "",
    )


def _qualities(model: WatchModel) -> list[tuple[str, str]]:
    return [
        (f"  {model.count(quality)} {quality}", QUALITY_STYLES[quality])
        for quality in ("uncertain", "bad", "stale")
        if model.count(quality)
    ]


def _chips(model: WatchModel, width: int) -> list[Text]:
    """Return the connections with their states, on as many lines as they need, at most three.

    Where that is not enough, causes are shortened, then left out; what is still left is counted.
    """
    links = _mapping(model.status.get("connections"))
    lines, left = [Text(" ")], 0
    for longest in (width - 2, max(width // 2 - 3, 24), max(width // 3 - 3, 24), 0):
        lines, left = _chip_lines(links, width, longest)
        if not left:
            return lines
    more = f"+{left} more"
    lines[-1].truncate(max(width - len(more) - 1, 1), overflow="ellipsis")
    lines[-1].append(more, "bold #f0b94b")
    return lines


def _chip_lines(links: dict[str, Any], width: int, longest: int) -> tuple[list[Text], int]:
    """Return lines of chips, and how many chips found no room.

    Args:
        links: connections by name, as the service tells them.
        width: of a line [cells].
        longest: cells of a chip; 0 leaves out everything but name and state.
    """
    lines = [Text(" ")]
    for place, (name, link) in enumerate(links.items()):
        link = _mapping(link)
        state = plain_text(link.get("state", "offline"))
        chip = Text.assemble(
            (f" {plain_text(name)} ", "on #2b3b46"),
            (f" {state} ", _STATES.get(state, "reverse")),
        )
        if longest and (cause := plain_text(link.get("cause", ""))):
            chip.append(f" {cause}", "#ff8787" if state != "connecting" else "#f0b94b")
        if longest and (restarts := link.get("restarts")):
            chip.append(f" {restarts}× restarted", "dim")
        chip.truncate(max(longest or width - 2, 1), overflow="ellipsis")
        # The last line keeps room for the number of those that are left.
        room = width - (10 if len(lines) == _CHIP_LINES and not longest else 1)
        if lines[-1].cell_len > 1 and lines[-1].cell_len + chip.cell_len > room:
            if len(lines) == _CHIP_LINES:
                return lines, len(links) - place
            lines.append(Text(" "))
        lines[-1].append_text(chip).append("  ")
    return lines, 0


def _footer(view: View, first: int, last: int, count: int) -> Text:
    if view.typing:
        text = Text.assemble(
            (" / ", "bold #8fc7ff"),
            view.query,
            ("▏", "blink"),
            ("   Enter keeps the filter, Esc drops it", "dim"),
        )
    else:
        text = Text(" ")
        keys = (
            ("q", "quit"),
            ("↑↓ PgUp PgDn", "scroll"),
            ("/", f"filter: {view.query}" if view.query else "filter"),
            ("s", f"sort: {view.sort}"),
            ("space", "go on" if view.paused else "pause"),
        )
        for key, what in keys:
            text.append(key, "bold #8fc7ff").append(f" {what}  ")
        if count:
            text.append(f"{first + 1}–{last} of {count}", "dim")
    text.stylize(_BAND)
    # Coloured to the edge.
    return text.append(" " * 500, _BAND)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _shown(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"
