"""Two frames as one: what a viewer finds that did not look for a while."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stagetwin.sync._frames import NO_TIME, Frame, Section, SectionKind

__all__ = ["merge_frames"]

Array = npt.NDArray[Any]

_MOVERS = (SectionKind.MOVER_POSE, SectionKind.MOVER_MATRIX)


def merge_frames(older: Frame, newer: Frame) -> Frame:
    """Return one frame with the newest state of every row of two of one table.

    Where something between the two is missing, or the newer one holds all that the older does, it
    is the newer one. Times of a merged frame are float64, so that rebasing them costs nothing
    however often it is done.
    """
    if newer.since <= older.since or newer.since > older.tick or newer.table != older.table:
        return newer
    shift = (older.time - newer.time) * 1000.0
    channels = _Rows(newer.sections, False)
    movers = _Rows(newer.sections, True)
    sections: list[Section] = []
    instancers = {int(s.rows[0]) for s in newer.sections if s.kind is SectionKind.INSTANCER}
    for section in older.sections:
        if section.kind is SectionKind.INSTANCER:
            if int(section.rows[0]) not in instancers:
                sections.append(section)
            continue
        rows = movers if section.kind in _MOVERS else channels
        kept = rows.left_of(section)
        if len(kept.rows):
            sections.append(rows.refreshed(_rebased(kept, shift)))
    sections += channels.rest()
    sections += [s for s in newer.sections if s.kind in _MOVERS or s.kind is SectionKind.INSTANCER]
    return Frame(
        newer.table, newer.epoch, newer.tick, older.since, newer.time, list(_joined(sections))
    )


class _Rows:
    """What a newer frame says of rows of one numbering: channels, or movers."""

    def __init__(self, sections: Iterable[Section], movers: bool) -> None:
        self._sections = [
            _whole(s)
            for s in sections
            if s.kind is not SectionKind.INSTANCER and (s.kind in _MOVERS) == movers
        ]
        size = 1 + max((int(s.rows.max()) for s in self._sections if len(s.rows)), default=-1)
        self._valued = np.zeros(size, np.bool_)
        self._bare = np.full(size, -1, np.intp)
        self._told: Section | None = None
        for section in self._sections:
            if section.kind is SectionKind.NONE:
                # A frame has one such section.
                self._told = section
                self._bare[section.rows] = np.arange(len(section.rows))
            else:
                self._valued[section.rows] = True
        self._used = np.zeros(0 if self._told is None else len(self._told.rows), np.bool_)

    def left_of(self, section: Section) -> Section:
        """Return the rows of an older section of which the newer frame has no newer value."""
        rows = section.rows
        gone = np.zeros(len(rows), np.bool_)
        within = rows < len(self._valued)
        gone[within] = self._valued[rows[within]]
        if section.kind is SectionKind.NONE:
            gone[within] |= self._bare[rows[within]] >= 0
        return section if not gone.any() else _taken(section, np.flatnonzero(~gone))

    def refreshed(self, section: Section) -> Section:
        """Return an older section with the newer time, quality and status of its rows."""
        told = self._told
        if told is None or section.kind is SectionKind.NONE:
            return section
        rows = section.rows
        within = np.flatnonzero(rows < len(self._bare))
        where = self._bare[rows[within]]
        hit = where >= 0
        here, there = within[hit], where[hit]
        if not len(here):
            return section
        self._used[there] = True
        section = _whole(section)
        columns = []
        for old, new in (
            (section.times, told.times),
            (section.qualities, told.qualities),
            (section.status, told.status),
        ):
            column = np.array(old)
            column[here] = new[there] if new is not None else 0
            columns.append(column)
        return Section(section.kind, rows, section.values, *columns)

    def rest(self) -> list[Section]:
        """Return the newer channel sections, without what went into older ones."""
        left = [s for s in self._sections if s is not self._told]
        if self._told is not None and not self._used.all():
            left.append(_taken(self._told, np.flatnonzero(~self._used)))
        return left


def _rebased(section: Section, shift: float) -> Section:
    if section.times is None:
        return section
    times = np.where(section.times == NO_TIME, float(NO_TIME), section.times + shift)
    return Section(
        section.kind, section.rows, section.values, times, section.qualities, section.status
    )


def _whole(section: Section) -> Section:
    """Return a section that has every column."""
    if section.kind in _MOVERS:
        return section
    size = len(section.rows)
    times, qualities, status = section.times, section.qualities, section.status
    return Section(
        section.kind,
        section.rows,
        section.values,
        np.full(size, float(NO_TIME)) if times is None else times.astype(np.float64),
        np.zeros(size, np.uint8) if qualities is None else qualities,
        np.zeros(size, np.uint32) if status is None else status,
    )


def _taken(section: Section, which: Array) -> Section:
    values = section.values
    if isinstance(values, list):
        values = [values[i] for i in which.tolist()]
    elif values is not None:
        values = values[which]
    columns = (section.times, section.qualities, section.status)
    return Section(
        section.kind,
        section.rows[which],
        values,
        *(None if c is None else c[which] for c in columns),
    )


def _joined(sections: Sequence[Section]) -> Iterable[Section]:
    """Yield the sections with those of one kind and width as one: their number stays bounded."""
    groups: dict[tuple[Any, ...], list[Section]] = {}
    for number, section in enumerate(sections):
        own = number if section.kind is SectionKind.INSTANCER else -1
        shape = section.values.shape[1:] if isinstance(section.values, np.ndarray) else ()
        groups.setdefault((section.kind, shape, own), []).append(section)
    for group in groups.values():
        yield group[0] if len(group) == 1 else _concatenated(group)


def _concatenated(group: list[Section]) -> Section:
    whole = [_whole(section) for section in group]
    first = whole[0]
    values: Array | list[Any] | None = None
    if isinstance(first.values, list):
        values = list(itertools.chain.from_iterable(s.values or [] for s in whole))
    elif first.values is not None:
        values = np.concatenate([s.values for s in whole])
    rows = np.concatenate([s.rows for s in whole])
    if first.times is None:
        return Section(first.kind, rows, values)
    return Section(
        first.kind,
        rows,
        values,
        np.concatenate([s.times for s in whole if s.times is not None]),
        np.concatenate([s.qualities for s in whole if s.qualities is not None]),
        np.concatenate([s.status for s in whole if s.status is not None]),
    )
