"""Where the demo's connections lead: its own broker, and servers on free ports of this host."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import quote, urlsplit

from stagetwin.bindings import BindingTable
from stagetwin.ports import ConnectionSpec, scheme_of
from stagetwin_bridges.broker import LocalBroker
from stagetwin_bridges.commands._fleet_cast import is_fleet

__all__ = ["SERVED", "endpoints_at"]

SERVED = "opc.tcp"
"""Scheme of the connections whose devices are servers of their own; others share the broker."""
_SECURITY_OPTIONS = ("policy", "trust")
"""Options that ask for a certificate, which made-up servers have none of."""


def endpoints_at(broker: LocalBroker, table: BindingTable) -> dict[str, str]:
    """Return an address on this host for every connection, with the options that it has.

    Args:
        broker: what runs.
        table: the plant's bindings.
    """
    endpoints: dict[str, str] = {}
    served = [n for n, s in table.connections.items() if scheme_of(s.endpoint) == SERVED]
    ports = dict(zip(served, _free_ports(len(served)), strict=True))
    for name, spec in sorted(table.connections.items()):
        options = spec.endpoint.partition("?")[2].split("&")
        if name in ports:
            kept = [o for o in options if o.partition("=")[0] not in _SECURITY_OPTIONS]
            endpoints[name] = f"opc.tcp://127.0.0.1:{ports[name]}/?{'&'.join(kept)}"
            continue
        if is_fleet(spec):
            endpoints[name] = _fleet_endpoint(spec, broker)
            continue
        # Options of another protocol mean nothing here; an empty query keeps them out.
        if not spec.endpoint.startswith("mqtt"):
            options = []
        if broker.kind == "nats":
            # It grants 65535 unacknowledged messages a session, 1024 a subscription: 63 of
            # them. So one for each area of the plant, in place of one a topic.
            topics = {channel.address for channel in table.channels(name)}
            options += sorted({f"subscribe={quote(_area(topic))}" for topic in topics})
        uri = broker.endpoint("&".join(filter(None, options)))
        endpoints[name] = uri if "?" in uri else f"{uri}?"
    return endpoints


def _fleet_endpoint(spec: ConnectionSpec, broker: LocalBroker) -> str:
    """Return a fleet's endpoint at this broker, with the interface and options that it has."""
    parts = urlsplit(spec.endpoint)
    options = [o for o in parts.query.split("&") if o]
    if broker.kind == "nats":
        options = [o for o in options if o.partition("=")[0] not in ("mqtt", "subscribe")]
        # One filter, since it grants few; see above.
        options += ["mqtt=3.1.1", f"subscribe={quote(parts.path.strip('/'))}/%23"]
    return f"vda5050+mqtt://127.0.0.1:{broker.port}{parts.path}?{'&'.join(options)}"


def _free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody listens on at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _area(topic: str) -> str:
    """Return the filter of all topics that share the first two levels, of a shorter one itself."""
    levels = topic.split("/")
    return "/".join([*levels[:2], "#"]) if len(levels) > 2 else topic
