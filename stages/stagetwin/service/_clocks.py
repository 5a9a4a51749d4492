"""The declared clock of a service, and whose times it may be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stagetwin._errors import ServiceError
from stagetwin.bindings import BindingTable
from stagetwin.clock import AcceleratedClock, Clock, ReplayClock, WallClock
from stagetwin.ports import ConnectionSpec
from stagetwin.service._config import ServiceConfig
from stagetwin.signals import Samples

__all__ = ["clock_of", "refusal", "refuse_plants", "retiming"]


def clock_of(config: ServiceConfig) -> Clock:
    """Return the clock that a service declares.

    Raises:
        ServiceError: a time that is not the machine's would command, or a rate is of no use.
    """
    if config.clock != "wall" and config.allow_commands:
        raise ServiceError(
            f"with the clock {config.clock} nothing is commanded: devices live in the time of the "
            "wall; leave out --allow-commands, or --clock"
        )
    if config.clock == "accelerated":
        return AcceleratedClock(config.rate)
    if config.rate != 1.0:
        raise ServiceError(
            f"a rate is for the clock accelerated; the clock is {config.clock}, got {config.rate:g}"
        )
    return ReplayClock() if config.clock == "replay" else WallClock()


def refusal(config: ServiceConfig, connection: ConnectionSpec) -> str:
    """Return why a connection is not used with the declared clock; empty if it may be."""
    if config.clock == "wall" or connection.realm != "plant":
        return ""
    return f"a plant lives in the time of the wall, the clock here is {config.clock}"


def refuse_plants(config: ServiceConfig, table: BindingTable) -> None:
    """Refuse a stage that binds a plant where the clock is not the wall's.

    Raises:
        ServiceError: it does; the connection is named.
    """
    bound = {binding.connection for binding in table.telemetry.values()}
    bound |= {command.connection for command in table.commands}
    for name in sorted(bound & table.connections.keys()):
        if why := refusal(config, table.connections[name]):
            raise ServiceError(f"connection {name!r} ({table.connections[name].prim}): {why}")


def retiming(clock: Clock, connection: ConnectionSpec) -> Callable[[Samples], None] | None:
    """Return what brings samples of a connection into the time of a clock; None for the wall."""
    if isinstance(clock, AcceleratedClock):
        return lambda batch: _accelerate(clock, batch)
    if isinstance(clock, ReplayClock):
        recorded = connection.realm == "replay"
        return lambda batch: _replay(clock, batch, recorded)
    return None


def _accelerate(clock: AcceleratedClock, batch: Samples) -> None:
    batch.receive_time = clock.of(batch.receive_time)
    batch.source_time = clock.of(batch.source_time)
    batch.server_time = clock.of(batch.server_time)


def _replay(clock: ReplayClock, batch: Samples, recorded: bool) -> None:
    """A recording moves the clock; all else was so when it arrived, in the recording's time."""
    if not recorded:
        batch.source_time = np.full(len(batch), np.nan)
    clock.hear(batch.source_time)
    batch.server_time = np.full(len(batch), np.nan)
    timed = np.isfinite(batch.source_time)
    batch.receive_time = np.where(timed, batch.source_time, clock.wall())
