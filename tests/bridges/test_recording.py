"""Recorded files, and playing them."""

from __future__ import annotations

import datetime
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

import stagetwin_bridges.recording as module
from stagetwin.ports import ValueKind
from stagetwin_bridges import RecordingError
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.recording import Played, Recording, play
from tests.bridges.conftest import MakeBridge, MakePublisher, channel
from tests.bridges.recording_sink import RecordingSink, eventually

SKAB = Path(__file__).resolve().parents[3] / "shared" / "data" / "skab" / "valve1" / "0.csv"


class Log:
    """`Publisher` that writes down."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, float]] = []

    def publish(
        self, address: str, payload: Mapping[str, Any] | float | str, *, time: float
    ) -> None:
        self.sent.append((address, payload, time))

    def drain(self, timeout: float) -> int:
        return 0

    def close(self) -> None:
        pass


def save(folder: Path, text: str, name: str = "pump.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", [";", ",", "\t", "|"])
def test_any_delimiter_and_quotes(mark: str, tmp_path: Path) -> None:
    lines = [
        ["time", f'"Volume{mark} Flow"', "state", "n"],
        ["2020-03-09 10:14:33", "1.5", f'"a{mark}""b"""', "7"],
        ["2020-03-09 10:14:34", "-2e3", "", "nan"],
    ]
    recording = Recording.open(save(tmp_path, "\n".join(mark.join(line) for line in lines)))
    assert recording.columns == (f"Volume{mark} Flow", "state", "n")
    assert recording.row(0) == {f"Volume{mark} Flow": 1.5, "state": f'a{mark}"b"', "n": 7}
    assert recording.row(1) == {f"Volume{mark} Flow": -2000.0}
    assert (recording.row_count, len(recording), recording.missing) == (2, 2, 2)
    assert recording.times.tolist() == [1583748873.0, 1583748874.0]


@pytest.mark.parametrize(
    ("cells", "form", "first", "step"),
    [
        (["2020-03-09T10:14:33Z", "2020-03-09T10:14:34Z"], "iso", 1583748873.0, 1.0),
        (
            ["2020-03-09 12:14:33.25+02:00", "2020-03-09 12:14:33.5+02:00"],
            "iso",
            1583748873.25,
            0.25,
        ),
        (["1583748873", "1583748874"], "s", 1583748873.0, 1.0),
        (["1583748873250", "1583748873500"], "ms", 1583748873.25, 0.25),
        (["1583748873250000", "1583748873500000"], "us", 1583748873.25, 0.25),
        (["1583748873250000000", "1583748873500000000"], "ns", 1583748873.25, 0.25),
        (["0", "0.5"], "relative", 0.0, 0.5),
    ],
)
def test_times_are_found_and_said(
    cells: list[str], form: str, first: float, step: float, tmp_path: Path
) -> None:
    text = "v;Timestamp\n" + "".join(f"1;{cell}\n" for cell in cells)
    recording = Recording.open(save(tmp_path, text))
    assert (recording.time_column, recording.time_format) == ("Timestamp", form)
    assert recording.times.tolist() == pytest.approx([first, first + step], abs=1e-6)


def test_a_column_of_dates_tells_the_time_by_any_name(tmp_path: Path) -> None:
    path = save(tmp_path, "v,Zeitpunkt,w\n1,2020-03-09,2\n")
    assert Recording.open(path).time_column == "Zeitpunkt"
    assert Recording.open(path, "w").time_format == "relative"


def test_rows_without_a_time_are_counted(tmp_path: Path) -> None:
    path = save(tmp_path, "time,v\n2020-03-09,1\n,2\nsoon,3\n\n2020-03-10,\n")
    recording = Recording.open(path)
    assert (recording.row_count, recording.untimed, recording.missing) == (2, 2, 1)
    assert [recording.row(n) for n in range(2)] == [{"v": 1}, {}]


def test_a_decimal_comma_is_understood_where_it_can_be_one(tmp_path: Path) -> None:
    path = save(tmp_path, "\ufefftime;v\n2020-03-09;1,5\n2020-03-10;1_000\n2020-03-11;inf\n")
    recording = Recording.open(path)
    assert [recording.row(n) for n in range(3)] == [{"v": 1.5}, {"v": "1_000"}, {}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names the columns"),
        ("a,b\n1,2\n", "no column tells the time; name one of a, b"),
        ("time,a,a\n1,2,3\n", "named twice: a"),
        ("time,a\n2020-03-09,1\n2020-03-09,1,2\n", "line 3: expected 2 cells, got 3"),
        ("time,a\nsoon,1\n", "no row of column 'time'"),
    ],
)
def test_a_file_that_is_none_is_explained(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=problem):
        Recording.open(save(tmp_path, text))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"expected one of \.csv"):
        Recording.open(save(tmp_path, "", "pump.xlsx"))
    with pytest.raises(RecordingError, match="No such file"):
        Recording.open(tmp_path / "none.csv")
    with pytest.raises(RecordingError, match=r"No such file|expected Parquet"):
        Recording.open(tmp_path / "none.parquet")
    with pytest.raises(RecordingError, match="expected Parquet"):
        Recording.open(save(tmp_path, "time,a\n", "pump.parquet"))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("time,Größe\n".encode("latin-1"))
    with pytest.raises(RecordingError, match="expected UTF-8"):
        Recording.open(latin)
    with pytest.raises(RecordingError, match="no column 'x'; there are time, a"):
        Recording.open(save(tmp_path, "time,a\n1,2\n"), "x")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_is_read(unit: str, zone: str | None, tmp_path: Path) -> None:
    moments = [datetime.datetime(2020, 3, 9, 10, 14, 33 + n, tzinfo=datetime.UTC) for n in (0, 1)]
    table = pa.table(
        {
            "flow": pa.array([1.5, math.nan]),
            "count": pa.array([None, 2**60], pa.int64()),
            "on": [True, False],
            "state": ["a", None],
            "price": pa.array([1, 2], pa.decimal128(5, 2)),
            "day": [datetime.date(2020, 3, 9)] * 2,
            "when": pa.array(moments, pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone)),
            "list": [[1, 2], [3]],
        }
    )
    path = tmp_path / "pump.parquet"
    pyarrow.parquet.write_table(table, path)
    recording = Recording.open(path, "when")
    assert recording.times.tolist() == [1583748873.0, 1583748874.0]
    assert recording.time_format == "iso"
    assert recording.row(0) == {
        "flow": 1.5,
        "on": True,
        "state": "a",
        "price": 1.0,
        "day": "2020-03-09",
        "list": [1, 2],
    }
    assert recording.row(1)["count"] == 2**60
    assert recording.missing == 3


def test_bytes_in_parquet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "pump.parquet"
    pyarrow.parquet.write_table(pa.table({"time": [1.0], "raw": [b"x"]}), path)
    with pytest.raises(RecordingError, match="column 'raw' holds bytes"):
        Recording.open(path)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    rows = "".join(f"{1_600_000_000 + n / 50},{n},{'' if n == 3 else f's{n}'}\n" for n in range(10))
    return Recording.open(save(tmp_path, f"time,v,Water +/#\n{rows}"))


class Clock(threading.Event):
    """Time that passes only by waiting for this event, and by publishing."""

    def __init__(self, publishing: float = 0.0) -> None:
        super().__init__()
        self.now = 50.0
        self.publishing = publishing
        self.sent: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 2e9 + self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return self.is_set()

    def publisher(self) -> Log:
        outer = self

        class Slow(Log):
            def publish(self, *args: Any, **more: Any) -> None:
                super().publish(*args, **more)
                outer.sent.append(outer.now - 50.0)
                outer.now += outer.publishing

        return Slow()


@pytest.mark.parametrize("publishing", [0.0, 0.015])
@pytest.mark.parametrize("speed", [1.0, 0.5])
def test_rows_are_played_at_their_pace_without_drift(
    publishing: float, speed: float, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(publishing)
    monkeypatch.setattr(module, "clock", clock)
    log = clock.publisher()
    played = play(recording, log, speed=speed, interrupt=clock)
    assert played == Played(10, 10, 19, 1, 0)
    assert clock.sent == pytest.approx([n / 50 / speed for n in range(10)], abs=1e-6)
    assert [topic for topic, _, _ in log.sent] == ["replay/pump"] * 10
    assert log.sent[3] == ("replay/pump", {"v": 3}, recording.times[3])
    assert log.sent[4][1] == {"v": 4, "Water +/#": "s4"}
    assert [taken for _, _, taken in log.sent] == recording.times.tolist()


def test_what_is_late_is_sent_at_once_and_the_pace_is_found_again(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(0.05)
    monkeypatch.setattr(module, "clock", clock)
    play(recording, clock.publisher(), stop=0.09, interrupt=clock)
    assert clock.sent == pytest.approx([0, 0.05, 0.1, 0.15, 0.2], abs=1e-6)


def test_speed_part_and_topics(recording: Recording) -> None:
    log = Log()
    progress: list[tuple[int, int, float]] = []
    played = play(
        recording,
        log,
        "plant/{stem}/{column}",
        speed=0,
        start=0.03,
        stop=0.09,
        on_progress=lambda *args: progress.append(args),
    )
    assert played == Played(3, 5, 5, 1, 0)
    assert [(topic, value) for topic, value, _ in log.sent] == [
        ("plant/pump/v", 2),
        ("plant/pump/Water ___", "s2"),
        ("plant/pump/v", 3),
        ("plant/pump/v", 4),
        ("plant/pump/Water ___", "s4"),
    ]
    assert progress[0][:2] == (1, 3)
    assert progress[-1][:2] == (3, 3)


@pytest.mark.parametrize("speed", [4.0, math.inf])
def test_times_may_be_those_of_the_play(recording: Recording, speed: float) -> None:
    log = Log()
    before = time.time()
    play(recording, log, speed=speed, rebase=True)
    times = [t for _, _, t in log.sent]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= time.time() + 0.001


def test_a_loop_goes_on_until_it_is_interrupted(recording: Recording) -> None:
    log = Log()
    interrupt = threading.Event()

    def stop(done: int, _all: int, _time: float) -> None:
        if done > 25:
            interrupt.set()

    played = play(recording, log, speed=5, loop=True, on_progress=stop, interrupt=interrupt)
    assert played.rows > 25
    times = [t for _, _, t in log.sent]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"topic": "a/{prim}"}, r"unknown \{prim\}; allowed: \{stem\}, \{column\}"),
        ({"topic": "a/{"}, "topic 'a/{'"),
        ({"start": 5.0}, "no row from 5 s"),
    ],
)
def test_a_play_that_cannot_be_is_explained(
    recording: Recording, more: dict[str, Any], problem: str
) -> None:
    with pytest.raises(RecordingError, match=problem):
        play(recording, Log(), **more)


@pytest.mark.skipif(
    not SKAB.exists() and os.environ.get("CI") != "true",
    reason="the recorded pump test bed is not beside the checkout",
)
def test_a_real_pump_arrives_row_by_row(
    shared_broker: LocalBroker,
    root: str,
    sink: RecordingSink,
    make_bridge: MakeBridge,
    make_publisher: MakePublisher,
) -> None:
    recording = Recording.open(SKAB)
    assert recording.columns[:2] == ("Accelerometer1RMS", "Accelerometer2RMS")
    assert (recording.time_column, recording.time_format) == ("datetime", "iso")
    assert recording.untimed == recording.missing == 0
    query = "time=ts&sequence=n"
    channels = [
        channel(n, f"{root}/0", json.dumps([name])) for n, name in enumerate(recording.columns)
    ]
    text = channel(99, f"{root}/0", kind=ValueKind.TEXT, encoding="text")
    make_bridge(shared_broker, *channels, text, query=query)
    publisher = make_publisher(shared_broker, query, realm="replay")
    played = play(recording, publisher, f"{root}/{{stem}}", speed=0)
    count = recording.row_count
    assert played == Played(count, count, count * len(channels), 0, 0)
    eventually(lambda: sink.rows == count * (len(channels) + 1))
    assert not sink.counts
    for n, name in enumerate(recording.columns):
        assert sink.of(n) == [float(recording.row(row)[name]) for row in range(count)]
    first = json.loads(sink.of(99)[0])
    assert first["ts"] == recording.times[0]
    times = {c: [] for c in range(len(channels))}
    for c, t in zip(sink.column("channel"), sink.column("source_time"), strict=True):
        times.setdefault(int(c), []).append(t)
    assert all(times[c] == recording.times.tolist() for c in range(len(channels)))
