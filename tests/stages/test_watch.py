"""The live view: what a frame shows, what keys do, and that a terminal is left as it was."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group
from rich.text import Text

from stagetwin import ServiceError
from stagetwin.cli._cells import age_text, bar, profile, sparkline, split_number, unit_text
from stagetwin.cli._keys import decode_keys
from stagetwin.cli._model import WatchModel
from stagetwin.cli._view import View, body_height, render, rows_of
from stagetwin.cli._watch import _paths, _pick

SIGNALS: list[dict[str, Any]] = [
    {
        "prim": "/World/Line1/P101",
        "signal": "flow",
        "unit": "m3/h",
        "connection": "plant",
        "min": 0.0,
        "max": 120.0,
        "softMin": 8.0,
        "softMax": 95.0,
    },
    {"prim": "/World/Line1/P101", "signal": "running", "unit": "1", "connection": "plant"},
    {"prim": "/World/Line1/P101", "signal": "state", "unit": "1", "connection": "plant"},
    {"prim": "/World/Line1/TK101", "signal": "level", "unit": "m", "connection": "tanks"},
]
STATUS: dict[str, Any] = {
    "stage": "/plants/factory.usda",
    "health": {"rate": 1234.5, "lagP50": 0.0081, "lagP99": 0.031},
    "connections": {
        "plant": {"state": "online", "cause": ""},
        "tanks": {"state": "offline", "cause": "connection lost"},
    },
    "rejections": [{"connection": "plant", "reason": "malformed", "count": 12}],
    "demoted": {"/World/Line1/TK101": "limits changed"},
}


def reading(value: Any, quality: str = "good", age: float | None = 0.2) -> dict[str, Any]:
    return {"value": value, "quality": quality, "age": age}


def model_of(*readings: dict[str, Any], signals: list[dict[str, Any]] = SIGNALS) -> WatchModel:
    model = WatchModel()
    model.apply({"signals": signals}, 0.0)
    model.apply({"frame": list(readings), "status": STATUS}, 0.0)
    return model


USUAL = (reading(43.21), reading(True), reading("running"), reading(1.5, "stale", 44.0))


def shown(model: WatchModel, view: View | None = None, width: int = 120, height: int = 20) -> str:
    return "\n".join(line.plain for line in render(model, view or View(), width, height))


def test_a_frame_tells_plant_figures_and_connections() -> None:
    text = shown(model_of(*USUAL))
    for part in ("factory", "4 signals", "1 stale", "1,234 samples/s", "p50 8.1 ms, p99 31.0 ms"):
        assert part in text
    assert "tanks  offline  connection lost" in text
    assert "not used: 12 malformed" in text
    assert "runs as shadow: limits changed" in text


def test_a_row_tells_name_bar_value_unit_quality_and_age() -> None:
    row = next(line for line in shown(model_of(*USUAL)).splitlines() if "flow" in line)
    assert "━" in row
    assert "43.21 m³/h" in " ".join(row.split())
    assert "● good" in row
    assert row.rstrip().endswith("0.2 s")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_what_a_model_expects_stands_beside_the_value(width: int) -> None:
    off = {"predicted": 45.5, "residual": -2.5, "residualSigma": 0.5}
    sound = {"predicted": 1.52, "residual": -0.02, "residualSigma": 0.5}
    model = model_of({**USUAL[0], **off}, *USUAL[1:3], {**reading(1.5), **sound})
    lines = render(model, View(), width, 20)
    assert {line.cell_len for line in lines} == {width}
    flow, level = (
        next(line for line in lines if line.plain.split()[:1] == [name])
        for name in ("flow", "level")
    )
    assert "-5.0σ" in flow.plain
    assert ("45.50" in flow.plain) == (width >= 72)
    marked = [span.style for span in flow.spans if "-5.0σ" in flow.plain[span.start : span.end]]
    assert any("bold" in str(style) for style in marked)
    assert "0.0σ" in level.plain
    assert ("expected" in shown(model, width=width)) == (width >= 72)
    assert "expected" not in shown(model_of(*USUAL), width=width)


def test_decimal_points_are_aligned() -> None:
    signals = [{**SIGNALS[0], "signal": name} for name in ("a", "b", "c")]
    text = shown(model_of(reading(1.5), reading(110.25), reading(-99.0), signals=signals))
    rows = [line for line in text.splitlines() if "m³/h" in line]
    assert len({row.index(".", 5) for row in rows}) == 1


def test_signals_are_grouped_by_prim_in_stage_order() -> None:
    text = shown(model_of(*USUAL))
    places = [text.index(name) for name in ("P101", "flow", "running", "TK101", "level")]
    assert places == sorted(places)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=30,
)


@given(
    value=JSON_VALUES,
    quality=st.sampled_from(["good", "bad", "odd"]),
    age=st.none() | st.floats(),
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    sort=st.sampled_from(["name", "age", "quality"]),
    top=st.integers(0, 9),
)
def test_any_value_fits_any_terminal(
    value: Any, quality: str, age: float | None, width: int, height: int, sort: str, top: int
) -> None:
    model = model_of(*(reading(value, quality, age) for _ in SIGNALS))
    lines = render(model, View(sort=sort, top=top), width, height, "12:00:00", [Text("x")] * 3)
    assert len(lines) == height
    assert {line.cell_len for line in lines} == {width}
    console = Console(file=open(os.devnull, "w"), width=width, height=height)  # noqa: SIM115
    with console.file:
        console.print(Group(*lines))


def test_control_characters_of_a_payload_never_reach_the_terminal() -> None:
    hostile = reading("\x1b]0;owned\x07\x1b[2J\nnext")
    text = shown(model_of(USUAL[0], USUAL[1], hostile, USUAL[3]))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "owned" in text


@given(
    value=st.floats(allow_nan=True),
    width=st.integers(0, 40),
    low=st.floats(-1e6, 1e6),
    span=st.floats(1e-3, 1e6),
)
def test_a_bar_has_its_width(value: float, width: int, low: float, span: float) -> None:
    assert bar(value, (low, low + span), (low, low + span), width).cell_len == width


def test_a_bar_grows_with_its_value_and_marks_what_lies_beyond() -> None:
    def filled(value: float) -> int:
        text = bar(value, (0, 100), (20, 80), 20)
        return sum(
            span.end - span.start for span in text.spans if span.style in ("#4ec98a", "#f0b94b")
        )

    assert [filled(v) for v in (0, 25, 50, 100)] == [1, 5, 10, 20]
    assert any(s.style == "#f0b94b" for s in bar(90, (0, 100), (20, 80), 20).spans)
    assert not any(s.style == "#f0b94b" for s in bar(50, (0, 100), (20, 80), 20).spans)


def test_a_bar_tells_value_and_soft_limits_without_colour() -> None:
    assert bar(6, (0, 60), (0, 60), 20).plain == "━━" + "─" * 18
    assert bar(60, (0, 60), (0, 60), 20).plain == "━" * 20
    assert bar(50, (0, 100), (20, 80), 20).plain == "╍╍╍╍━━━━━━──────····"
    assert bar(90, (0, 100), (20, 80), 20).plain == "╍╍╍╍━━━━━━━━━━━━╍╍··"
    assert bar(12.5, (0, 100), (0, 80), 20).plain == "━━╸─────────────····"


@pytest.mark.parametrize("width", [80, 140])
def test_no_connection_is_hidden_unsaid(width: int) -> None:
    cause = "connection lost: the other side has closed it, and it does not answer any more; " * 2
    model = model_of(*USUAL)
    names = ("energy", "fleet", "plant", "testbed")
    model.status = {"connections": {n: {"state": "offline", "cause": cause} for n in names}}
    text = shown(model, width=width)
    assert all(f" {name}  offline " in text for name in names)
    assert "connection lost" in text
    many = {f"connection{i:02d}": {"state": "online"} for i in range(40)}
    model.status = {"connections": many}
    lines = shown(model, width=width).splitlines()
    seen = sum(line.count("  online ") for line in lines)
    assert lines[4].rstrip().endswith(f"+{40 - seen} more")


def test_gaps_are_counted_where_there_is_room() -> None:
    model = model_of(*USUAL)
    lost = {"reason": "lost", "count": 0}
    model.status = {"rejections": [{**lost, "connection": c} for c in ("plant", "tanks")]}
    assert "gaps on 2 connections" in shown(model, width=120).splitlines()[1]
    assert "not used" not in shown(model, width=120)
    assert "gap" not in shown(model, width=60).splitlines()[1]


def test_a_bar_around_zero_grows_both_ways() -> None:
    negative, positive = (bar(v, (-10, 10), (-10, 10), 20) for v in (-5.0, 5.0))
    places = [
        [s.start for s in text.spans if s.style == "#4ec98a"] for text in (negative, positive)
    ]
    assert max(places[0]) < 10 <= min(places[1])


@pytest.mark.parametrize(
    ("ucum", "printed"),
    [
        ("m3/h", "m³/h"),
        ("m/s2", "m/s²"),
        ("Cel", "°C"),
        ("1", ""),
        ("kW.h", "kW·h"),
        ("s-1", "s⁻¹"),
        ("1/min", "1/min"),
        ("%", "%"),
    ],
)
def test_units_are_printed_as_people_write_them(ucum: str, printed: str) -> None:
    assert unit_text(ucum) == printed


@pytest.mark.parametrize(
    ("value", "span", "text"),
    [
        (43.214, 87.0, "43.21"),
        (1731.2, 2400.0, "1,731"),
        (0.5, 0.2, "0.500"),
        (7, 10.0, "7"),
        (math.nan, 1.0, "nan"),
        (-math.inf, 1.0, "-inf"),
        (3e12, 1.0, "3.000e+12"),
    ],
)
def test_numbers_have_the_digits_that_tell_something(value: float, span: float, text: str) -> None:
    assert "".join(split_number(value, span)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "never"),
        (0.04, "0.0 s"),
        (44, "44 s"),
        (300, "5 min"),
        (7200, "2 h"),
        (1e9, "9999 d"),
    ],
)
def test_ages_are_short(seconds: float | None, text: str) -> None:
    assert age_text(seconds) == text


def test_a_sparkline_has_dots_where_nothing_came() -> None:
    assert sparkline([0.0, None, 1.0], 5, 0.0) == "  ▁·▇"
    assert sparkline([5.0, 5.0], 2, 1.0) == "▄▄"
    assert profile([0, 1, 2, 3], 4) == "▁▃▅▇"


def test_an_outage_shows_at_the_same_place_on_every_row() -> None:
    model = WatchModel()
    model.apply({"signals": SIGNALS}, 0.0)
    for step in range(6):
        quality = "stale" if step in (2, 3) else "good"
        model.apply({"frame": [reading(1.0, quality)] * 4}, float(step))
    assert [[v is None for v in h] for h in model.history] == [
        [False, False, True, True, False, False]
    ] * 4


def test_history_survives_a_change_of_bindings() -> None:
    model = model_of(*USUAL)
    model.apply({"signals": SIGNALS[:1]}, 1.0)
    assert list(model.history[0]) == [43.21]
    assert shown(model)


# -- keys


def test_keys_are_decoded() -> None:
    typed = "j\x1b[A\x1bOB\x1b[5~\x1b[6~é\x1b\x7f\r\x1b[1;5C"
    assert decode_keys(typed) == [
        *("j", "up", "down", "page up", "page down", "é", "escape", "backspace", "enter")
    ]


def press(view: View, *keys: str, rows: int = 100, page: int = 10) -> bool:
    left = [view.press(key, rows, page) for key in keys]
    return any(left)


def test_scrolling_stays_within_the_rows() -> None:
    view = View()
    press(view, "up", "page down", "down")
    assert view.top == 10
    press(view, "G")
    assert view.top == 90
    press(view, "j", "page down")
    assert view.top == 90
    press(view, "g")
    assert view.top == 0


def test_the_filter_takes_letters_until_enter_and_escape_drops_it() -> None:
    model = model_of(*USUAL)
    view = View()
    assert not press(view, "/", *"level q")
    assert [row.index for row in rows_of(model, view)] == []
    press(view, "backspace", "backspace", "enter")
    assert [row.index for row in rows_of(model, view)] == [-1, 3]
    press(view, "escape")
    assert len(rows_of(model, view)) == 6
    assert press(view, "q")


def test_the_filter_knows_qualities_and_connections() -> None:
    model = model_of(*USUAL)
    assert [r.index for r in rows_of(model, View(query="stale"))] == [-1, 3]
    assert [r.index for r in rows_of(model, View(query="plant p101 FLOW"))] == [-1, 0]
    assert "nothing matches" in shown(model, View(query="no such"))


def test_sorting_puts_the_oldest_or_worst_first() -> None:
    model = model_of(reading(1.0), reading(2.0, "uncertain", 3), reading(3.0, "bad"), USUAL[3])
    assert next(r.index for r in rows_of(model, View(sort="age"))) == 3
    assert [r.index for r in rows_of(model, View(sort="quality"))] == [2, 3, 1, 0]


def test_the_prim_stays_in_sight_while_its_signals_scroll_by() -> None:
    signals = [{**SIGNALS[0], "signal": f"s{i}"} for i in range(50)]
    model = model_of(*[reading(1.0)] * 50, signals=signals)
    height = 20
    lines = shown(model, View(top=25), height=height).splitlines()
    assert "/World/Line1/P101" in lines[4]
    assert body_height(model, 120, height) == height - 5


# -- the command, on a socket


class FakeService:
    """Answers as the control socket does; a thread and a Unix socket."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self.asked: list[str] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        while not self._ending.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            # Closing what the client left raises as writing to it does.
            with contextlib.suppress(OSError), client, client.makefile("rwb") as file:
                self._answer(json.loads(file.readline()), file)

    def _answer(self, request: dict[str, Any], file: Any) -> None:
        self.asked.append(request["prim"])
        frame = {"ok": True, "frame": list(USUAL), "status": STATUS}
        if request["op"] == "values":
            self._say(file, {**frame, "signals": SIGNALS})
            return
        self._say(file, {"ok": True, "signals": SIGNALS})
        while not self._ending.wait(0.05):
            self._say(file, frame)

    @staticmethod
    def _say(file: Any, reply: dict[str, Any]) -> None:
        file.write(json.dumps(reply).encode() + b"\n")
        file.flush()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(timeout=5)
        self._listener.close()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[FakeService]:
    fake = FakeService(tmp_path / "s")
    yield fake
    fake.close()


def watch_command(tmp_path: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "stagetwin", "watch", "plant.usda"),
        *("--socket", str(tmp_path / "s"), *more),
    ]


def test_without_a_terminal_one_plain_snapshot_is_printed(
    service: FakeService, tmp_path: Path
) -> None:
    done = subprocess.run(watch_command(tmp_path), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["/World/Line1/P101.flow", "43.21", "m3/h", "good", "0.2", "s"]
    assert [line[0].rpartition(".")[2] for line in lines] == ["flow", "running", "state", "level"]
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("TK101", "/World/Line1/TK101"),
        ("Line1/P101", "/World/Line1/P101"),
        ("line1/", "/World/Line1"),
        ("P101.flow", "/World/Line1/P101.flow"),
    ],
)
def test_the_end_of_a_path_is_enough(
    service: FakeService, tmp_path: Path, written: str, meant: str
) -> None:
    command = watch_command(tmp_path, written)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert service.asked == ["/", meant]


def test_what_ends_no_path_is_answered_with_those_that_are_near(
    service: FakeService, tmp_path: Path
) -> None:
    command = watch_command(tmp_path, "TK10")
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "ends in 'TK10'; there are /World/Line1/TK101, /World/Line1/TK101.level" in done.stderr


def test_an_ambiguous_end_is_answered_with_five_of_them() -> None:
    signals = [{"prim": f"/World/L{i}/P101", "signal": "flow[2]"} for i in range(7)]
    assert "/World/L3/P101.flow" in _paths(signals)
    with pytest.raises(ServiceError, match=r"7 paths: /World/L0/P101, .*/L4/P101 and 2 more"):
        _pick("P101", _paths(signals))


def test_without_a_service_there_is_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(watch_command(tmp_path), capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "no service listens" in done.stderr
    assert "Traceback" not in done.stderr


class Terminal:
    """A command on a pseudo-terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        # What a shell runs in the background ignores Ctrl-C, and so would all that it starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._main, self._side = pty.openpty()
        termios.tcsetwinsize(self._side, (24, 100))
        self.found = termios.tcgetattr(self._side)
        self.seen = ""
        self.process = subprocess.Popen(
            command,
            stdin=self._side,
            stdout=self._side,
            stderr=self._side,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )

    def until(self, text: str, timeout: float = 20.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} never came: {self.seen[-2000:]}"
            self._more(0.1)

    def _more(self, timeout: float) -> bool:
        """Take what was written; returns whether there was anything."""
        if not select.select([self._main], [], [], timeout)[0]:
            return False
        self.seen += os.read(self._main, 65536).decode(errors="replace")
        return True

    def press(self, keys: str) -> None:
        self.seen = ""
        os.write(self._main, keys.encode())

    def left(self) -> int:
        """Return the exit status; the terminal is as it was found, the full screen left."""
        deadline = time.monotonic() + 30
        # Read on, as terminals do: a command waits until what it wrote was taken.
        while (status := self.process.poll()) is None or self._more(0.2):
            assert time.monotonic() < deadline, f"it did not leave: {self.seen[-2000:]}"
            self._more(0.1)
        assert termios.tcgetattr(self._side) == self.found
        assert "\x1b[?1049l" in self.seen
        assert "\x1b[?25h" in self.seen
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._main)
        os.close(self._side)


@pytest.fixture
def terminal(service: FakeService, tmp_path: Path) -> Iterator[Terminal]:
    each = Terminal(watch_command(tmp_path))
    yield each
    each.close()


def test_a_terminal_shows_the_view_and_obeys_keys(terminal: Terminal) -> None:
    terminal.until("P101")
    assert "\x1b[?1049h" in terminal.seen
    terminal.press("s")
    terminal.until("sort: age")
    terminal.press("/level\r")
    terminal.until("filter: level")
    terminal.press(" ")
    terminal.until("paused")
    terminal.press("q")
    assert terminal.left() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_signals_leave_the_terminal_as_it_was(terminal: Terminal, number: int, status: int) -> None:
    terminal.until("P101")
    terminal.process.send_signal(number)
    assert terminal.left() == status


def test_the_end_of_the_service_ends_the_view_with_a_line(
    terminal: Terminal, service: FakeService
) -> None:
    terminal.until("P101")
    service.close()
    assert terminal.left() == 0
    assert "the service has stopped" in terminal.seen
