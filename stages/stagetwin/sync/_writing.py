"""Writing frames: sections of a table's rows to the specs of one stage, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pxr import Sdf, Tf

from stagetwin._authoring import write_specs
from stagetwin._errors import FrameError
from stagetwin.signals import Quality
from stagetwin.sync._bound import BoundTable
from stagetwin.sync._frames import Frame, Section, SectionKind
from stagetwin.sync._values import made_of_numbers, maker
from stagetwin.values import plain

__all__ = ["Reading", "TableWriter"]

Array = npt.NDArray[Any]

_TOKENS = [quality.token for quality in Quality]
_WRONG = (TypeError, ValueError, OverflowError, Tf.ErrorException)


class Reading(NamedTuple):
    """What a mirror shows of one channel.

    Attributes:
        value: plain data, None while there is none.
        quality: `Quality`; STALE while the service is not heard.
        time: when the source took it [s, Unix]; NaN for unknown.
        status: raw code.
    """

    value: Any
    quality: Quality
    time: float
    status: int


class TableWriter:
    """Writes frames of one table.

    Attributes:
        doubted: whether every signal is shown as stale.
    """

    def __init__(self, table: BoundTable, problem: Callable[[str, str], None]) -> None:
        """Begin.

        Args:
            table: where rows go.
            problem: takes the path of a channel, and why a value of it cannot be shown.
        """
        self._table = table
        self._problem = problem
        self._held: dict[int, tuple[SectionKind, Any]] = {}
        self.doubted = False

    def check(self, section: Section) -> None:
        """Refuse rows that the table has not, and values of another kind than a row's.

        Raises:
            FrameError: there are some.
        """
        table, rows, values = self._table, section.rows, section.values
        if not len(rows):
            return
        if int(rows.max()) >= len(table.rows):
            raise FrameError(
                f"a frame names row {int(rows.max())} of a table of {len(table.rows)} channels"
            )
        if section.kind is SectionKind.NONE:
            return
        width = values.shape[1] if isinstance(values, np.ndarray) and values.ndim == 2 else 1
        wrong = np.flatnonzero(~table.takes(rows, section.kind, width))
        if len(wrong):
            row = int(rows[wrong[0]])
            wanted, got = table.rows[row]["type"], f"{section.kind.name} of {width}"
            raise FrameError(f"{table.path(row)} is a {wanted}, a frame has {got}")

    def doubt(self, doubted: bool) -> None:
        """Show every signal as stale, or as the service said it."""
        if doubted == self.doubted:
            return
        self.doubted, table = doubted, self._table
        table.expected.doubt(doubted)
        if doubted:
            specs = list(dict.fromkeys(spec for spec in table.qualities if spec is not None))
            write_specs(specs, [Quality.STALE.token] * len(specs))
        else:
            known = np.flatnonzero(table.told_quality < len(_TOKENS))
            self._write_column(table.qualities, known, self._tokens(known))

    def reading(self, row: int) -> Reading:
        """Return what is shown of a row."""
        table, value = self._table, None
        place = int(table.place[row])
        if table.expected.mask[row]:
            value = table.expected.value(row)
        elif place >= 0:
            elements, spec = table.places[place].elements, table.values[row]
            if elements is not None:
                value = elements.value(int(table.element[row]))
            elif spec is not None:
                value = spec.default
        quality = int(table.told_quality[row])
        sure = not self.doubted and quality < len(_TOKENS)
        return Reading(
            plain(None if isinstance(value, Sdf.ValueBlock) else value),
            Quality(quality) if sure else Quality.STALE,
            float(table.told_time[row]),
            max(int(table.told_status[row]), 0),
        )

    def write(self, frame: Frame, sections: Sequence[Section]) -> int:
        """Write checked sections of a frame; returns the number of values."""
        table, written = self._table, 0
        whole: set[int] = set()
        rivals: set[int] = set()
        if table.expected:
            written += self._expect(sections)
        for section in sections:
            if section.kind is SectionKind.NONE:
                if frame.since == 0:
                    self._withdraw(section.rows)
                continue
            places = table.place[section.rows]
            for number in np.unique(places).tolist():
                if number < 0:
                    continue
                here = np.flatnonzero(places == number)
                rows = section.rows[here]
                place = table.places[number]
                if place.shared:
                    for row, i in zip(rows.tolist(), here.tolist(), strict=True):
                        assert section.values is not None
                        self._held[row] = section.kind, _own(section.values[i])
                        rivals.add(int(table.alternative[row]))
                else:
                    written += self._put(number, section, here, rows, whole)
        for section in sections:
            self._tell(frame, section, rivals)
        for group in rivals:
            written += self._choose(table.alternatives[group], whole)
        arrays = [elements for n in whole if (elements := table.places[n].elements) is not None]
        arrays = list(dict.fromkeys(arrays))
        write_specs([each.spec for each in arrays], [each.whole() for each in arrays])
        return written

    def _expect(self, sections: Sequence[Section]) -> int:
        """Write what models expect; returns the number of values."""
        expected, written = self._table.expected, 0
        for section in sections:
            here = np.flatnonzero(expected.mask[section.rows])
            if len(here):
                try:
                    written += expected.take(section, here)
                except _WRONG as error:
                    path = self._table.path(int(section.rows[here[0]]))
                    self._problem(path, f"what is expected cannot be shown: {error}")
        return written

    def _put(
        self,
        number: int,
        section: Section,
        here: Array,
        rows: Array,
        whole: set[int],
    ) -> int:
        """Write the values of one place; returns their number."""
        place, values = self._table.places[number], section.values
        made: Sequence[Any]
        assert values is not None
        if isinstance(values, list):
            rows, made = self._made(place.type_name, rows, [values[i] for i in here])
        elif place.elements is not None:
            whole.add(number)
            place.elements.put(section.kind, self._table.element[rows], values[here])
            return len(rows)
        else:
            column = values if len(here) == len(values) else values[here]
            made = made_of_numbers(place.type_name, section.kind, column)
        if place.elements is not None:
            whole.add(number)
            place.elements.put(section.kind, self._table.element[rows], made)
        else:
            self._write_rows(self._table.values, rows, made)
        return len(rows)

    def _made(self, type_name: str, rows: Array, values: Sequence[Any]) -> tuple[Array, list[Any]]:
        """Return the rows whose JSON is of the type, and their attribute values."""
        make = maker(type_name)
        kept, made = [], []
        for row, value in zip(rows.tolist(), values, strict=True):
            try:
                made.append(make(value))
                kept.append(row)
            except _WRONG as error:
                self._problem(self._table.path(row), f"a value is no {type_name}: {error}")
        return np.array(kept, np.intp), made

    def _write_rows(
        self,
        column: Sequence[Sdf.AttributeSpec | None],
        rows: Array,
        values: Sequence[Any],
    ) -> None:
        specs: list[Any] = [column[row] for row in rows.tolist()]
        try:
            write_specs(specs, values)
        except _WRONG:
            # One of them cannot be held by its type: the others are not to suffer.
            for row, spec, value in zip(rows.tolist(), specs, values, strict=True):
                try:
                    spec.default = value
                except _WRONG as error:
                    self._problem(self._table.path(row), f"{spec.typeName} cannot hold it: {error}")

    def _choose(self, rows: Sequence[int], whole: set[int]) -> int:
        """Write the value of the best of the signals that drive one property, as the hub does."""
        known = [row for row in rows if row in self._held]
        if not known:
            return 0
        best = min(known, key=lambda row: int(self._table.told_quality[row]))  # the first of equals
        kind, value = self._held[best]
        values: Any = [value] if kind is SectionKind.JSON else np.asarray(value)[None]
        section = Section(kind, np.array([best]), values)
        return self._put(int(self._table.place[best]), section, np.array([0]), section.rows, whole)

    def _withdraw(self, rows: Array) -> None:
        """Forget values that the service has not (any more)."""
        with Sdf.ChangeBlock():
            for row in rows.tolist():
                self._held.pop(row, None)
                spec = self._table.values[row]
                if (
                    spec is not None
                    and self._table.element[row] < 0
                    and self._table.alternative[row] < 0
                ):
                    spec.ClearDefaultValue()

    def _tell(self, frame: Frame, section: Section, rivals: set[int]) -> None:
        """Write times, qualities and status of a section, where they are others than before."""
        if section.times is None or section.qualities is None:
            return
        rows = section.rows
        qualities = np.minimum(section.qualities, Quality.STALE)
        fresh = rows[self._table.told_quality[rows] != qualities]
        if self._table.alternatives:
            groups = self._table.alternative[fresh]
            rivals.update(groups[groups >= 0].tolist())
        self._table.told_quality[rows] = qualities
        self._write_column(self._table.qualities, fresh, self._tokens(fresh))
        status = np.zeros(len(rows), np.int64) if section.status is None else section.status
        fresh = rows[self._table.told_status[rows] != status]
        self._table.told_status[rows] = status
        self._write_column(self._table.status, fresh, self._table.told_status[fresh].tolist())
        times = frame.source_times(section)
        fresh = rows[(self._table.told_time[rows] != times) & np.isfinite(times)]
        self._table.told_time[rows] = times
        self._write_column(self._table.times, fresh, self._table.told_time[fresh].tolist())

    def _write_column(
        self,
        column: Sequence[Sdf.AttributeSpec | None],
        rows: Array,
        values: Sequence[Any],
    ) -> None:
        """Write one attribute of signals; the last of the rows that share a signal says it."""
        if self._table.signals < len(self._table.rows) and len(rows):
            _, last = np.unique(self._table.signal[rows][::-1], return_index=True)
            kept = np.sort(len(rows) - 1 - last)
            rows, values = rows[kept], [values[i] for i in kept.tolist()]
        pairs = [
            (spec, value)
            for row, value in zip(rows.tolist(), values, strict=True)
            if (spec := column[row]) is not None
        ]
        write_specs([spec for spec, _ in pairs], [value for _, value in pairs])

    def _tokens(self, rows: Array) -> list[str]:
        return [_TOKENS[quality] for quality in self._table.told_quality[rows].tolist()]


def _own(value: Any) -> Any:
    # A view would keep the whole frame.
    return np.array(value) if isinstance(value, np.ndarray) else value
