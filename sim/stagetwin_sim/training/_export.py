"""From an actor to a bundle: ONNX, the meaning of its numbers, and what training saw."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import logging
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stagetwin_sim._errors import PolicyError
from stagetwin_sim.environments import EnvironmentConfig
from stagetwin_sim.policies import (
    ActionSpec,
    Bundle,
    Fallback,
    ModelSpec,
    Novelty,
    ObservationSpec,
    PolicySpec,
    Provenance,
    RecurrentState,
)
from stagetwin_sim.policies._inputs import OF_ACTION, distance

__all__ = ["OPSET", "export_bundle", "export_model", "novelty_of", "versions"]

OPSET = 18
_STALE_PERIODS = 3.0
"""Steps that a reading may be old."""
_MARGIN = 1.25
"""What is beyond the greatest distance of training by this factor is not believed."""
_PACKAGES = ("stagetwin", "torch", "rsl-rl-lib", "warp-lang", "numpy", "onnx", "onnxruntime")


def export_model(actor: Any) -> tuple[bytes, ModelSpec, tuple[RecurrentState, ...]]:
    """Return an actor as an ONNX file, weights inside; its normaliser is part of it.

    Args:
        actor: a model of rsl_rl.

    Returns:
        The bytes, what they are, and the states that go round.
    """
    import onnx

    wrapped = actor.as_onnx(verbose=False).cpu().eval()  # a copy of its parts
    names = list(wrapped.input_names)
    states: tuple[RecurrentState, ...] = ()
    dynamic: dict[str, Any] | None = {"x": {0: "batch"}}
    if actor.is_recurrent:
        # The batch is in the second place of a state, and torch cannot make that dynamic there.
        dynamic = None
        shape = (wrapped.num_layers, 1, wrapped.hidden_size)
        wrapped = _Recurrent(wrapped)
        states = tuple(
            RecurrentState(input=name, output=name.replace("in", "out"), shape=shape)
            for name in names[1:]
        )
    inputs = _examples(wrapped, dynamic is not None)
    spec = ModelSpec(opset=OPSET, batch=0 if dynamic is not None else 1)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            wrapped,
            inputs,
            opset_version=OPSET,
            input_names=[spec.input, *[state.input for state in states]],
            output_names=[spec.output, *[state.output for state in states]],
            dynamic_shapes=dynamic,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is asked for as a program
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    found = {one.domain: one.version for one in model.opset_import}
    if found.get("", 0) != OPSET:
        raise PolicyError(f"the exported model has opset {found}, wanted {OPSET}")
    data: bytes = model.SerializeToString(deterministic=True)
    return data, spec, states


class _Recurrent(torch.nn.Module):
    """A recurrent model with exactly the outputs that it has names for."""

    def __init__(self, wrapped: Any) -> None:
        super().__init__()
        self.wrapped = wrapped

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        said: tuple[torch.Tensor, ...] = self.wrapped(*inputs)
        return said[: len(inputs)]


def _examples(wrapped: Any, many: bool) -> tuple[torch.Tensor, ...]:
    """Return inputs of the right shapes; several rows where the batch is to be any."""
    inner = wrapped.wrapped if isinstance(wrapped, _Recurrent) else wrapped
    inputs: tuple[torch.Tensor, ...] = inner.get_dummy_inputs()
    return (inputs[0].repeat(3, 1),) if many else inputs


def _strip(model: Any) -> None:
    """Take out what tells of the machine that exported it: names of files and stack traces."""
    model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the exporter from telling of its own insides."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def novelty_of(numbers: npt.NDArray[np.floating[Any]], margin: float = _MARGIN) -> Novelty:
    """Return the statistics of observations, and where they end.

    Args:
        numbers: a policy's numbers, shape (rows, n).
        margin: factor on the greatest distance, and on the range of each number.
    """
    rows = np.asarray(numbers, np.float64)
    mean = rows.mean(axis=0)
    covariance = np.atleast_2d(np.cov(rows, rowvar=False))
    # Numbers that hardly vary, or always together, would make any small change infinitely far.
    ridge = 1e-3 * np.eye(len(mean))
    precision = np.linalg.inv(covariance + ridge)
    low, high = rows.min(axis=0), rows.max(axis=0)
    reach = np.maximum((margin - 1.0) * (high - low), 1e-3)
    made = Novelty(
        mean=tuple(mean.tolist()),
        precision=tuple(precision.reshape(-1).tolist()),
        low=tuple((low - reach).tolist()),
        high=tuple((high + reach).tolist()),
        samples=len(rows),
    )
    farthest = float(np.max(distance(made, rows[:: max(1, len(rows) // 20000)])))
    return Novelty(
        mean=made.mean,
        precision=made.precision,
        low=made.low,
        high=made.high,
        samples=made.samples,
        threshold=max(margin * farthest, 1e-6),
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages that a training stands on."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def export_bundle(
    actor: Any,
    config: EnvironmentConfig,
    *,
    observations: npt.NDArray[np.floating[Any]] | None = None,
    name: str = "",
    version: str = "1",
    rate_limits: dict[str, float] | None = None,
    fallback: Fallback | None = None,
    provenance: Provenance | None = None,
    report: bytes = b"",
) -> Bundle:
    """Return an actor as a bundle, not yet signed.

    Args:
        actor: a model of rsl_rl.
        config: of the environment that it was trained in.
        observations: a policy's numbers that training saw, shape (rows, n); None declares none.
        name: of the policy; the task's by default.
        version: of the policy.
        rate_limits: of actions by name [unit/s].
        fallback: what leaves when it is not believed.
        provenance: where it comes from.
        report: of its training, as JSON.
    """
    model, spec, states = export_model(actor)
    seconds = config.dt * config.decimation
    limits = rate_limits or {}
    seen = tuple(
        ObservationSpec(
            term=term.term,
            max_age=_STALE_PERIODS * seconds,
            noise=term.noise,
            dropout=term.dropout,
        )
        for term in config.observations
    )
    said = tuple(
        ActionSpec(
            term=term.term,
            rate_limit=limits.get(term.name, float("inf")),
            delay=(term.delay.low * seconds, term.delay.high * seconds),
            stop=min(max(0.0, term.term.low), term.term.high),
        )
        for term in config.actions
    )
    novelty = Novelty()
    if observations is not None:
        novelty = _known(novelty_of(observations), seen)
    return Bundle(
        spec=PolicySpec(
            name=name or config.task,
            version=version,
            task=config.task,
            kind="advice" if 1.0 / seconds <= 1.0 else "velocity",
            rate=1.0 / seconds,
            observations=seen,
            actions=said,
            recurrent=states,
            novelty=novelty,
            fallback=fallback or Fallback(),
            model=spec,
            provenance=provenance or Provenance(versions=versions()),
        ),
        model=model,
        report=report,
    )


def _known(novelty: Novelty, seen: tuple[ObservationSpec, ...]) -> Novelty:
    """Return statistics that let a policy's own last words be anything within their limits.

    What was said last is no observation of the world, and a fallback sets it to what training
    seldom saw.
    """
    low, high = list(novelty.low), list(novelty.high)
    column = 0
    for one in seen:
        for i in range(column, column + one.term.size):
            if one.term.source == OF_ACTION:
                low[i], high[i] = min(low[i], one.term.bounds[0]), max(high[i], one.term.bounds[1])
        column += one.term.size
    return Novelty(
        mean=novelty.mean,
        precision=novelty.precision,
        threshold=novelty.threshold,
        low=tuple(low),
        high=tuple(high),
        samples=novelty.samples,
    )
