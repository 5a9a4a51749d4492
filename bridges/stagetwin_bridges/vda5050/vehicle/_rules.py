"""What 2.1 and 3.0 ask differently of a vehicle: one table, read by everything else here.

Source: VDA 5050, version 2.1.0 (2024-08), sections 6.6 to 6.12, and version 3.0.0 (2026-03),
sections 6.1 to 6.6. The vehicle speaks the words of 3.0; the codec of 2.1 has that version's.
"""

from __future__ import annotations

import dataclasses
import enum

__all__ = ["Cause", "Level", "Rules", "Until", "rules_of"]


class Level(enum.IntEnum):
    """How grave an error is; from CRITICAL on the vehicle does not drive."""

    WARNING = 0
    URGENT = 1
    CRITICAL = 2
    FATAL = 3


class Until(enum.Enum):
    """How long an error is reported."""

    ORDER = "a new order or order update is accepted"
    INSTANT = "a new instant action is accepted"
    MAP = "a new instant action on maps is accepted"
    MODE = "the operating mode allows new orders"
    CLEARED = "what it speaks of is over"
    TIME = "a while has passed"


class Cause(enum.Enum):
    """Why something is refused or wrong: type, level and how long it is reported (table 9)."""

    MALFORMED = ("VALIDATION_FAILURE", Level.WARNING, Until.ORDER)
    UNSUPPORTED = ("UNSUPPORTED_PARAMETER", Level.CRITICAL, Until.ORDER)
    ORDER_ACTION = ("INVALID_ORDER_ACTION", Level.WARNING, Until.ORDER)
    OUTDATED = ("OUTDATED_ORDER_UPDATE", Level.WARNING, Until.ORDER)
    SAME_UPDATE = ("SAME_ORDER_UPDATE_ID", Level.WARNING, Until.ORDER)
    OTHER_ACTIVE = ("OTHER_ORDER_ACTIVE", Level.WARNING, Until.ORDER)
    START_FAR = ("START_NODE_OUT_OF_RANGE", Level.WARNING, Until.ORDER)
    NO_ROUTE = ("NO_ROUTE_TO_TARGET", Level.WARNING, Until.ORDER)
    UNAVAILABLE = ("MOBILE_ROBOT_NOT_AVAILABLE", Level.WARNING, Until.MODE)
    UNKNOWN_MAP = ("UNKNOWN_MAP_ID", Level.WARNING, Until.ORDER)
    AFTER_CANCEL = ("ORDER_UPDATE_FOLLOWING_CANCEL", Level.WARNING, Until.ORDER)
    # Section 7.8 names this type; figure 8 asks the questions (4, 9, 10) and names no type.
    NO_CONTINUATION = ("INVALID_ORDER", Level.WARNING, Until.ORDER)
    MEMORY = ("INSUFFICIENT_MEMORY", Level.URGENT, Until.ORDER)
    NOTHING_TO_CANCEL = ("NO_ORDER_TO_CANCEL", Level.WARNING, Until.ORDER)
    INSTANT_ACTION = ("INVALID_INSTANT_ACTION", Level.WARNING, Until.INSTANT)
    ACTION_FAILED = ("ACTION_FAILED", Level.CRITICAL, Until.ORDER)
    ACTION_MISSED = ("ACTION_FAILED", Level.WARNING, Until.ORDER)
    INSTANT_FULL = ("INSTANT_ACTION_STATES_FULL", Level.URGENT, Until.CLEARED)
    ZONE_FULL = ("ZONE_ACTION_STATES_FULL", Level.URGENT, Until.CLEARED)
    NODE_UNREACHABLE = ("NODE_UNREACHABLE", Level.CRITICAL, Until.ORDER)
    OUTSIDE_CORRIDOR = ("OUTSIDE_OF_CORRIDOR", Level.CRITICAL, Until.CLEARED)
    CORRIDOR_LOST = ("CORRIDOR_RELEASE_LOST", Level.CRITICAL, Until.ORDER)
    DUPLICATE_MAP = ("DUPLICATE_MAP", Level.WARNING, Until.MAP)
    DUPLICATE_ZONE_SET = ("DUPLICATE_ZONE_SET", Level.WARNING, Until.TIME)
    BAD_ZONE_SET = ("INVALID_ZONE_SET", Level.WARNING, Until.TIME)
    BLOCKED_ZONE = ("BLOCKED_ZONE_VIOLATION", Level.CRITICAL, Until.CLEARED)
    RELEASE_LOST = ("RELEASE_LOST", Level.CRITICAL, Until.CLEARED)
    # A release that is lost without a need to stop is reported as the warning that 6.4.3 asks for.
    RELEASE_ENDED = ("RELEASE_ENDED", Level.WARNING, Until.CLEARED)
    ZONE_CONFLICT = ("ZONE_ACTION_CONFLICT", Level.CRITICAL, Until.CLEARED)
    NOT_LOCALIZED = ("LOCALIZATION_ERROR", Level.FATAL, Until.CLEARED)
    BATTERY_LOW = ("BATTERY_LOW", Level.URGENT, Until.CLEARED)

    @property
    def word(self) -> str:
        """`errorType` in 3.0."""
        return self.value[0]

    @property
    def level(self) -> Level:
        """How grave it is, whatever words a version has for it."""
        return self.value[1]

    @property
    def until(self) -> Until:
        """How long it is reported."""
        return self.value[2]


_ORDER_CAUSES = frozenset(
    {
        Cause.MALFORMED,
        Cause.UNSUPPORTED,
        Cause.ORDER_ACTION,
        Cause.OUTDATED,
        Cause.SAME_UPDATE,
        Cause.OTHER_ACTIVE,
        Cause.START_FAR,
        Cause.NO_ROUTE,
        Cause.UNAVAILABLE,
        Cause.UNKNOWN_MAP,
        Cause.AFTER_CANCEL,
        Cause.NO_CONTINUATION,
        Cause.MEMORY,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """One version's rules.

    Attributes:
        version: as it stands in headers.
        modern: whether it is 3.0 or later.
        modes: operating modes there are.
        blocking: blocking types there are.
        orders_in: operating modes in which orders are taken.
        instant_in: operating modes in which any instant action is taken.
        first_update_zero: whether a new order must have `orderUpdateId` 0 (figure 8, question 4).
        compare_same: whether another content under the same ids is an error (6.1.4.5).
        instant_apart: whether instant actions have an array of their own in the state.
        pause_all: whether a pause holds all actions, or those alone whose factsheet allows it.
    """

    version: str
    modern: bool
    modes: frozenset[str]
    blocking: frozenset[str]
    orders_in: frozenset[str]
    instant_in: frozenset[str]
    first_update_zero: bool
    compare_same: bool
    instant_apart: bool
    pause_all: bool

    def holds(self, cause: Cause) -> bool:
        """Return whether the vehicle must not drive while this is reported (6.6.5.1)."""
        if not self.modern and cause in _ORDER_CAUSES:
            return False
        return cause.level >= Level.CRITICAL


_CONTROLLED = frozenset({"AUTOMATIC", "SEMIAUTOMATIC"})
_OLD_MODES = _CONTROLLED | {"MANUAL", "SERVICE", "TEACH_IN"}

_RULES_3 = Rules(
    version="3.0.0",
    modern=True,
    modes=_OLD_MODES | {"STARTUP", "INTERVENED"},
    blocking=frozenset({"NONE", "SINGLE", "SOFT", "HARD"}),
    orders_in=_CONTROLLED | {"INTERVENED"},
    instant_in=_CONTROLLED,
    first_update_zero=True,
    compare_same=True,
    instant_apart=True,
    pause_all=False,
)
_RULES_2 = Rules(
    version="2.1.0",
    modern=False,
    modes=_OLD_MODES,
    blocking=frozenset({"NONE", "SOFT", "HARD"}),
    orders_in=_CONTROLLED,
    instant_in=_CONTROLLED,
    first_update_zero=False,
    compare_same=False,
    instant_apart=False,
    pause_all=True,
)


def rules_of(version: str) -> Rules:
    """Return the rules of a version such as `2.1.0`.

    Raises:
        ValueError: neither 2.1 nor 3.0.
    """
    for rules in (_RULES_3, _RULES_2):
        if version.split(".")[:2] == rules.version.split(".")[:2]:
            return dataclasses.replace(rules, version=version)
    raise ValueError(f"VDA 5050 {version!r}: expected 2.1 or 3.0")
