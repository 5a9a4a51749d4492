"""The errors that a vehicle reports against table 9 of the text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stagetwin_bridges.vda5050.vehicle._rules import Cause, Until

TEXT = Path(__file__).resolve().parents[5] / "shared" / "vda5050" / "3.0" / "VDA5050_EN.md"
ROW = re.compile(r"^'([A-Z_]+)' *\| *'([A-Z]+)' *\|(.*)\|([^|]*)\|([^|]*)$", re.MULTILINE)
DURATIONS = {
    "new order is accepted": Until.ORDER,
    "new instant action is accepted": Until.INSTANT,
    "new map related instantAction was accepted": Until.MAP,
    "operating mode allows for new orders": Until.MODE,
    "Reasonable amount of time": Until.TIME,
    "no longer": Until.CLEARED,
    "is regained": Until.CLEARED,
}


def table_9() -> list[tuple[str, str, Until]]:
    if not TEXT.exists():
        return []
    text = TEXT.read_text(encoding="utf-8")
    section = text[text.index("#### 6.6.5.4") : text.index("Table 9 - Predefined")]
    rows = []
    for name, level, _, _, duration in ROW.findall(section):
        (until,) = {found for words, found in DURATIONS.items() if words in duration}
        rows.append((name, level, until))
    return rows


def test_6_6_5_4_every_predefined_type_is_reported_as_the_table_says() -> None:
    rows = table_9()
    if not rows:
        pytest.skip("the text of the standard is not beside this checkout")
    assert len(rows) == 22
    ours = {(cause.word, cause.level.name, cause.until) for cause in Cause}
    assert set(rows) <= ours
    # None of them is used with another level or for another time.
    predefined = {name for name, _, _ in rows}
    assert {row for row in ours if row[0] in predefined} == set(rows)


def test_6_6_5_4_types_of_our_own_are_told_apart_from_predefined_ones() -> None:
    """The enumeration is extensible (7.8); these are beside table 9."""
    own = {cause.word for cause in Cause} - {name for name, _, _ in table_9()}
    if not table_9():
        pytest.skip("the text of the standard is not beside this checkout")
    assert own == {
        "INVALID_ORDER",  # in the list of 7.8
        "INSTANT_ACTION_STATES_FULL",  # 7.8, instantActionStates
        "ZONE_ACTION_STATES_FULL",  # 7.8, zoneActionStates
        "ACTION_FAILED",
        "BATTERY_LOW",
        "CORRIDOR_RELEASE_LOST",
        "INVALID_ZONE_SET",
        "RELEASE_ENDED",
    }
