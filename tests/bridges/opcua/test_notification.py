"""Decoding of notifications, from bytes that asyncua made."""

from __future__ import annotations

import datetime
import math
import random
import struct
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_to_binary
from asyncua.ua.uaerrors import UaStatusCodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from stagetwin.ports import ChannelSpec, Reject, ValueKind
from stagetwin.signals import Samples, Status
from stagetwin_bridges.opcua._notification import Decoder, Published
from stagetwin_bridges.opcua._rows import Rows
from stagetwin_bridges.opcua._table import Table, by_address
from tests.bridges.conftest import channel

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def held(
    value: Any,
    kind: ua.VariantType = ua.VariantType.Double,
    status: int | None = 0,
    source: float | None = 1_700_000_000.5,
    server: float | None = None,
    picos: bool = False,
) -> ua.DataValue:
    """Return a value as a server publishes it; None is no value at all."""
    made = ua.DataValue(
        None if value is None else ua.Variant(value, kind),
        None if status is None else ua.StatusCode(ua.UInt32(status)),
    )
    for name, moment in (("SourceTimestamp", source), ("ServerTimestamp", server)):
        taken = None if moment is None else EPOCH + datetime.timedelta(seconds=moment)
        setattr(made, name, taken)
    if picos and source is not None:
        made.SourcePicoseconds = ua.UInt16(7)
    return made


def response(*values: tuple[int, ua.DataValue], sequence: int = 5) -> bytes:
    """Return the body of a publish response."""
    made = ua.PublishResponse()
    made.Parameters.SubscriptionId = ua.UInt32(3)
    made.Parameters.AvailableSequenceNumbers = [ua.UInt32(4), ua.UInt32(5)]
    made.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(sequence)
    if values:
        change = ua.DataChangeNotification()
        for handle, value in values:
            item = ua.MonitoredItemNotification()
            item.ClientHandle = ua.UInt32(handle)
            item.Value = value
            change.MonitoredItems.append(item)
        made.Parameters.NotificationMessage.NotificationData = [change]
    return struct_to_binary(made)


class Decoded:
    """A decoder, and what came of it."""

    def __init__(self, *channels: ChannelSpec) -> None:
        self.table = Table()
        for address, some in by_address(channels).items():
            self.table.make(address, some)
        self.rows = Rows()
        self.refused: list[tuple[int, Reject, str]] = []
        self.decoder = Decoder(
            self.table,
            self.rows,
            lambda c, reason, text: self.refused.append((c.index, reason, text)),
        )

    def read(self, body: bytes) -> Published:
        """Decode."""
        return self.decoder.read(Buffer(body))

    def take(self) -> Samples:
        """Return what was decoded."""
        samples = self.rows.take(10.0)
        assert samples is not None
        return samples


def numbers(count: int, kind: ValueKind = ValueKind.NUMBER) -> list[ChannelSpec]:
    """Return channels of nodes; handles count from 0, indices from 100."""
    return [channel(100 + row, f"i={row}", kind=kind) for row in range(count)]


@pytest.mark.parametrize("count", [1, 7, 8, 1000])
@pytest.mark.parametrize("picos", [False, True])
@pytest.mark.parametrize("server", [None, 1_700_000_001.25])
def test_numbers_of_one_layout(count: int, picos: bool, server: float | None) -> None:
    decoded = Decoded(*numbers(count))
    body = response(
        *[(row, held(row / 4, server=server, picos=picos)) for row in reversed(range(count))]
    )
    said = decoded.read(body)
    assert (said.subscription, said.sequence, said.alive_only) == (3, 5, False)
    assert not said.malformed
    samples = decoded.take()
    assert samples.channel.tolist() == [100 + row for row in reversed(range(count))]
    assert samples.value.tolist() == [row / 4 for row in reversed(range(count))]
    assert samples.source_time.tolist() == [1_700_000_000.5] * count
    assert np.isnan(samples.server_time).all() == (server is None)
    assert samples.receive_time.tolist() == [10.0] * count
    assert samples.objects == {}


NUMERIC = [
    (ua.VariantType.SByte, st.integers(-128, 127)),
    (ua.VariantType.Byte, st.integers(0, 255)),
    (ua.VariantType.Int16, st.integers(-(2**15), 2**15 - 1)),
    (ua.VariantType.UInt32, st.integers(0, 2**32 - 1)),
    (ua.VariantType.Int64, st.integers(-(2**63), 2**63 - 1)),
    (ua.VariantType.UInt64, st.integers(0, 2**64 - 1)),
    (ua.VariantType.Float, st.floats(width=32)),
    (ua.VariantType.Double, st.floats()),
]
one_value = st.one_of(
    [values.map(lambda value, kind=kind: (value, kind)) for kind, values in NUMERIC]
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(
            one_value,
            st.sampled_from([None, 0, 0x4000_0000, 0x8031_0000]),
            st.sampled_from([None, 1.5, 1_700_000_000.25]),
            st.sampled_from([None, 2.5]),
            st.integers(1, 12),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_numbers_of_any_layout_are_what_asyncua_reads(runs: list[Any]) -> None:
    sent = [
        held(value, kind, status, source, server)
        for (value, kind), status, source, server, length in runs
        for _ in range(length)
    ]
    decoded = Decoded(*numbers(len(sent)))
    assert not decoded.read(response(*enumerate(sent))).malformed
    samples = decoded.take()
    by_channel = {int(c) - 100: row for row, c in enumerate(samples.channel)}
    assert len(by_channel) == len(sent) == len(samples)
    for handle, value in enumerate(sent):
        row = by_channel[handle]
        status = value.StatusCode.value if value.StatusCode is not None else 0
        assert samples.status[row] == status
        expected: Any = value.Value.Value if value.Value is not None else None
        got = samples.objects.get(row, float(samples.value[row]))
        if status < 0x8000_0000:
            assert got == expected or (math.isnan(got) and math.isnan(expected))
        for name, column in (("Source", samples.source_time), ("Server", samples.server_time)):
            moment = getattr(value, f"{name}Timestamp")
            if moment is None:
                assert math.isnan(column[row])
            else:
                assert column[row] == pytest.approx((moment - EPOCH).total_seconds(), abs=1e-6)
    assert not decoded.refused


def test_nodes_of_several_kinds_at_once() -> None:
    channels = [
        channel(0, "i=0"),
        channel(1, "i=1", kind=ValueKind.BOOLEAN),
        channel(2, "i=2", kind=ValueKind.TEXT),
        channel(3, "i=3", "[1]"),
        channel(4, "i=4"),
        channel(5, "i=4", kind=ValueKind.INTEGER),
    ]
    decoded = Decoded(*channels)
    decoded.read(
        response(
            (0, held(1.5)),
            (1, held(True, ua.VariantType.Boolean)),
            (2, held("x", ua.VariantType.String)),
            (3, held([1.0, 2.0])),
            (4, held(7, ua.VariantType.Int16)),
            (99, held(1.0)),
        )
    )
    samples = decoded.take()
    assert samples.channel.tolist() == [0, 1, 2, 3, 4, 5]
    assert [samples.objects.get(row, v) for row, v in enumerate(samples.value.tolist())] == [
        *(1.5, 1.0, "x", 2.0, 7.0, 7.0)
    ]


def test_a_bad_status_needs_no_value_and_nothing_else_does_without() -> None:
    decoded = Decoded(*numbers(4), channel(9, "i=9", kind=ValueKind.COMPOSITE))
    decoded.read(
        response(
            (0, held(None, status=0x8031_0000)),
            (1, held(None, status=0x4000_0000)),
            (2, held(None, status=None, source=None)),
            (3, held(True, ua.VariantType.Boolean)),
            (4, held(None, status=0x8031_0000)),
        )
    )
    samples = decoded.take()
    bad = int(Status.BAD_TYPE_MISMATCH)
    assert samples.status.tolist() == [0x8031_0000, bad, bad, bad, 0x8031_0000]
    assert np.isnan(samples.value).all()
    assert [(index, reason) for index, reason, _ in decoded.refused] == [
        (row, Reject.TYPE_MISMATCH) for row in (101, 102, 103)
    ]


@pytest.mark.parametrize("count", [1, 20])
def test_overflows_are_counted(count: int) -> None:
    decoded = Decoded(*numbers(count))
    # The lower half tells of overflow only where its info type says that it is about data.
    flags = [0x480, 0x080] * count
    said = decoded.read(response(*[(row, held(1.0, status=flags[row])) for row in range(count)]))
    assert said.overflows == (count + 1) // 2
    assert decoded.take().status.tolist() == flags[:count]


def test_a_keep_alive_and_a_fault() -> None:
    decoded = Decoded()
    said = decoded.read(response(sequence=9))
    assert (said.alive_only, said.sequence) == (True, 9)
    assert decoded.rows.take(0.0) is None
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(0x8079_0000))
    with pytest.raises(UaStatusCodeError):
        decoded.read(struct_to_binary(fault))


def test_the_end_of_a_subscription() -> None:
    decoded = Decoded()
    made = ua.PublishResponse()
    change = ua.StatusChangeNotification()
    change.Status = ua.StatusCode(ua.UInt32(0x800A_0000))
    made.Parameters.NotificationMessage.NotificationData = [change]
    assert decoded.read(struct_to_binary(made)).ended == "BadTimeout"


def test_no_bytes_bring_it_down() -> None:
    generator = random.Random(7)
    body = response(
        *[(row, held(float(row))) for row in range(20)],
        (20, held("text", ua.VariantType.String)),
        (21, held([1.0, 2.0])),
    )
    start = len(response()) - 20
    for _ in range(2000):
        spoilt = bytearray(body)
        if generator.random() < 0.3:
            del spoilt[generator.randrange(start, len(spoilt)) :]
        else:
            for _ in range(generator.randint(1, 4)):
                spoilt[generator.randrange(start, len(spoilt))] = generator.randrange(256)
        decoded = Decoded(*numbers(22))
        said = decoded.read(bytes(spoilt))
        assert isinstance(said.malformed, str)
        samples = decoded.rows.take(0.0)
        assert samples is None or len(samples) <= 200


def test_a_count_beyond_the_bytes_is_malformed() -> None:
    decoded = Decoded(*numbers(10))
    body = bytearray(response(*[(row, held(float(row))) for row in range(10)]))
    at = body.rindex(struct.pack("<iI", 10, 0))
    body[at : at + 4] = struct.pack("<i", 2**31 - 1)
    said = decoded.read(bytes(body))
    assert said.malformed
