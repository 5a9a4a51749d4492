"""What a fault is, and scripts of them."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stagetwin_sim._errors import FaultError

__all__ = ["Fault", "FaultScript", "said_of"]

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Fault(BaseModel):
    """One fault: where, what, how much and when.

    Attributes:
        asset: of a fault of the process: prim path or id of the machine, or path of the prim that
            has the model.
        signal: of a fault of a sensor: `PRIM.signal`, `ID.signal`, or path of the property.
        kind: a port of a model, or one of SENSOR_KINDS.
        amount: how much [unit]; None where the kind has none.
        unit: UCUM, of the amount; empty is the unit of the port or signal.
        model: name of the model, where several of an asset have such a port.
        at: when it begins [s].
        lasts: how long it lasts [s]; `for` in a script.
        ramp: how long it takes to its full amount [s].
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    asset: str = ""
    signal: str = ""
    kind: Annotated[str, Field(min_length=1)]
    amount: Finite | None = None
    unit: str = ""
    model: str = ""
    at: Annotated[Finite, Field(ge=0)] = 0.0
    lasts: Annotated[float, Field(gt=0, alias="for")] = math.inf
    ramp: Annotated[Finite, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.asset) == bool(self.signal):
            raise ValueError("expected either asset (the process) or signal (its sensor)")
        if self.signal and self.model:
            raise ValueError("a sensor has no model")
        return self

    @property
    def where(self) -> str:
        """The asset or the signal."""
        return self.asset or self.signal

    def level(self, time: float) -> float:
        """Return how far it is at a time [s]: 0 before and after, 1 in full."""
        since = time - self.at
        if since < 0 or since >= self.lasts:
            return 0.0
        return min(since / self.ramp, 1.0) if self.ramp > 0 else 1.0


class FaultScript(BaseModel):
    """Faults of a plant, by time.

    Attributes:
        seed: of what is random in them; None is that of the machines.
        fault: the faults.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int | None = None
    fault: tuple[Fault, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a script (TOML).

        Raises:
            FaultError: it cannot be read, or says something that is not allowed; names the entry.
        """
        try:
            said = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls.model_validate(said)
        except OSError as error:
            raise FaultError(f"cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise FaultError(f"{path} is no TOML: {error}") from None
        except ValidationError as error:
            raise FaultError(f"{path}: {said_of(error)}") from None


def said_of(error: ValidationError) -> str:
    """Return what is wrong, in one line; entries are counted from 1."""
    rows = []
    for each in error.errors(include_url=False, include_context=False):
        first, *rest = each["loc"] or ("",)
        place = str(first)
        if first == "fault" and rest and isinstance(rest[0], int):
            place, rest = f"fault {rest[0] + 1}", rest[1:]
        got = "" if isinstance(each["input"], dict) else f", got {each['input']!r:.40}"
        rows.append(f"{'.'.join([place, *map(str, rest)])}: {each['msg']}{got}")
    return "; ".join(rows)
