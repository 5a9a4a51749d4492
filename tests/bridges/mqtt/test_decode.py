"""From payloads to samples, without a wire."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Sequence
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Status
from stagetwin_bridges.fields import FieldPath
from stagetwin_bridges.mqtt._bridge import MqttBridge
from stagetwin_bridges.mqtt._client import Client, ClientSettings
from stagetwin_bridges.mqtt._decode import compile_topic
from stagetwin_bridges.mqtt._options import MqttOptions
from stagetwin_bridges.mqtt._output import Clockwork, Output, Reading
from stagetwin_bridges.mqtt._payload import parse
from stagetwin_bridges.mqtt._times import RelativeClock, SequenceCounter, source_time
from stagetwin_bridges.mqtt._values import RefusedError
from tests.bridges.conftest import channel, connection
from tests.bridges.recording_sink import RecordingSink

NUMBER, INTEGER, BOOLEAN, TEXT, COMPOSITE = (
    ValueKind.NUMBER,
    ValueKind.INTEGER,
    ValueKind.BOOLEAN,
    ValueKind.TEXT,
    ValueKind.COMPOSITE,
)


class Desk:
    """A decoder, and what it yields."""

    def __init__(self, channels: Sequence[ChannelSpec], reading: Reading | None = None) -> None:
        self.output = Output(1000)
        self.decode = compile_topic("t", channels, reading or Reading(), self.output, Clockwork())

    def take(self, payload: bytes, flags: int = 0x30, now: float = 1000.0) -> list[Any]:
        """Return channel and value of the samples of one payload."""
        self.decode(payload, flags, now)
        self.batch = self.output.buffer.take()
        if self.batch is None:
            return []
        pairs = zip(self.batch.channel.tolist(), self.batch.value.tolist(), strict=True)
        return [(c, self.batch.objects.get(row, v)) for row, (c, v) in enumerate(pairs)]

    @property
    def refused(self) -> dict[Reject, int]:
        return self.output.refused


def one(kind: ValueKind, encoding: str = "auto", field: str = "") -> Desk:
    return Desk([channel(0, "t", field, kind, encoding)])


@pytest.mark.parametrize(
    ("kind", "encoding", "field", "payload", "value"),
    [
        (NUMBER, "auto", "", b"21.5", 21.5),
        (NUMBER, "auto", "", b' "21.5" ', 21.5),
        (NUMBER, "auto", "", b" +21.5\n", 21.5),
        (NUMBER, "auto", "", b".5", 0.5),
        (NUMBER, "number", "", b"-1e3", -1000.0),
        (NUMBER, "text", "", b"7", 7.0),
        (NUMBER, "json", "", b"7", 7.0),
        (NUMBER, "auto", "a", b'{"a": 1, "b": [NaN]}', 1.0),
        (NUMBER, "auto", "a", b'{"a": "1.5"}', 1.5),
        (NUMBER, "auto", "a.b[1]", b'{"a": {"b": [0, 3]}}', 3.0),
        (NUMBER, "json", "[1]", b"[0, 3]", 3.0),
        (NUMBER, "auto", "a", b"\xef\xbb\xbf" + b'{"a": 4}', 4.0),
        (NUMBER, "auto", "a", b'{"a": 9007199254740993}', 9007199254740992.0),
        (NUMBER, "auto", "<h@1", b"\x00\xfe\xff", -2.0),
        (NUMBER, "struct", ">e", struct.pack(">e", 1.5), 1.5),
        (INTEGER, "auto", "", b"21", 21.0),
        (INTEGER, "auto", "a", b'{"a": 21.0}', 21.0),
        (INTEGER, "auto", "a", b'{"a": 9007199254740993}', 9007199254740993),
        (INTEGER, "auto", "", b"-9223372036854775808", -(2**63)),
        (INTEGER, "struct", "<Q", struct.pack("<Q", 2**64 - 1), 2**64 - 1),
        (BOOLEAN, "auto", "", b"true", 1.0),
        (BOOLEAN, "auto", "", b"OFF", 0.0),
        (BOOLEAN, "auto", "", b'"on"', 1.0),
        (BOOLEAN, "number", "", b"1", 1.0),
        (BOOLEAN, "auto", "a", b'{"a": 0}', 0.0),
        (BOOLEAN, "auto", "a", b'{"a": 1.0}', 1.0),
        (BOOLEAN, "struct", "<?", b"\x01", 1.0),
        (TEXT, "auto", "", b"hello", "hello"),
        (TEXT, "auto", "", b'"hello"', "hello"),
        (TEXT, "auto", "", b"21.5", "21.5"),
        (TEXT, "auto", "", b"", ""),
        (TEXT, "text", "", b'"hello"', '"hello"'),
        (TEXT, "auto", "a", b'{"a": "x"}', "x"),
        (TEXT, "struct", "<4s", b"ab\x00\x00", "ab"),
        (COMPOSITE, "auto", "", b"[1, 2.5]", [1, 2.5]),
        (COMPOSITE, "auto", "a", b'{"a": {"x": 1}}', {"x": 1}),
        (COMPOSITE, "struct", "<3f", struct.pack("<3f", 1, 2, 3), [1.0, 2.0, 3.0]),
    ],
)
def test_a_value_arrives(
    kind: ValueKind, encoding: str, field: str, payload: bytes, value: Any
) -> None:
    desk = one(kind, encoding, field)
    assert desk.take(payload) == [(0, value)]
    assert desk.refused == {}


@pytest.mark.parametrize(
    ("kind", "encoding", "field", "payload", "reason"),
    [
        (NUMBER, "auto", "", b"", Reject.MALFORMED),
        (NUMBER, "auto", "", b"abc", Reject.MALFORMED),
        (NUMBER, "auto", "", b"1_000", Reject.MALFORMED),
        (NUMBER, "auto", "", b"\xff", Reject.MALFORMED),
        (NUMBER, "auto", "", b'{"a": 1}', Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "", b"true", Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "", b"null", Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "", b"NaN", Reject.NOT_FINITE),
        (NUMBER, "auto", "", b"-inf", Reject.NOT_FINITE),
        (NUMBER, "auto", "", b"1e999", Reject.NOT_FINITE),
        (NUMBER, "auto", "", b"1" * 400, Reject.OUT_OF_RANGE),
        (NUMBER, "auto", "", b"1" * 1_000_000, Reject.OUT_OF_RANGE),
        (NUMBER, "auto", "", b"1" * 1_000_000 + b"x", Reject.OUT_OF_RANGE),
        (INTEGER, "number", "", b"-" + b"1" * 1_000_000, Reject.OUT_OF_RANGE),
        (INTEGER, "auto", "a", b'{"a": ' + b"1" * 4_000_000 + b"}", Reject.OUT_OF_RANGE),
        (COMPOSITE, "auto", "a", b'{"a": [' + b"1" * 4_000_000 + b"]}", Reject.OUT_OF_RANGE),
        (NUMBER, "auto", "a", b'{"a": 1', Reject.MALFORMED),
        (NUMBER, "auto", "a", b'{"a": 1}x', Reject.MALFORMED),
        (NUMBER, "auto", "a", b"[" * 100_000, Reject.MALFORMED),
        (NUMBER, "auto", "a", b'{"a": "\\ud800"}', Reject.MALFORMED),
        (NUMBER, "auto", "a", b'{"b": 1}', Reject.MISSING_FIELD),
        (NUMBER, "auto", "a", b"[1]", Reject.MISSING_FIELD),
        (NUMBER, "auto", "a", b'{"a": [1]}', Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "a", b'{"a": null}', Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "a", b'{"a": false}', Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "a", b'{"a": "12 m"}', Reject.TYPE_MISMATCH),
        (NUMBER, "auto", "a", b'{"a": NaN}', Reject.NOT_FINITE),
        (NUMBER, "auto", "a", b'{"a": 1e999}', Reject.NOT_FINITE),
        (NUMBER, "auto", "a", b'{"a": "Infinity"}', Reject.NOT_FINITE),
        (NUMBER, "struct", "<d", bytes(7), Reject.MALFORMED),
        (NUMBER, "struct", "<f", struct.pack("<f", math.inf), Reject.NOT_FINITE),
        (BOOLEAN, "auto", "a", b'{"a": 2}', Reject.TYPE_MISMATCH),
        (BOOLEAN, "auto", "a", b'{"a": "maybe"}', Reject.TYPE_MISMATCH),
        (BOOLEAN, "auto", "a", b'{"a": NaN}', Reject.NOT_FINITE),
        (TEXT, "auto", "a", b'{"a": 5}', Reject.TYPE_MISMATCH),
        (TEXT, "text", "", b"\xff", Reject.MALFORMED),
        (TEXT, "struct", "<2s", b"\xff\xff", Reject.MALFORMED),
        (COMPOSITE, "auto", "", b"5", Reject.TYPE_MISMATCH),
        (COMPOSITE, "auto", "a", b'{"a": [1, NaN]}', Reject.NOT_FINITE),
        (COMPOSITE, "auto", "a", b'{"a": {"x": [{"y": Infinity}]}}', Reject.NOT_FINITE),
        (COMPOSITE, "auto", "", b"[" * 33 + b"]" * 33, Reject.MALFORMED),
        (COMPOSITE, "auto", "", b"[" * 900 + b"]" * 900, Reject.MALFORMED),
        (COMPOSITE, "auto", "", b'{"a":' * 900 + b"1" + b"}" * 900, Reject.MALFORMED),
        (COMPOSITE, "auto", "", b"[" * 20_000 + b"]" * 20_000, Reject.MALFORMED),
        (NUMBER, "json", "", b"[" * 900 + b"]" * 900, Reject.TYPE_MISMATCH),
    ],
)
def test_a_value_that_is_none_is_counted(
    kind: ValueKind, encoding: str, field: str, payload: bytes, reason: Reject
) -> None:
    desk = one(kind, encoding, field)
    assert desk.take(payload) == []
    assert desk.refused == {reason: 1}
    example = desk.output.examples[reason]
    assert "/World/Pump_0, flow at t" in example
    assert "payload" in example
    assert len(example) < 400
    if field:
        assert f"field {field}" in example


def test_arrays_within_each_other_arrive_down_to_32() -> None:
    value = json.loads("[" * 32 + "1.5" + "]" * 32)
    assert one(COMPOSITE).take(json.dumps(value).encode()) == [(0, value)]


def test_a_payload_that_is_too_large_is_refused_unread(
    sink: RecordingSink, caplog: pytest.LogCaptureFixture
) -> None:
    options = MqttOptions.model_validate({"max_payload": "20"})
    settings = ClientSettings("h", 1883, "5", "", 10, True, 1)
    channels = [channel(0, "t", "a"), channel(1, "deep", "", COMPOSITE)]
    bridge = MqttBridge(
        connection("mqtt://h"), options, settings, channels, sink, lambda *_: MagicMock(spec=Client)
    )
    fits, exceeds = b'{"a": 1.5}'.ljust(20), b'{"a": 2.5}'.ljust(21)
    bridge.messages([(b"t", payload, 0x30, "") for payload in (fits, exceeds)])
    bridge.messages([(b"deep", b"[" * 10_000, 0x30, "")])
    bridge.drained()
    assert [batch.value.tolist() for batch in sink.batches] == [[1.5]]
    assert sink.counts == {Reject.MALFORMED: 2}
    assert sink.examples == ["t: expected at most 20 bytes of payload (option max_payload), got 21"]
    assert not caplog.records


@pytest.mark.parametrize(("given", "good"), [("1", True), ("268435455", True), ("0", False)])
def test_the_largest_payload_has_a_range(given: str, good: bool) -> None:
    assert MqttOptions().max_payload == 1_048_576
    with contextlib.nullcontext() if good else pytest.raises(ValueError, match="max_payload"):
        MqttOptions.model_validate({"max_payload": given})


def test_one_bad_field_does_not_cost_the_others() -> None:
    fields = ["a", "b", "c", "d.e", "f"]
    desk = Desk([channel(n, "t", field) for n, field in enumerate(fields)])
    good = b'{"a": 1, "b": 2, "c": 3, "d": {"e": 4}, "f": 5}'
    assert desk.take(good) == [(n, n + 1.0) for n in range(5)]
    assert desk.take(b'{"a": 1, "b": NaN, "c": "x", "d": 4, "f": "5"}') == [(0, 1.0), (4, 5.0)]
    assert desk.refused == {
        Reject.NOT_FINITE: 1,
        Reject.TYPE_MISMATCH: 1,
        Reject.MISSING_FIELD: 1,
    }
    assert desk.take(good) == [(n, n + 1.0) for n in range(5)]


def test_channels_of_all_encodings_share_a_topic() -> None:
    desk = Desk(
        [
            channel(0, "t", "a"),
            channel(1, "t", "a", INTEGER),
            channel(2, "t", "", TEXT, "text"),
            channel(3, "t", "<B@1", NUMBER, "struct"),
            channel(4, "t", "a"),
        ]
    )
    got = desk.take(b'{"a": 7}')
    assert sorted(got) == [(0, 7.0), (1, 7.0), (2, '{"a": 7}'), (3, 34.0), (4, 7.0)]


def test_paths_that_cannot_share_a_typed_reader_still_decode() -> None:
    desk = Desk([channel(0, "t", "a"), channel(1, "t", "a.b")])
    assert desk.take(b'{"a": {"b": 2}}') == [(1, 2.0)]
    assert desk.refused == {Reject.TYPE_MISMATCH: 1}


def test_a_retained_value_is_an_initial_one() -> None:
    for desk, payload in ((one(NUMBER), b"5"), (one(NUMBER, "auto", "a"), b'{"a": 5}')):
        desk.take(payload, 0x31)
        assert desk.batch is not None
        assert desk.batch.status.tolist() == [Status.UNCERTAIN_INITIAL_VALUE]


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        (1.5, "s", 1.5),
        (1500, "ms", 1.5),
        ("1500", "ms", 1.5),
        (1_500_000, "us", 1.5),
        (1_500_000_000, "ns", 1.5),
        ("1970-01-01T00:00:01.5Z", "iso", 1.5),
        ("1970-01-01 00:00:01.500", "iso", 1.5),
        ("1970-01-01T01:00:01.5+01:00", "iso", 1.5),
        (1.7e12, "s", None),
        ("yesterday", "iso", None),
        ("x", "s", None),
        (5, "iso", None),
        (True, "s", None),
        (None, "s", None),
        (10**400, "ns", None),
        (math.nan, "s", None),
    ],
)
def test_a_source_time_is_read(value: Any, unit: str, seconds: float | None) -> None:
    got = source_time(value, unit)
    assert math.isnan(got) if seconds is None else got == pytest.approx(seconds)


@pytest.mark.parametrize("fields", [["v"], ["v", "w"], ["v.x"]])
@pytest.mark.parametrize(("unit", "written"), [("ms", 5000), ("iso", "1970-01-01T00:00:05")])
def test_a_source_time_travels_with_its_values(fields: list[str], unit: str, written: Any) -> None:
    reading = Reading(FieldPath.parse("meta.ts"), unit)
    desk = Desk([channel(n, "t", field) for n, field in enumerate(fields)], reading)
    document: dict[str, Any] = {"meta": {"ts": written}}
    for field in fields:
        FieldPath.parse(field).place(document, 2)
    assert len(desk.take(json.dumps(document).encode())) == len(fields)
    assert desk.batch is not None
    assert desk.batch.source_time.tolist() == [5.0] * len(fields)
    assert desk.batch.receive_time.tolist() == [1000.0] * len(fields)


def test_values_without_a_readable_time_arrive_and_are_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk([channel(0, "t", "v")], Reading(FieldPath.parse("ts"), "s"))
    for payload in (b'{"v": 1}', b'{"v": 1, "ts": 1.7e12}', b'{"v": 1, "ts": null}'):
        assert desk.take(payload) == [(0, 1.0)]
        assert desk.batch is not None
        assert math.isnan(desk.batch.source_time[0])
    assert desk.refused == {}
    assert len(caplog.records) == 1
    assert "field ts has no source time in s, got nothing" in caplog.text


def test_a_relative_clock_never_runs_ahead() -> None:
    clock = RelativeClock()
    assert clock.place(10.0, 1000.0) == 1000.0
    assert clock.place(11.0, 1001.5) == 1001.0  # on its way for longer than the first
    assert clock.place(20.0, 1002.0) == 1002.0  # played ten times as fast
    assert clock.place(21.0, 1003.5) == 1003.0
    assert clock.place(0.5, 2000.0) == 2000.0  # started again
    assert math.isnan(clock.place(math.nan, 2001.0))


def test_a_sequence_counts_what_is_missing() -> None:
    counter = SequenceCounter()
    told = [
        counter.follow(value, again)
        for value, again in [
            (5, False),
            (6, False),
            (9, False),
            (9, False),
            (8, True),
            (10.0, False),
            ("x", False),
            (1, False),
            (2, False),
        ]
    ]
    assert told == [0, 0, 2, -1, -1, 0, 0, 0, 0]


def test_gaps_and_repetitions_are_counted_per_topic() -> None:
    reading = Reading(sequence=FieldPath.parse("n"))
    for fields in (["v"], ["v", "[1]"]):  # typed, and field by field
        desk = Desk([channel(n, "t", f) for n, f in enumerate(fields)], reading)
        assert desk.take(b'{"v": 1, "n": 1}')[0] == (0, 1.0)
        assert desk.take(b'{"v": 2, "n": 4}')[0] == (0, 2.0)
        assert desk.take(b'{"v": 2, "n": 4}', 0x3A) == []
        assert desk.take(b'{"v": 0, "n": 900}', 0x31)[0] == (0, 0.0)  # retained: of another time
        assert desk.take(b'{"v": 3, "n": 5}')[0] == (0, 3.0)
        assert desk.refused[Reject.LOST] == 2
        assert desk.refused[Reject.DUPLICATE] == 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["on", "21.5", "nan", "-inf", "1e999", "0", "true", "9007199254740993"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
KINDS = st.sampled_from(list(ValueKind))


def expected(value: Any, kind: ValueKind) -> Any:
    """Return what must arrive of a JSON value, None if nothing."""
    match kind:
        case ValueKind.TEXT:
            return value if isinstance(value, str) else None
        case ValueKind.COMPOSITE:
            if not isinstance(value, (list, dict)):
                return None
            text = json.dumps(value)
            return None if any(w in text for w in ("NaN", "Infinity")) else value
        case ValueKind.BOOLEAN:
            logic = {"true": 1.0, "on": 1.0, "1": 1.0, "false": 0.0, "off": 0.0, "0": 0.0}
            if isinstance(value, str):
                return logic.get(value.strip().lower())
            scalar = isinstance(value, (bool, int, float)) and value in (0, 1)
            return float(value) if scalar else None
    if isinstance(value, str):
        try:
            value = int(value) if "_" not in value else None
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    exact = isinstance(value, int) and abs(value) > 2**53 and kind is ValueKind.INTEGER
    return value if exact else float(value)


def same(got: Any, wanted: Any) -> bool:
    return got == wanted and type(got) is type(wanted)


@given(st.lists(st.tuples(JSON, KINDS), min_size=1, max_size=4), st.booleans())
def test_any_json_at_any_field_arrives_exactly_or_is_counted(
    fields: list[tuple[Any, ValueKind]], nested: bool
) -> None:
    prefix = "in." if nested else ""
    desk = Desk([channel(n, "t", f"{prefix}f{n}", kind) for n, (_, kind) in enumerate(fields)])
    inner = {f"f{n}": value for n, (value, _) in enumerate(fields)}
    payload = json.dumps({"in": inner} if nested else inner).encode()
    got = dict(desk.take(payload))
    wanted = {n: expected(value, kind) for n, (value, kind) in enumerate(fields)}
    wanted = {n: value for n, value in wanted.items() if value is not None}
    assert got.keys() == wanted.keys()
    for n, value in wanted.items():
        # What JSON keeps of a value: keys as text, no difference between kinds of lists.
        assert same(got[n], json.loads(json.dumps(value))), fields[n]
    assert sum(desk.refused.values()) == len(fields) - len(wanted)


@given(st.binary(max_size=40), KINDS, st.sampled_from(["auto", "json", "text", "struct"]))
def test_any_bytes_arrive_or_are_counted(payload: bytes, kind: ValueKind, encoding: str) -> None:
    field = {"struct": "<3s" if kind is ValueKind.TEXT else "<f@2"}.get(encoding, "")
    desk = one(kind, encoding, field)
    assert len(desk.take(payload)) + sum(desk.refused.values()) == 1


@given(JSON)
def test_what_is_parsed_is_what_was_written(value: Any) -> None:
    text = json.dumps(value)
    document = parse(text.encode())
    if "NaN" in text:
        assert json.dumps(document) == json.dumps(json.loads(text))
    else:
        assert document == json.loads(text)


def test_parse_refuses_what_is_no_json() -> None:
    for payload in (b"", b"{", b"\xff", b"[" * 100_000, b'"\\ud800"', b"{'a': 1}"):
        with pytest.raises(RefusedError, match="expected JSON") as caught:
            parse(payload)
        assert caught.value.reason is Reject.MALFORMED
    assert parse(msgspec.json.encode({"a": [1]})) == {"a": [1]}
