"""The live layer's writer against what USD itself can do.

`ours` is the whole way from newest-value columns to composed attributes: `LiveLayer.write` with the
hub's columns, value by value, without times (the peers write none). `naive` is `attr.Set` on a
cached handle. `limit` is the bare loop that sets spec defaults in blocks of 60. The last case is
the rate of flushes of one hundredth of the channels, against the rate of full flushes.

    python -m benchmarks.live_layer [--rounds N]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Mapping

import numpy as np
from pxr import Sdf, Usd

import stagetwin  # noqa: F401 - registers the schema before the first stage
from benchmarks._report import Case, paired, report
from stagetwin.bindings import ChannelIndex, TelemetryBinding, read_bindings
from stagetwin.hub import Changes, Latest
from stagetwin.live import BLOCK_SIZE, LiveLayer, SessionLayers
from stagetwin.service._service import settle_memory

VALUE = "twin:telemetry:v:value"


def plant(count: int) -> Sdf.Layer:
    """Return a root layer with `count` prims, 100 under each parent, one bound double each."""
    root = Sdf.Layer.CreateAnonymous("plant.usda")
    types, uniform = Sdf.ValueTypeNames, Sdf.VariabilityUniform

    def define(path: str, type_name: str) -> Sdf.PrimSpec:
        prim = Sdf.CreatePrimInLayer(root, path)
        prim.specifier, prim.typeName = Sdf.SpecifierDef, type_name
        return prim

    with Sdf.ChangeBlock():
        world = define("/World", "Xform")
        Sdf.AttributeSpec(world, "twin:connection", types.Token, uniform).default = "field"
        field = define("/World/field", "TwinConnection")
        Sdf.AttributeSpec(field, "twin:endpoint", types.String, uniform).default = "soft://bench"
        for group in range(-(-count // 100)):
            define(f"/World/g{group}", "Xform")
            for i in range(group * 100, min(group * 100 + 100, count)):
                prim = define(f"/World/g{group}/p{i}", "Xform")
                prim.SetInfo(
                    "apiSchemas", Sdf.TokenListOp.Create(prependedItems=["TwinTelemetryAPI:v"])
                )
                Sdf.AttributeSpec(prim, VALUE, types.Double)
                address = Sdf.AttributeSpec(prim, "twin:telemetry:v:address", types.String, uniform)
                address.default = "{prim.name}"
    return root


class Contender:
    """One stage and its live layer; every contender writes the same specs, in turn."""

    def __init__(self, root: Sdf.Layer) -> None:
        self.stage = Usd.Stage.Open(root)
        self.layers = SessionLayers(self.stage)
        index = ChannelIndex()
        self.bindings: Mapping[int, TelemetryBinding] = read_bindings(self.stage, index).telemetry
        self.count = len(index)
        self.live = LiveLayer(self.stage, self.layers.live)
        self.live.bind(self.bindings, self.count)
        self.specs = [self.layers.live.GetAttributeAtPath(b.target) for b in self.bindings.values()]
        self.attrs = [self.stage.GetAttributeAtPath(b.target) for b in self.bindings.values()]

    def check(self, expected: np.ndarray) -> None:
        """Assert that every composed attribute holds what was written."""
        seen = [attr.Get() for attr in self.attrs]
        assert seen == expected.tolist(), "a value did not arrive"


def timed(
    write: Callable[[np.ndarray], None], contender: Contender, seed: int
) -> Callable[[], float]:
    """Return a run that writes a new value to every attribute and yields writes per CPU-second."""
    # A seed each: what another contender has just written would cost nothing to write again.
    generator = np.random.default_rng(seed)

    def run() -> float:
        values = generator.random(contender.count)
        started = time.process_time()
        write(values)
        spent = time.process_time() - started
        contender.check(values)
        return contender.count / spent

    return run


def ours(contender: Contender) -> Callable[[np.ndarray], None]:
    """Write through the live layer, from the hub's columns."""
    latest = Latest()
    latest.grow(contender.count)
    empty = np.empty(0, np.intp)

    def write(values: np.ndarray) -> None:
        changed = np.flatnonzero(latest.value != values)
        latest.value[changed] = values[changed]
        contender.live.write(Changes(changed, empty, empty), latest, math.inf)

    return write


def naive(contender: Contender) -> Callable[[np.ndarray], None]:
    """Call Set on cached attribute handles."""
    attrs = contender.attrs
    contender.stage.SetEditTarget(contender.layers.live)

    def write(values: np.ndarray) -> None:
        for attr, value in zip(attrs, values.tolist(), strict=True):
            attr.Set(value)

    return write


def limit(contender: Contender) -> Callable[[np.ndarray], None]:
    """Set spec defaults in blocks of 60, values already in a list, nothing else."""
    specs = contender.specs

    def write(values: np.ndarray) -> None:
        listed = values.tolist()
        for start in range(0, len(specs), BLOCK_SIZE):
            stop = start + BLOCK_SIZE
            with Sdf.ChangeBlock():
                for spec, value in zip(specs[start:stop], listed[start:stop], strict=True):
                    spec.default = value

    return write


def partial_flush(contender: Contender, fraction: float, rounds: int) -> tuple[float, float]:
    """Return flushes per CPU-second, of a fraction of the channels and of all of them."""
    write = ours(contender)
    generator = np.random.default_rng(11)
    values = generator.random(contender.count)
    write(values)

    def flush(share: float) -> Callable[[], float]:
        def run() -> float:
            chosen = generator.permutation(contender.count)[: int(contender.count * share)]
            values[chosen] += 1.0
            started = time.process_time()
            write(values)
            spent = time.process_time() - started
            contender.check(values)
            return 1 / spent

        return run

    few, full = paired(rounds, flush(fraction), flush(1.0))
    return few, full


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each contender")
    rounds = parser.parse_args().rounds
    cases: list[Case] = []
    for count, name in ((10_000, "10k"), (100_000, "100k")):
        contender = Contender(plant(count))
        settle_memory()  # as the service does once it has bound; it helps every contender
        runs = [
            timed(make(contender), contender, seed)
            for seed, make in enumerate((ours, naive, limit))
        ]
        for run in runs:
            run()  # caches warm, first-write costs out
        mine, set_each, bare = paired(rounds if count < 50_000 else max(6, rounds // 2), *runs)
        cases.append(Case(name, mine, {"naive": set_each, "limit": bare}))
        if count == 100_000:
            few, full = partial_flush(contender, 0.01, max(3, rounds // 4))
            # As a rate of whole tables, so that higher is better in every case.
            cases.append(Case("1% of 100k flushes", few, {"full": full}))
    report("live_layer", "writes per CPU-second", False, cases)


if __name__ == "__main__":
    main()
