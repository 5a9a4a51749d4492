"""What an adviser is told: what its policy reads, what its numbers become, how far it may go."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from stagetwin import CommandError
from stagetwin.envelopes import Envelope
from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._inputs import OF_ACTION
from stagetwin_sim.policies._proposals import Route, SpeedLimit, Switch
from stagetwin_sim.policies._spec import PolicySpec

__all__ = ["Assignment"]


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """An adviser's task at one plant.

    Attributes:
        observations: signals behind each term that the policy sees, in the order of its numbers,
            each as prim path and name, `/World/AMR1.battery`.
        advice: from numbers of actions to commands.
        envelope: of a loop; its basis is the digest of the two above.
    """

    observations: Mapping[str, tuple[str, ...]]
    advice: tuple[Switch | Route | SpeedLimit, ...]
    envelope: Envelope

    @classmethod
    def read(cls, path: str | os.PathLike[str], spec: PolicySpec) -> Assignment:
        """Read it from a TOML file, for a policy.

        Raises:
            PolicyError: it cannot be read, or does not fit the policy.
        """
        try:
            content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PolicyError(f"{path}: cannot be read ({error})") from None
        try:
            return cls.of(content, spec)
        except (PolicyError, CommandError) as error:
            raise PolicyError(f"{path}: {error}") from None

    @classmethod
    def of(cls, content: Mapping[str, object], spec: PolicySpec) -> Assignment:
        """Read it from plain data; see `read`.

        Raises:
            PolicyError: it does not fit the policy.
            CommandError: its envelope cannot be.
        """
        said = {name: content.get(name, empty) for name, empty in _PARTS.items()}
        rest = {name: value for name, value in content.items() if name not in _PARTS}
        if "basis" in rest:
            raise PolicyError("basis follows from observations and advice, and is not given")
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=str)
        rest["basis"] = hashlib.sha256(text.encode()).hexdigest()
        try:
            observations = msgspec.convert(said["observations"], dict[str, tuple[str, ...]])
            advice = msgspec.convert(
                said["advice"], tuple[Switch | Route | SpeedLimit, ...], strict=True
            )
        except msgspec.ValidationError as error:
            raise PolicyError(str(error)) from None
        made = cls(observations=observations, advice=advice, envelope=Envelope.of(rest))
        made.check(spec)
        return made

    def check(self, spec: PolicySpec) -> None:
        """Raise PolicyError where it does not fit a policy."""
        wanted = {
            one.term.name: one.term.size
            for one in spec.observations
            if one.term.source != OF_ACTION
        }
        for name in sorted({*wanted, *self.observations}):
            signals = self.observations.get(name, ())
            if name not in wanted or not signals:
                raise PolicyError(
                    f"observations are of {', '.join(sorted(wanted))}, got {name!r} with "
                    f"{len(signals)} signals"
                )
            if any("." not in one.rpartition("/")[2] or one[0] != "/" for one in signals):
                raise PolicyError(f"observation {name}: signals are like /Prim.name, got {signals}")
        sizes = {one.term.name: one.term.size for one in spec.actions}
        for one in self.advice:
            size = sizes.get(one.action, 0)
            need = len(one.places) if isinstance(one, Route) else one.index + 1
            if not 1 <= need <= size:
                raise PolicyError(
                    f"advice for {one.target}: actions and their sizes are {sizes}, "
                    f"got {one.action} with at least {need}"
                )


_PARTS: dict[str, object] = {"observations": {}, "advice": []}
"""What is not the envelope's own, and what it is where nothing is said."""
