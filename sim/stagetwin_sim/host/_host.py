"""The process: frames of the service in, what models say out."""

from __future__ import annotations

import logging

import msgspec

from stagetwin import StagetwinError
from stagetwin.simulation import Line, wire
from stagetwin_sim.host._ahead import answer, fault_of, prepare
from stagetwin_sim.host._beside import Beside, model_rows, problem_rows
from stagetwin_sim.host._opening import Opened, open_plant

__all__ = ["Host"]

_log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Frames that are taken before the models have their turn."""


class Host:
    """What a simulator's process does, frame by frame.

    Args:
        line: to the service.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._opened: Opened | None = None
        self._request: wire.Open | None = None
        self._beside: Beside | None = None
        self._tables = 0

    def run(self) -> None:
        """Work until the service closes its end."""
        while not self._line.ended:
            timeout: float | None = self._beside.wait() if self._beside is not None else None
            for _ in range(_AT_ONCE):
                frame = self._line.take(timeout)
                if frame is None:
                    break
                self._obey(*frame)
                timeout = 0.0
            if self._beside is not None:
                self._beside.turn()

    def _obey(self, kind: wire.Kind, body: bytes) -> None:
        try:
            if kind is wire.Kind.OPEN:
                self._open(wire.decode(body, wire.Open))
            elif kind is wire.Kind.VALUES and self._beside is not None:
                self._beside.hear(wire.decode_columns(body))
            elif kind is wire.Kind.ASK:
                ask: wire.Ask = wire.decode(body, wire.Ask)
                self._line.say(wire.Kind.ANSWER, self._answer(ask))
        except (msgspec.MsgspecError, ValueError) as error:
            _log.error("a frame that cannot be read is passed over: %s", error)

    def _open(self, request: wire.Open) -> None:
        self._tables += 1
        fault: list[wire.Problem] = []
        try:
            with self._line.busy():
                opened = open_plant(request)
        except StagetwinError as error:
            _log.error("%s", error)
            fault = [wire.Problem("/", "", "unreadable", str(error))]
        else:
            self._opened, self._request = opened, request
        if self._opened is None or self._request is None:
            self._line.say(wire.Kind.TABLE, wire.Table(self._tables, problems=fault))
            return
        # A plant that cannot be read just now leaves the one before in place.
        plant = self._opened.plant
        if self._request.role == "beside":
            self._beside = Beside(
                self._line, self._request, self._opened, self._tables, self._beside
            )
            table = self._beside.table()
        else:
            table = wire.Table(
                number=self._tables,
                revision=plant.plan.revision,
                guards=self._opened.guards,
                models=model_rows(plant),
                problems=problem_rows(plant),
            )
        table.problems += fault
        table.version = self._request.version
        if self._request.role == "ahead":
            # Whoever waits for the table finds all loaded: no question's budget pays for it.
            prepare(self._line, plant, self._device)
        self._line.say(wire.Kind.TABLE, table)

    @property
    def _device(self) -> str:
        return (self._request.device if self._request is not None else "") or "cpu"

    def _answer(self, ask: wire.Ask) -> wire.Answer:
        if self._beside is None:
            plant = self._opened.plant if self._opened is not None else None
            return answer(self._line, plant, ask, self._device)
        if ask.operation != "present":
            text = f"beside the machine is asked for its present alone, got {ask.operation!r}"
            return wire.Answer(ask.number, fault=wire.Fault("unknown", text))
        try:
            result, data = self._beside.present(ask.given)
        except Exception as error:
            # Whoever asks is told; the models go on beside the machine.
            return wire.Answer(ask.number, fault=fault_of(error))
        return wire.Answer(ask.number, result, data)
