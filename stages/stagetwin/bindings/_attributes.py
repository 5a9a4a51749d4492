"""Reading one signal's authored attributes, checked against the schema."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pxr import Sdf, Tf, Usd

from stagetwin.bindings._model import Limits
from stagetwin.values import Bound, as_bound, tightest

__all__ = [
    "ALARM",
    "COMMAND",
    "MODEL",
    "RULE",
    "TELEMETRY",
    "Report",
    "SignalSchema",
    "attribute_limits",
    "check_numbers",
    "property_at",
    "unit_error",
]

Report = Callable[[str, str], None]
"""Takes a problem's code and message."""


@dataclass(frozen=True, slots=True)
class SignalSchema:
    """The attributes of one multiple-apply schema.

    Attributes:
        api: schema name.
        prefix: property namespace.
        defaults: schema attributes that a binding is read from, with their defaults.
        tokens: allowed tokens by attribute.
        relationships: names of relationships.
        others: names that belong here and are read elsewhere or written by the service.
        more: beginnings of names that the asset chooses.
        open_relationships: whether any relationship belongs here.
    """

    api: str
    prefix: str
    defaults: Mapping[str, Any]
    tokens: Mapping[str, tuple[str, ...]]
    relationships: tuple[str, ...]
    others: tuple[str, ...]
    more: tuple[str, ...] = ()
    open_relationships: bool = False

    def read(self, prim: Usd.Prim, signal: str, report: Report) -> dict[str, Any]:
        """Return the signal's attributes, defaults filled in; wrong ones are reported."""
        values = dict(self.defaults)
        start = len(self.prefix) + len(signal) + 2
        for prop in prim.GetAuthoredPropertiesInNamespace(f"{self.prefix}:{signal}"):
            name = prop.GetName()[start:]
            if name in self.relationships or name in self.others or name.startswith(self.more):
                continue
            if self.open_relationships and isinstance(prop, Usd.Relationship):
                continue
            if name not in self.defaults:
                near = difflib.get_close_matches(name, [*self.defaults, *self.others], n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                report("unknown-attribute", f"{self.api} has no attribute {name!r}{hint}")
                continue
            value = prop.Get() if isinstance(prop, Usd.Attribute) else None
            if value is None:
                continue
            expected = type(self.defaults[name])
            if expected is float and isinstance(value, int) and not isinstance(value, bool):
                value = float(value)
            if not isinstance(value, expected):
                report(
                    "attribute-type",
                    f"{prop.GetName()} must be {_type_word(expected)}, got {type(value).__name__} "
                    f"{value!r:.60}",
                )
                continue
            allowed = self.tokens.get(name)
            if allowed and value not in allowed:
                report(
                    "token",
                    f"{prop.GetName()} must be one of {', '.join(allowed)}, got {value!r}",
                )
                continue
            values[name] = value
        return values


def _type_word(expected: type) -> str:
    return {str: "a string or token", float: "a double", int: "an integer"}[expected]


_ENCODINGS = {"encoding": ("auto", "json", "number", "text", "struct")}

TELEMETRY = SignalSchema(
    api="TwinTelemetryAPI",
    prefix="twin:telemetry",
    defaults={
        "connection": "",
        "address": "",
        "field": "",
        "encoding": "auto",
        "unit": "1",
        "scale": 1.0,
        "offset": 0.0,
        "deadband": 0.0,
        "staleAfter": 10.0,
        "redundancyGroup": "",
        "targetId": -1,
    },
    tokens=_ENCODINGS,
    relationships=("target",),
    others=("value", "predicted", "residual", "residualSigma", "time", "quality", "status"),
)

COMMAND = SignalSchema(
    api="TwinCommandAPI",
    prefix="twin:command",
    defaults={
        "connection": "",
        "address": "",
        "field": "",
        "encoding": "auto",
        "unit": "1",
        "scale": 1.0,
        "offset": 0.0,
        "targetId": -1,
        "operation": "write",
        "wireType": "auto",
        "rateLimit": math.inf,
        "policyClass": "",
        "approval": "single",
        "expiry": 10.0,
        "settleTime": 5.0,
        "dwell": 0.0,
        "tolerance": 0.0,
        "publish": "explicit",
        "debounce": 0.5,
        "rehearsal": "none",
        "rehearsalHorizon": 60.0,
        "rehearsalBudget": 2.0,
    },
    tokens={
        **_ENCODINGS,
        "operation": ("write", "publish", "method"),
        "approval": ("none", "single", "dual"),
        "publish": ("explicit", "settled"),
        "rehearsal": ("none", "required"),
    },
    relationships=("target", "permissives", "readback", "place"),
    others=("desired", "reported", "safe", "request", "status", "cause"),
    more=("parameter:",),
)


RULE = SignalSchema(
    api="TwinRuleAPI",
    prefix="twin:rule",
    defaults={"comparison": "above", "holdFor": 0.0, "urgency": "routine"},
    tokens={
        "comparison": ("above", "below", "equal", "unequal"),
        "urgency": ("routine", "urgent"),
    },
    relationships=("signal", "command"),
    others=("threshold", "setpoint"),
)


ALARM = SignalSchema(
    api="TwinAlarmAPI",
    prefix="twin:alarm",
    defaults={
        "kind": "limit",
        "side": "high",
        "limit": math.nan,
        "hysteresis": 0.0,
        "comparison": "equal",
        "onDelay": 0.0,
        "offDelay": 0.0,
        "priority": "medium",
        "message": "",
        "advice": "",
    },
    tokens={
        "kind": ("limit", "quality", "device", "connection", "command", "model"),
        "side": ("high", "high_high", "low", "low_low"),
        "comparison": ("equal", "unequal"),
        "priority": ("critical", "high", "medium", "low", "none"),
    },
    relationships=("signal", "activeWhile"),
    others=("value", "state", "since", "cause"),
)


MODEL = SignalSchema(
    api="TwinModelAPI",
    prefix="twin:model",
    defaults={"kind": "", "step": 0.0, "horizon": 0.0, "fidelity": ""},
    tokens={"fidelity": ("", "screening", "engineering", "calibrated")},
    relationships=("reads", "writes"),
    others=("file", "state", "cause"),
    more=("param:", "track:", "out:"),
    open_relationships=True,
)


_FINITE = (
    *("expiry", "settleTime", "dwell", "debounce", "holdFor", "tolerance"),
    *("onDelay", "offDelay", "hysteresis"),
    *("rehearsalHorizon", "rehearsalBudget", "step", "horizon"),
)
"""Nothing of a command or an alarm may wait, or count as near enough, for ever."""


def check_numbers(values: Mapping[str, Any], report: Report) -> None:
    """Report the numbers of a signal that are outside what the schema allows."""
    scale, offset = values.get("scale", 1.0), values.get("offset", 0.0)
    if not math.isfinite(scale) or scale == 0:
        report("range", f"scale must be finite and not 0, got {scale}")
    if not math.isfinite(offset):
        report("range", f"offset must be finite, got {offset}")
    for name, low, open_low in (
        ("deadband", 0, False),
        ("staleAfter", 0, True),
        ("rateLimit", 0, True),
        ("expiry", 0, True),
        ("settleTime", 0, False),
        ("dwell", 0, False),
        ("debounce", 0, False),
        ("holdFor", 0, False),
        ("tolerance", 0, False),
        ("onDelay", 0, False),
        ("offDelay", 0, False),
        ("hysteresis", 0, False),
        ("rehearsalHorizon", 0, True),
        ("rehearsalBudget", 0, True),
        ("step", 0, False),
        ("horizon", 0, False),
        ("targetId", -1, False),
    ):
        value = values.get(name, 1)
        if not (value > low if open_low else value >= low):
            bound = f"greater than {low}" if open_low else f"at least {low}"
            report("range", f"{name} must be {bound}, got {value}")
        elif name in _FINITE and not math.isfinite(value):
            report("range", f"{name} must be finite, got {value}")


def attribute_limits(attr: Usd.Attribute, report: Report) -> Limits:
    """Return the tightest authored limits of an attribute over all its layers.

    A stronger layer may loosen what a weaker one set; what guards a plant is the tightest of them.
    """
    low: dict[str, Bound] = {"hard": -math.inf, "soft": -math.inf}
    high: dict[str, Bound] = {"hard": math.inf, "soft": math.inf}
    for spec in attr.GetPropertyStack():
        limits = spec.GetInfo("limits") if spec.HasInfo("limits") else None
        if not isinstance(limits, Mapping):
            continue
        for group in ("hard", "soft"):
            part = limits.get(group, {})
            if not isinstance(part, Mapping):
                report(
                    "limits", f"{attr.GetName()}: {group} limits are {part!r:.60}, no dictionary"
                )
                continue
            for key, authored in part.items():
                bound = as_bound(authored)
                if bound is None or key not in ("minimum", "maximum"):
                    report(
                        "limits",
                        f"{attr.GetName()} has a {group} limit {key} = {authored!r:.60}; minimum "
                        "and maximum are expected, as numbers or one number per component",
                    )
                elif key == "minimum":
                    low[group] = tightest(max, low[group], bound)
                else:
                    high[group] = tightest(min, high[group], bound)
    found = Limits(low["hard"], high["hard"], low["soft"], high["soft"])
    if tightest(max, low["hard"], high["hard"]) != high["hard"]:
        report("limits", f"{attr.GetName()}: no value is within the hard limits {found}")
    return found


_COMMON_UNITS = {
    "°C": "Cel", "degC": "Cel", "celsius": "Cel", "°F": "[degF]", "degF": "[degF]", "°": "deg",
    "rpm": "1/min", "rev/min": "1/min", "psi": "[psi]", "kWh": "kW.h", "Wh": "W.h", "Nm": "N.m",
    "ppm": "[ppm]", "pH": "[pH]", "g-force": "[g]", "Ω": "Ohm", "ohm": "Ohm", "µm": "um",
    "m³": "m3", "m^3": "m3", "m³/h": "m3/h", "m^3/h": "m3/h", "m3/hr": "m3/h", "m^3/hr": "m3/h",
    "m²": "m2", "m^2": "m2", "m/s²": "m/s2", "m/s^2": "m/s2", "l/m": "L/min", "lpm": "L/min",
    "hr": "h", "sec": "s", "percent": "%", "": "1", "none": "1",
}  # fmt: skip
"""What people write, and how UCUM writes it."""


@cache
def unit_error(unit: str) -> str:
    """Return why a unit is no UCUM unit, or empty."""
    try:
        _ucum_parser().parse(unit)
    except Exception:  # the parser's errors share no base but Exception
        meant = _COMMON_UNITS.get(unit) or _COMMON_UNITS.get(unit.strip())
        hint = f"; did you mean {meant!r}?" if meant else "; see https://ucum.org for its units"
        return f"{unit!r} is no UCUM unit{hint}"
    return ""


@cache
def _ucum_parser() -> Any:
    # Loaded on first use: it costs 0.4 s, and many programs never check a unit.
    import ucumvert

    return ucumvert.get_ucum_parser()


def property_at(stage: Usd.Stage, path: Sdf.Path) -> Usd.Attribute | None:
    """Return the attribute at a path, or None where there is none."""
    try:
        attr = stage.GetAttributeAtPath(path)
    except Tf.ErrorException:
        return None
    return attr if attr and attr.IsDefined() else None
