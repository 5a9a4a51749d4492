"""Addresses: every way to write one, and what a server's namespaces make of it."""

from __future__ import annotations

import uuid

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from stagetwin_bridges._errors import FieldError, NamespaceError
from stagetwin_bridges.opcua._address import Address, MethodAddress

UA = "http://opcfoundation.org/UA/"
SERVER = [UA, "urn:server", "http://plant", "http://a;b%3B"]


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("i=85", ua.NodeId(85, 0)),
        ("ns=0;i=2258", ua.NodeId(2258, 0)),
        ("ns=2;s=Pump 1;Speed=x", ua.NodeId("Pump 1;Speed=x", 2)),
        ("nsu=http://plant;s=Speed", ua.NodeId("Speed", 2)),
        (f"nsu={UA};i=85", ua.NodeId(85, 0)),
        ("nsu=http://a%3Bb%253B;i=1", ua.NodeId(1, 3)),
        ("ns=1;b=AQI=", ua.NodeId(b"\x01\x02", 1)),
        (
            "ns=1;g=12345678-1234-1234-1234-1234567890AB",
            ua.NodeId(uuid.UUID("12345678-1234-1234-1234-1234567890ab"), 1),
        ),
        ("ns=1;i=4294967295", ua.NodeId(4294967295, 1)),
    ],
)
def test_an_address_leads_to_its_node(text: str, node: ua.NodeId) -> None:
    address = Address.parse(text)
    assert address.resolve(SERVER) == node
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", "expected a NodeId such as nsu=http"),
        ("Pump.Speed", "expected a NodeId such as nsu=http"),
        ("s=", "expected a NodeId such as nsu=http"),
        ("ns=x;s=Speed", "expected a NodeId such as nsu=http"),
        ("nsu=;s=Speed", "expected a NodeId such as nsu=http"),
        ("svr=1;ns=2;s=Speed", "expected a NodeId such as nsu=http"),
        ("ns=70000;s=Speed", "from 0 to 65535"),
        ("i=4294967296", "from 0 to 4294967295"),
        ("i=-1", "from 0 to 4294967295"),
        ("i=١", "from 0 to 4294967295"),
        ("g=1234", "8-4-4-4-12"),
        ("b=***", "base64"),
        ("s=a\nb", "no control characters"),
        ("s=" + "x" * 5000, "at most 4096"),
    ],
)
def test_a_malformed_address_names_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(FieldError, match=allowed):
        Address.parse(text)


def test_a_namespace_that_the_server_has_not_is_told_with_those_it_has() -> None:
    with pytest.raises(NamespaceError, match=r"no namespace 'http://gone'; it has .*http://plant"):
        Address.parse("nsu=http://gone;s=Speed").resolve(SERVER)
    with pytest.raises(NamespaceError, match="has 4 namespaces"):
        Address.parse("ns=4;s=Speed").resolve(SERVER)


def test_a_uri_survives_a_new_order_of_the_namespaces() -> None:
    address = Address.parse("nsu=http://plant;s=Speed")
    assert address.uri == "http://plant"
    assert address.resolve([UA, "http://plant"]).NamespaceIndex == 1


_PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(
    st.builds(
        Address,
        st.one_of(
            st.integers(0, 2**32 - 1),
            _PRINTABLE,
            st.uuids(),
            st.binary(min_size=1, max_size=20),
        ),
        _PRINTABLE,
    )
)
def test_what_an_address_says_of_itself_is_read_back(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert address.resolve(["", address.uri]).NamespaceIndex == (address.uri != "")


def test_a_method_is_named_by_its_object_and_itself() -> None:
    address = MethodAddress.parse("ns=2;s=Pump 1 nsu=http://plant;s=Set Speed")
    assert address.on == Address("Pump 1", index=2)
    assert address.method == Address("Set Speed", uri="http://plant")
    assert MethodAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("ns=2;s=Pump", "the object's NodeId, one space, and the method's"),
        ("ns=2;s=Pump  ns=2;s=Set s=x", "two NodeIds, got 3"),
        ("Pump ns=2;s=Set", "expected a NodeId"),
    ],
)
def test_a_malformed_method_names_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(FieldError, match=allowed):
        MethodAddress.parse(text)
