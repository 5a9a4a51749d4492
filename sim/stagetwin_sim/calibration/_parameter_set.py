"""Fitted parameters as a USD layer that says where they are from.

A set is a layer of overs: `param:<name>` of the models, their fidelity, and the version of their
assets. A plant engineer makes it a sublayer of the plant; parameters belong to its guards, which
then want to be approved again.
"""

from __future__ import annotations

import datetime
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pxr import Sdf, Tf, Usd

from stagetwin.bindings import ModelBinding, Problem, Severity
from stagetwin_sim._errors import CalibrationError
from stagetwin_sim.calibration._fitted import Fitted
from stagetwin_sim.calibration._free import INITIAL
from stagetwin_sim.plant import conversion

__all__ = [
    "ParameterSet",
    "SetValue",
    "apply_parameter_set",
    "read_parameter_set",
    "unproven",
    "write_parameter_set",
]

_DATA = "stagetwinCalibration"


@dataclass(frozen=True, slots=True)
class SetValue:
    """One parameter of a set.

    Attributes:
        value, stderr, low, high: [unit].
        unit: UCUM; empty is the plant's own or the kind's.
    """

    value: float
    stderr: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """What a layer with parameters says of itself.

    Attributes:
        version: of the set, as its author counts.
        author: who made it.
        time: when, ISO 8601 in UTC.
        kind: of the models.
        data: fingerprint of the telemetry.
        source: where the telemetry is from, as its author says.
        rows, dt: of it; [s].
        reports: what the data can tell of each model, by `PRIM.NAME`.
        values: by `PRIM.NAME`, then by parameter.
        calibrated: models of which everything that was free is determined.
    """

    version: str
    author: str
    time: str
    kind: str
    data: str
    source: str
    rows: int
    dt: float
    reports: Mapping[str, str]
    values: Mapping[str, Mapping[str, SetValue]]
    calibrated: tuple[str, ...]


def write_parameter_set(
    path: Path,
    fitted: Fitted,
    models: Mapping[str, ModelBinding],
    *,
    author: str,
    version: str,
    source: str = "",
    time: datetime.datetime | None = None,
) -> ParameterSet:
    """Write the parameters that a fit determined; the file is whole or not there.

    A model of which the data leave a parameter undetermined, or that wants one beyond its bound, is
    left as the plant has it, and the report says so: the others were fitted to go with a number
    that is not the plant's. Hold that parameter (leave it out of `free`), and fit again.

    Args:
        path: of the layer.
        fitted: what to write.
        models: bindings of the fit's instances, by its places.
        author: who made it.
        version: of the set.
        source: where the telemetry is from.
        time: when; now if None.

    Raises:
        CalibrationError: a place has no model, nothing was determined, or the file cannot be
            written.
    """
    if missing := sorted(set(fitted.places) - set(models)):
        raise CalibrationError(f"no model {', '.join(missing)} on the stage")
    moment = (time or datetime.datetime.now(datetime.UTC)).astimezone(datetime.UTC)
    layer = Sdf.Layer.CreateAnonymous(path.name)
    reports: dict[str, Any] = {}
    written: dict[str, dict[str, float]] = {}
    for i, place in enumerate(fitted.places):
        binding, report = models[place], fitted.report(i)
        reports[place] = str(report)
        free = [n for n in fitted.names if not n.startswith(INITIAL)]
        if not free or not {*report.unidentifiable, *report.at_bound}.isdisjoint(free):
            continue
        prim = Sdf.CreatePrimInLayer(layer, binding.prim)
        written[place] = {
            name: _author(prim, binding, fitted, fitted.row(name), i) for name in free
        }
        fidelity = _attribute(
            prim, f"twin:model:{binding.name}:fidelity", Sdf.ValueTypeNames.Token, True
        )
        fidelity.default = "calibrated"
        asset = Sdf.CreatePrimInLayer(layer, binding.asset)
        _attribute(asset, "twin:modelVersion", Sdf.ValueTypeNames.String, True).default = version
    if not written:
        raise CalibrationError("the data determine no model: " + "; ".join(reports.values()))
    layer.customLayerData = {
        _DATA: {
            "version": version,
            "author": author,
            "time": moment.isoformat(timespec="seconds"),
            "kind": fitted.kind.name,
            "data": fitted.data,
            "source": source,
            "rows": fitted.rows,
            "dt": fitted.dt,
            "level": fitted.level,
            "reports": reports,
            "fitted": written,
        }
    }
    layer.comment = f"parameters of {fitted.kind.name}, version {version}, fitted to telemetry"
    _replace(path, layer)
    return read_parameter_set(path)


def read_parameter_set(path: Path) -> ParameterSet:
    """Read what a set says.

    Raises:
        CalibrationError: it is none.
    """
    try:
        layer = Sdf.Layer.OpenAsAnonymous(str(path))
    except Tf.ErrorException as error:
        raise CalibrationError(f"{path} cannot be read: {error}") from None
    said = layer.customLayerData.get(_DATA) if layer else None
    if not isinstance(said, dict):
        raise CalibrationError(f"{path} is no set of parameters: it does not say where it is from")
    values: dict[str, dict[str, SetValue]] = {}
    calibrated: list[str] = []

    def visit(path: Sdf.Path | str) -> None:
        at = Sdf.Path(str(path))
        spec = layer.GetAttributeAtPath(at) if at.IsPropertyPath() else None
        parts = at.name.split(":") if spec else []
        if spec is None or parts[:2] != ["twin", "model"]:
            return
        place = f"{at.GetPrimPath()}.{parts[2]}"
        if parts[3:] == ["fidelity"] and spec.default == "calibrated":
            calibrated.append(place)
        elif parts[3] == "param":
            data = spec.customData
            values.setdefault(place, {})[":".join(parts[4:])] = SetValue(
                value=float(spec.default),
                stderr=float(data.get("stderr", math.nan)),
                low=float(data.get("low", math.nan)),
                high=float(data.get("high", math.nan)),
                unit=str(data.get("unit", "")),
            )

    layer.Traverse(Sdf.Path.absoluteRootPath, visit)
    return ParameterSet(
        version=str(said["version"]),
        author=str(said["author"]),
        time=str(said["time"]),
        kind=str(said["kind"]),
        data=str(said["data"]),
        source=str(said.get("source", "")),
        rows=int(said["rows"]),
        dt=float(said["dt"]),
        reports={str(k): str(v) for k, v in said["reports"].items()},
        values=values,
        calibrated=tuple(sorted(calibrated)),
    )


def apply_parameter_set(root: Path, path: Path) -> None:
    """Make a set the strongest sublayer of a plant's root layer, in the root layer's file.

    A set of the same file is replaced by this one. Guards of the assets change by it.

    Args:
        root: root layer of the plant.
        path: of the set.

    Raises:
        CalibrationError: it is no set, one of its parameters is authored in the root layer itself,
            which is stronger than all sublayers, or the file cannot be written.
    """
    own = read_parameter_set(path)
    try:
        layer = Sdf.Layer.OpenAsAnonymous(str(root))
    except Tf.ErrorException as error:
        raise CalibrationError(f"{root} cannot be read: {error}") from None
    stronger = []
    for place, parameters in own.values.items():
        prim, _, model = place.rpartition(".")
        for name in parameters:
            at = f"{prim}.twin:model:{model}:param:{name}"
            spec = layer.GetAttributeAtPath(at)
            if spec is not None and spec.HasDefaultValue():
                stronger.append(at)
    if stronger:
        raise CalibrationError(
            f"{root} says {', '.join(stronger[:5])} itself, which is stronger than any sublayer; "
            "take it out there first"
        )
    relative = os.path.relpath(path.resolve(), root.resolve().parent)
    name = relative if relative.startswith(".") else f"./{relative}"
    sublayers: Any = layer.subLayerPaths
    for each in [each for each in sublayers if each.removeprefix("./") == relative]:
        sublayers.remove(each)
    sublayers.insert(0, name)
    _replace(root, layer)


def unproven(stage: Usd.Stage, models: Iterable[ModelBinding]) -> list[Problem]:
    """Return a warning for each model that calls itself calibrated without a set that bears it out.

    The strongest layer that says so must be a set with a report of the model, and each parameter
    that was fitted must come from that layer, with the value that was fitted.

    Args:
        stage: the plant.
        models: its bindings.
    """
    problems = []
    for binding in models:
        if binding.fidelity != "calibrated":
            continue
        if doubt := _doubt(stage, binding):
            problems.append(
                Problem(
                    prim=binding.prim,
                    signal=binding.name,
                    code="model-uncalibrated",
                    message=f"fidelity is calibrated, but {doubt} (stagetwin calibrate); "
                    "it counts as engineering",
                    severity=Severity.WARNING,
                )
            )
    return problems


def _doubt(stage: Usd.Stage, binding: ModelBinding) -> str:
    """Return why no set bears out that a model is calibrated; empty where one does."""
    stem = f"{binding.prim}.twin:model:{binding.name}"
    said = _strongest(stage, f"{stem}:fidelity")
    data = said.layer.customLayerData.get(_DATA) if said is not None else None
    if said is None or not isinstance(data, dict):
        return "no set of fitted parameters says so"
    layer = said.layer
    # Of a plant that is referenced, the set knows the paths in its own layer.
    place = f"{said.path.GetPrimPath()}.{binding.name}"
    reports, fitted = (data.get(name) for name in ("reports", "fitted"))
    of_it = fitted.get(place) if isinstance(fitted, dict) else None
    if not isinstance(reports, dict) or place not in reports or not isinstance(of_it, dict):
        return f"{layer.identifier} has no fit of {place}"
    if not of_it:
        return f"{layer.identifier} has no parameter of {place}"
    for name, value in of_it.items():
        spec = _strongest(stage, f"{stem}:param:{name}")
        if spec is None or spec.layer != layer:
            where = spec.layer.identifier if spec is not None else "nowhere"
            return f"param:{name} is from {where}, not from {layer.identifier}, which fitted it"
        if spec.default != value:
            return f"param:{name} is {spec.default!r}, and {value!r} was fitted"
    return ""


def _strongest(stage: Usd.Stage, path: str) -> Sdf.AttributeSpec | None:
    """Return the strongest opinion of an attribute; None for none."""
    attr = stage.GetAttributeAtPath(path)
    for spec in attr.GetPropertyStack() if attr else []:
        found = spec.layer.GetAttributeAtPath(spec.path)
        if found is not None and (found.HasDefaultValue() or found.HasInfo("timeSamples")):
            return found
    return None


def _author(
    prim: Sdf.PrimSpec, binding: ModelBinding, fitted: Fitted, row: int, index: int
) -> float:
    """Author one parameter, in the unit that the plant has it in, and return its value there."""
    name, unit = fitted.names[row], fitted.units[row]
    there = binding.parameters.get(name)
    wanted = there.unit if there is not None and there.unit else unit
    to = conversion(unit, wanted)
    spec = _attribute(
        prim, f"twin:model:{binding.name}:param:{name}", Sdf.ValueTypeNames.Double, False
    )
    spec.default = to(float(fitted.values[row, index]))
    low, high = sorted(to(float(end[row, index])) for end in (fitted.low, fitted.high))
    data: Any = spec.customData
    data["unit"] = wanted
    data["stderr"] = abs(to.scale) * float(fitted.stderr[row, index])
    data["low"], data["high"] = low, high
    return float(spec.default)


def _attribute(
    prim: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, uniform: bool
) -> Sdf.AttributeSpec:
    found = prim.layer.GetAttributeAtPath(prim.path.AppendProperty(name))
    if found is not None:
        return found
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    return Sdf.AttributeSpec(prim, name, type_name, variability)


def _replace(path: Path, layer: Sdf.Layer) -> None:
    """Write a layer beside a file and put it in its place: no reader sees half of it."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        handle, name = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
        os.close(handle)
        try:
            layer.Export(name)
            os.chmod(name, mode)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except (OSError, Tf.ErrorException) as error:
        raise CalibrationError(f"{path} cannot be written: {error}") from None
