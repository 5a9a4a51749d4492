"""Prometheus metrics on a loopback listener."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stagetwin._errors import ServiceError
from stagetwin.alarms import PRIORITIES

__all__ = ["MetricsListener", "MetricsSnapshot", "metrics_text"]


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """What the owner of the stage publishes once a second; the listener's thread only reads it.

    Attributes:
        health: by attribute name of the health prim.
        rejections: count by (connection, reason).
        connections: by name, state and restarts.
        binding_errors: bindings that cannot run.
        unreadable_files: files of the stage whose newest content cannot be read.
        commands: commands by their end.
        open_commands: commands on their way.
        ledger_broken: whether the ledger of commands is unfit, so that nothing leaves.
        alarms: active ones by priority; unacknowledged, shelved and suppressed ones.
        models: how models and simulators do, as in a status.
    """

    health: Mapping[str, float] = field(default_factory=dict)
    rejections: Mapping[tuple[str, str], int] = field(default_factory=dict)
    connections: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    binding_errors: int = 0
    unreadable_files: int = 0
    commands: Mapping[str, int] = field(default_factory=dict)
    open_commands: int = 0
    ledger_broken: bool = False
    alarms: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)


_COUNTERS = {
    "received": "Samples received",
    "applied": "Samples whose value was written to the stage",
    "superseded": "Samples overtaken by a newer one within a tick",
    "late": "Samples older than one already applied",
}
_GAUGES = {
    "lagP50": ("lag_p50_seconds", "Median time from receipt to the stage over the last second"),
    "lagP99": ("lag_p99_seconds", "99th percentile of the same"),
    "oldestAge": ("oldest_signal_age_seconds", "Age of the signal that has waited longest"),
    "signals": ("signals", "Signals bound"),
    "stale": ("signals_stale", "Signals whose quality is stale"),
    "tickTime": ("tick_seconds_max", "Longest tick over the last second"),
}


class _Collector(Collector):
    def __init__(self, read: Callable[[], MetricsSnapshot]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        snapshot = self._read()
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(
                f"stagetwin_samples_{name}", text, value=snapshot.health.get(name, 0.0)
            )
        for name, (metric, text) in _GAUGES.items():
            yield GaugeMetricFamily(
                f"stagetwin_{metric}", text, value=snapshot.health.get(name, 0.0)
            )
        yield GaugeMetricFamily(
            "stagetwin_binding_errors", "Bindings that cannot run", value=snapshot.binding_errors
        )
        yield GaugeMetricFamily(
            "stagetwin_unreadable_files",
            "Files of the stage whose newest content cannot be read; the last good one runs",
            value=snapshot.unreadable_files,
        )
        ended = CounterMetricFamily(
            "stagetwin_commands", "Commands that ended, by their end", labels=("end",)
        )
        for end, count in sorted(snapshot.commands.items()):
            ended.add_metric((end,), count)
        yield ended
        yield GaugeMetricFamily(
            "stagetwin_commands_open", "Commands on their way", value=snapshot.open_commands
        )
        yield GaugeMetricFamily(
            "stagetwin_ledger_broken",
            "1 while the ledger of commands cannot be written or used: nothing leaves",
            value=float(snapshot.ledger_broken),
        )
        yield from _alarm_metrics(snapshot.alarms)
        yield from _model_metrics(snapshot.models)
        rejected = CounterMetricFamily(
            "stagetwin_rejected",
            "Messages and samples not used, by reason",
            labels=("connection", "reason"),
        )
        for (connection, reason), count in sorted(snapshot.rejections.items()):
            rejected.add_metric((connection, reason), count)
        yield rejected
        online = GaugeMetricFamily(
            "stagetwin_connection_online", "1 while a connection is online", labels=("connection",)
        )
        restarts = CounterMetricFamily(
            "stagetwin_bridge_restarts",
            "Restarts of a connection's bridge process",
            labels=("connection",),
        )
        for name, (state, count) in sorted(snapshot.connections.items()):
            online.add_metric((name,), float(state == "online"))
            restarts.add_metric((name,), count)
        yield online
        yield restarts


def _alarm_metrics(counts: Mapping[str, int]) -> Iterator[Metric]:
    active = GaugeMetricFamily(
        "stagetwin_alarms_active", "Alarms that stand on the list", labels=("priority",)
    )
    for priority in PRIORITIES:
        active.add_metric((priority,), counts.get(priority, 0))
    yield active
    for name, text in (
        ("unacknowledged", "Alarms that wait for somebody to acknowledge them"),
        ("shelved", "Alarms put aside by a person"),
        ("suppressed", "Alarms put aside by design, or under another one"),
    ):
        yield GaugeMetricFamily(f"stagetwin_alarms_{name}", text, value=counts.get(name, 0))


def _model_metrics(models: Mapping[str, Any]) -> Iterator[Metric]:
    states = GaugeMetricFamily("stagetwin_models", "Models by their state", labels=("state",))
    for state, count in sorted(models.get("states", {}).items()):
        states.add_metric((state,), count)
    yield states
    role = ("role",)
    up = GaugeMetricFamily("stagetwin_simulator_running", "1 while a simulator runs", labels=role)
    restarts = CounterMetricFamily(
        "stagetwin_simulator_restarts", "Restarts of a simulator's process", labels=role
    )
    factor = GaugeMetricFamily(
        "stagetwin_simulator_real_time_factor",
        "Seconds of the plant that a simulator can do in a second",
        labels=role,
    )
    lag = GaugeMetricFamily(
        "stagetwin_simulator_lag_seconds", "How far a simulator is behind the clock", labels=role
    )
    for name, row in sorted(models.get("simulators", {}).items()):
        up.add_metric((name,), float(row["state"] == "running"))
        restarts.add_metric((name,), row["restarts"])
        if row["factor"] is not None:
            factor.add_metric((name,), row["factor"])
            lag.add_metric((name,), row["lag"])
    yield from (up, restarts, factor, lag)


def metrics_text(snapshot: MetricsSnapshot) -> str:
    """Return metrics as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Collector(lambda: snapshot))
    return generate_latest(registry).decode()


class MetricsListener:
    """Serves `/metrics` on 127.0.0.1."""

    def __init__(self, port: int, read: Callable[[], MetricsSnapshot]) -> None:
        registry = CollectorRegistry()
        registry.register(_Collector(read))
        self._server: WSGIServer
        self._thread: threading.Thread
        try:
            self._server, self._thread = start_http_server(
                port, addr="127.0.0.1", registry=registry
            )
        except OSError as error:
            raise ServiceError(
                f"metrics cannot listen at 127.0.0.1:{port}: {error.strerror}"
            ) from None

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
