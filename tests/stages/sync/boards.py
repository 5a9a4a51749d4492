"""Boards with values, and what their frames say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from stagetwin.sync import (
    Board,
    Frame,
    SectionKind,
    Selection,
    decode_frame,
)

NOW = 1_780_000_000.0


def row(path: str, type_name: str = "double", **more: Any) -> dict[str, Any]:
    prim, _, signal = path.partition(".")
    target = f"{prim}.twin:telemetry:{signal}:value"
    return {
        "path": path,
        "prim": prim,
        "signal": signal,
        "element": -1,
        "target": target,
        "type": type_name,
        **more,
    }


def board_of(*rows: dict[str, Any], **more: Any) -> Board:
    board = Board()
    board.table(rows, **more)
    return board


def put(board: Board, tick: int, values: dict[int, Any], **more: Any) -> None:
    """Take values of channels, numbers as numbers and the rest as objects; all are good."""
    rows = np.array(list(values))
    numbers = [
        v if isinstance(v, (int, float)) and abs(v) < 2**53 else math.nan for v in values.values()
    ]
    objects = {i: v for i, v in enumerate(values.values()) if math.isnan(numbers[i])}
    board.update(
        tick,
        NOW + tick,
        rows,
        np.array(numbers, np.float64),
        objects=objects,
        times=np.full(len(rows), NOW + tick - 0.5),
        qualities=np.zeros(len(rows), np.uint8),
        status=np.zeros(len(rows), np.uint32),
        **more,
    )


def told(frame: Frame) -> dict[tuple[str, int], Any]:
    """Return what a frame says, by kind of rows and row."""
    found: dict[tuple[str, int], Any] = {}
    for section in frame.sections:
        if section.kind is SectionKind.INSTANCER:
            found["instances", int(section.rows[0])] = np.asarray(section.values).tolist()
            continue
        whose = "mover" if section.kind >= SectionKind.MOVER_POSE else "channel"
        values = section.values
        listed = [None] * len(section.rows) if values is None else list(values)
        for place, number in enumerate(section.rows.tolist()):
            value = listed[place]
            found[whose, number] = value.tolist() if isinstance(value, np.ndarray) else value
    return found


def asked(board: Board, selection: Selection, since: int) -> dict[tuple[str, int], Any]:
    """Return what a client is sent, decoded."""
    data = board.encoded(selection, since)
    return told(decode_frame(data)) if data else {}
