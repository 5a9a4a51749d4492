"""What an FMU says of itself: variables, steps, abilities."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import fmpy
from fmpy.model_description import ValidationError, read_model_description

from stagetwin.bindings import fmu_name
from stagetwin_sim._errors import FmuError
from stagetwin_sim.fmi._archive import digest_of, unpacked
from stagetwin_sim.fmi._units import si_unit
from stagetwin_sim.plant import Conversion

__all__ = ["Fmu", "Variable", "read_fmu", "read_folder"]

NUMBERS = {
    "Real": "f8",
    "Integer": "i4",
    "Float64": "f8",
    "Float32": "f4",
    "Int8": "i1",
    "UInt8": "u1",
    "Int16": "i2",
    "UInt16": "u2",
    "Int32": "i4",
    "UInt32": "u4",
    "Int64": "i8",
    "UInt64": "u8",
}
"""Types of variables that are numbers, and how they lie in memory."""


_FAULTS = re.compile("Warning|Discard|Error|Fatal")
"""In the names of the standard's categories of messages (FMI 2.0, 2.2.4; FMI 3.0, 2.4.5)."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One scalar number of an FMU.

    Attributes:
        name: as the FMU has it.
        type: FMI's name of it.
        reference: value reference.
        causality, variability, initial: FMI's words.
        unit: UCUM, an SI unit; empty where the FMU says nothing.
        si: from the FMU's numbers to those of `unit`.
        minimum, maximum: what it may be, in the FMU's numbers.
        start: in the FMU's numbers.
        doc: what it is.
    """

    name: str
    type: str
    reference: int
    causality: str
    variability: str
    initial: str
    unit: str = ""
    si: Conversion = field(default_factory=Conversion)
    minimum: float = -math.inf
    maximum: float = math.inf
    start: float = 0.0
    doc: str = ""

    @property
    def port(self) -> str:
        """The name that USD can hold."""
        return fmu_name(self.name)

    @property
    def settable(self) -> bool:
        """Whether its start may be set (FMI 2.0, section 2.2.7; FMI 3.0, section 2.4.7.4)."""
        if self.causality in ("independent", "structuralParameter", "calculatedParameter"):
            return False
        return self.variability != "constant" and self.initial in ("exact", "approx")

    def own(self, value: float) -> float:
        """Return an SI value in the FMU's numbers."""
        return (value - self.si.offset) / self.si.scale


@dataclass(frozen=True, kw_only=True)
class Fmu:
    """One co-simulation FMU, unpacked.

    Attributes:
        path: of the file.
        digest: fingerprint of its content.
        folder: where it is unpacked.
        name: of the model.
        version: of FMI, 2 or 3.
        identifier, token: what its library and its instances are asked for by.
        variables: scalar numbers by port name.
        unusable: why the other variables cannot be bound, by port name.
        step: preferred [s]; 0 where it says nothing.
        fixed_step: its internal step [s]; 0 where there is none or it is not told.
        start_time: [s].
        tolerance: relative, of its solver; None where it says nothing.
        once: whether a process can hold one instance only.
        savable: whether its state can be taken out and put back.
        variable_step: whether steps may differ.
        event_mode: whether it hands events over.
        categories: of its messages about what goes wrong.
        remarks: what is wrong with its description and does not matter.
        lacks: the capabilities that it would need to be savable, as its description spells them.
    """

    path: Path
    digest: str
    folder: Path
    name: str
    version: int
    identifier: str
    token: str
    variables: Mapping[str, Variable]
    unusable: Mapping[str, str]
    step: float
    fixed_step: float
    start_time: float
    tolerance: float | None
    once: bool
    savable: bool
    variable_step: bool
    event_mode: bool
    categories: tuple[str, ...] = ()
    remarks: str = ""
    lacks: tuple[str, ...] = ()

    def _of(self, causality: str) -> tuple[Variable, ...]:
        return tuple(v for v in self.variables.values() if v.causality == causality)

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """What it takes."""
        return self._of("input")

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """What it gives."""
        return self._of("output")

    @property
    def parameters(self) -> tuple[Variable, ...]:
        """What may be set before it starts."""
        return self._of("parameter")

    @property
    def library(self) -> Path:
        """Path of its shared library for this platform."""
        return _library(self.folder, self.version, self.identifier)


def read_fmu(path: str | Path) -> Fmu:
    """Read an FMU; one content is unpacked and read once in a process.

    Raises:
        FmuError: it cannot be used here, and why.
    """
    found = Path(path)
    return _read(found, digest_of(found))


@lru_cache(maxsize=256)
def _read(path: Path, digest: str) -> Fmu:
    return read_folder(unpacked(path), path, digest)


def read_folder(folder: Path, path: Path, digest: str) -> Fmu:
    """Read an FMU that is unpacked already.

    Raises:
        FmuError: it cannot be used here, and why.
    """
    said, remarks = _description(folder, path)
    if said.fmiMajorVersion not in (2, 3):
        raise FmuError(f"{path} is of FMI {said.fmiVersion}; 2.0 and 3.0 are read")
    mode = said.coSimulation
    if mode is None:
        raise FmuError(f"{path} is for model exchange; one for co-simulation is needed")
    if not re.fullmatch(r"[A-Za-z_]\w*", mode.modelIdentifier or ""):
        raise FmuError(f"{path}: {mode.modelIdentifier!r} is no C identifier")
    library = _library(folder, said.fmiMajorVersion, mode.modelIdentifier)
    if not library.is_file():
        has = sorted(p.name for p in (folder / "binaries").glob("*") if p.is_dir())
        raise FmuError(
            f"{path} has no binary for {library.parent.name}; it has {', '.join(has) or 'none'}"
        )
    experiment = said.defaultExperiment
    variables, unusable = _variables(said, path)
    return Fmu(
        path=path,
        digest=digest,
        folder=folder,
        name=said.modelName,
        version=said.fmiMajorVersion,
        identifier=mode.modelIdentifier,
        token=said.guid,
        variables=variables,
        unusable=unusable,
        step=_number(experiment and experiment.stepSize, 0.0),
        fixed_step=_number(mode.fixedInternalStepSize, 0.0),
        start_time=_number(experiment and experiment.startTime, 0.0),
        tolerance=_number(experiment and experiment.tolerance, 0.0) or None,
        once=bool(mode.canBeInstantiatedOnlyOncePerProcess),
        savable=bool(mode.canGetAndSetFMUstate and mode.canSerializeFMUstate),
        variable_step=bool(mode.canHandleVariableCommunicationStepSize),
        event_mode=bool(mode.hasEventMode),
        categories=tuple(c.name for c in said.logCategories if _FAULTS.search(c.name)),
        remarks=remarks,
        lacks=_lacking(mode, said.fmiMajorVersion),
    )


def _lacking(mode: Any, version: int) -> tuple[str, ...]:
    state = "FMUstate" if version == 2 else "FMUState"
    able = {
        f"canGetAndSet{state}": mode.canGetAndSetFMUstate,
        f"canSerialize{state}": mode.canSerializeFMUstate,
    }
    return tuple(name for name, has in able.items() if not has)


def _description(folder: Path, path: Path) -> tuple[Any, str]:
    try:
        try:
            return read_model_description(folder), ""
        except ValidationError as error:
            remarks = "; ".join(str(problem) for problem in error.problems[:3])
            return read_model_description(folder, validate=False), remarks
    except Exception as error:  # fmpy raises bare Exceptions, and lxml its own
        raise FmuError(f"{path}: modelDescription.xml cannot be read: {error}") from None


def _library(folder: Path, version: int, identifier: str) -> Path:
    platform = fmpy.platform if version == 2 else fmpy.platform_tuple
    return folder / "binaries" / str(platform) / f"{identifier}{fmpy.sharedLibraryExtension}"


def _variables(said: Any, path: Path) -> tuple[dict[str, Variable], dict[str, str]]:
    units = {unit.name: unit for unit in said.unitDefinitions}
    found: dict[str, Variable] = {}
    unusable: dict[str, str] = {}
    for each in said.modelVariables:
        port = fmu_name(each.name)
        if port in found:
            unusable[port] = f"{found.pop(port).name} and {each.name} have one name in USD"
        elif port in unusable:
            continue
        elif each.type not in (*NUMBERS, "Boolean", "Enumeration"):
            unusable[port] = f"{each.name} is a {each.type}, no number"
        elif each.dimensions:
            unusable[port] = f"{each.name} is an array"
        else:
            found[port] = _variable(each, units, path)
    return found, unusable


def _variable(said: Any, units: Mapping[str, Any], path: Path) -> Variable:
    kind = said.declaredType
    name = said.unit or getattr(kind, "unit", None) or ""
    unit = units.get(name)
    relative = bool(said.relativeQuantity or getattr(kind, "relativeQuantity", False))
    floating = said.type in ("Real", "Float32", "Float64")
    ucum, si = si_unit(name, unit and unit.baseUnit, relative)
    if not floating:
        ucum, si = "1", Conversion()
    try:
        return Variable(
            name=said.name,
            type=said.type,
            reference=int(said.valueReference),
            causality=said.causality,
            variability=said.variability,
            initial=said.initial or "",
            unit=ucum,
            si=si,
            minimum=_number(said.min or getattr(kind, "min", None), -math.inf),
            maximum=_number(said.max or getattr(kind, "max", None), math.inf),
            start=_start(said.start),
            doc=said.description or "",
        )
    except ValueError as error:
        raise FmuError(f"{path}: {said.name}: {error}") from None


def _number(text: Any, otherwise: float) -> float:
    return otherwise if text is None or text == "" else float(text)


def _start(text: Any) -> float:
    words = {"true": 1.0, "false": 0.0, "": 0.0, "None": 0.0}
    return words[str(text)] if str(text) in words else float(text)
