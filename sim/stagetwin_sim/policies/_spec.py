"""What a policy is: the meaning of its numbers, and the rules it runs under."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.policies._term import Term

__all__ = [
    "ActionSpec",
    "Fallback",
    "ModelSpec",
    "Novelty",
    "ObservationSpec",
    "PolicySpec",
    "Provenance",
    "RecurrentState",
]

ADVICE_RATE = 1.0
"""The most often that a policy over fleet control may speak [Hz]."""


class ObservationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A few of the numbers that a policy sees.

    Attributes:
        term: what they mean.
        max_age: how old a reading may be when it is used [s].
        noise: standard deviation that training added [unit].
        dropout: probability of a missing number in training.
    """

    term: Term
    max_age: float
    noise: float = 0.0
    dropout: float = 0.0


class ActionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A few of the numbers that a policy says, in [-1, 1].

    Attributes:
        term: what they mean; limits bound what leaves.
        rate_limit: the most that a value may change by [unit/s]; infinite is no bound.
        delay: shortest and longest delay to its effect in training [s].
        stop: what a stop is [unit].
    """

    term: Term
    rate_limit: float = math.inf
    delay: tuple[float, float] = (0.0, 0.0)
    stop: float = 0.0


class RecurrentState(msgspec.Struct, frozen=True, kw_only=True):
    """A state that a model hands to itself, zero at the start.

    Attributes:
        input: name of the model's input.
        output: name of the output that becomes the next input.
        shape: with the batch, where it has one, of 1.
    """

    input: str
    output: str
    shape: tuple[int, ...]


class Novelty(msgspec.Struct, frozen=True, kw_only=True):
    """What training saw, and what is too far from it to be believed.

    Of the policy's numbers x of one step: each must be within [low, high], and the distance
    sqrt((x - mean)' precision (x - mean)) at most the threshold. Source: Mahalanobis, On the
    generalized distance in statistics, Proceedings of the National Institute of Sciences of India
    2, 1936.

    Attributes:
        mean: shape (n,).
        precision: inverse of the covariance, rows one after another, shape (n * n,).
        threshold: greatest distance; infinite is no bound.
        low, high: of each number; empty is no bound.
        samples: how many observations they follow from.
    """

    mean: tuple[float, ...] = ()
    precision: tuple[float, ...] = ()
    threshold: float = math.inf
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    samples: int = 0


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """What leaves when the policy is not believed.

    Attributes:
        action: `stop` (each action's own `stop`) or `hold` (what left last).
        hold_time: how long it may be held before it is a stop [s].
        resume: how many steps in a row must be sound before the policy speaks again.
    """

    action: Literal["stop", "hold"] = "stop"
    hold_time: float = 0.5
    resume: int = 1


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The network in the bundle.

    Attributes:
        opset: of ONNX.
        batch: fixed size; 0 is any.
        input: name of the input, shape (batch, history * n).
        output: name of the output, shape (batch, m).
        normalised: whether the model itself normalises the policy's numbers further.
    """

    opset: int
    batch: int = 0
    input: str = "observation"
    output: str = "action"
    normalised: bool = True


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a policy comes from.

    Attributes:
        seed: of the training.
        versions: of packages, by name.
        config: SHA-256 of the training's configuration.
        report: SHA-256 of its report; empty where there is none.
        steps: environment steps it was trained by.
        simulation: of the worlds it was trained in; a policy from a simulation says so.
    """

    seed: int = 0
    versions: dict[str, str] = {}
    config: str = ""
    report: str = ""
    steps: int = 0
    simulation: str = "warp"


class PolicySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that whoever runs a policy needs to know.

    Attributes:
        name: of the policy.
        version: of the policy.
        task: it was trained for.
        kind: `velocity`: beside the vehicle; `advice`: over fleet control, 1 Hz or slower.
        rate: how often it acts [Hz].
        observations: in the order of the input's columns.
        actions: in the order of the output's columns.
        history: steps in the input, oldest first.
        recurrent: states that go round.
        novelty: statistics of what training saw.
        fallback: what leaves when it is not believed.
        model: the network.
        provenance: where it comes from.

    Raises:
        PolicyError: what it says cannot be.
    """

    name: str
    version: str
    task: str
    rate: float
    observations: tuple[ObservationSpec, ...]
    actions: tuple[ActionSpec, ...]
    model: ModelSpec
    kind: Literal["velocity", "advice"] = "velocity"
    history: int = 1
    recurrent: tuple[RecurrentState, ...] = ()
    novelty: Novelty = Novelty()
    fallback: Fallback = Fallback()
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        check(self)

    @property
    def observation_count(self) -> int:
        """Numbers of an observation in one step."""
        return sum(one.term.size for one in self.observations)

    @property
    def action_count(self) -> int:
        """Numbers of an action."""
        return sum(one.term.size for one in self.actions)

    @property
    def period(self) -> float:
        """Time between two actions [s]."""
        return 1.0 / self.rate


def check(spec: PolicySpec) -> None:
    """Raise PolicyError where a spec says what cannot be."""

    def need(holds: bool, what: str, allowed: str, got: object) -> None:
        if not holds:
            raise PolicyError(f"policy {spec.name!r}: {what} must be {allowed}, got {got}")

    need(bool(spec.observations) and bool(spec.actions), "observations and actions", "some", "none")
    need(spec.rate > 0.0 and math.isfinite(spec.rate), "rate", "above 0 Hz and finite", spec.rate)
    if spec.kind == "advice":
        need(spec.rate <= ADVICE_RATE, "rate of advice", f"at most {ADVICE_RATE:g} Hz", spec.rate)
    need(spec.history >= 1, "history", "at least 1 step", spec.history)
    for group in (spec.observations, spec.actions):
        names = [one.term.name for one in group]
        need(len(set(names)) == len(names), "names of terms", "unique", names)
    for seen in spec.observations:
        finite = math.isfinite(seen.max_age) and math.isfinite(seen.noise)
        need(finite, f"max_age and noise of {seen.term.name}", "finite", (seen.max_age, seen.noise))
        need(seen.max_age > 0.0, f"max_age of {seen.term.name}", "above 0 s", seen.max_age)
    for said in spec.actions:
        term = said.term
        need(said.rate_limit > 0.0, f"rate_limit of {term.name}", "above 0", said.rate_limit)
        allowed = f"within [{term.low:g}, {term.high:g}] {term.unit}"
        need(term.low <= said.stop <= term.high, f"stop of {term.name}", allowed, said.stop)
    need(spec.model.batch in (0, 1), "batch", "0 (any) or 1", spec.model.batch)
    hold = spec.fallback.hold_time
    need(0.0 <= hold < math.inf, "hold_time", "at least 0 s and finite", hold)
    need(spec.fallback.resume >= 1, "resume", "at least 1 step", spec.fallback.resume)
    novelty, count = spec.novelty, spec.observation_count
    need(len(novelty.mean) in (0, count), "novelty.mean", f"of {count}", len(novelty.mean))
    need(
        len(novelty.precision) == len(novelty.mean) ** 2,
        "novelty.precision",
        f"of {len(novelty.mean) ** 2}",
        len(novelty.precision),
    )
    need(
        len(novelty.low) == len(novelty.high) and len(novelty.low) in (0, count),
        "novelty.low and high",
        f"of {count}",
        (len(novelty.low), len(novelty.high)),
    )
    numbers = (*novelty.mean, *novelty.precision, *novelty.low, *novelty.high)
    need(all(map(math.isfinite, numbers)), "numbers of novelty", "finite", "others")
    need(novelty.threshold > 0.0, "novelty.threshold", "above 0", novelty.threshold)
