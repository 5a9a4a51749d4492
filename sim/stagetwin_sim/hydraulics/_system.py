"""All networks of a plan as one system."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import warp as wp

from stagetwin_sim._errors import ModelError, SnapshotError
from stagetwin_sim.engine import Column, Context, Floats, PlanBuilder, Saved, host_copy
from stagetwin_sim.hydraulics._assembly import Assembly, ElementPlan, assemble, networks_of
from stagetwin_sim.hydraulics._lanes_kernels import LANES, LEAST_WORLDS, lanes_kernel
from stagetwin_sim.hydraulics._layout_kernels import COEFFICIENTS, MARKS, Layout, Work
from stagetwin_sim.hydraulics._network_kernels import networks_kernel
from stagetwin_sim.hydraulics._shapes import volume_share

__all__ = ["NETWORK_PORTS", "HydraulicPlan", "HydraulicSystem", "hydraulic_plan"]

RATE = 20.0
"""Steps a second where nothing else is said [Hz]."""
ITERATIONS = 100
"""Newton steps at most; a step of a plant at work takes 1 or 2."""
NETWORK_PORTS = (("residual", "m3/s"), ("iterations", "1"), ("failures", "1"))
"""What each network shows of itself: largest imbalance of a node, and how it was found."""

_BY_WORLD = ("parameter", "failures")
_SAVED = ("head", "temperature", "flow", "state", "parameter", "failures")


@dataclass(frozen=True, kw_only=True)
class HydraulicPlan:
    """The networks of a plan.

    Attributes:
        networks: elements of each.
        columns: of residual, iterations and failures of each network.
        rate: steps a second [Hz].
        name: unique in the plan.
        iterations: Newton steps of a step at most.
    """

    networks: Sequence[Sequence[ElementPlan]]
    columns: Sequence[tuple[int, int, int]]
    rate: float = RATE
    name: str = "hydraulics"
    iterations: int = ITERATIONS

    @cached_property
    def assembly(self) -> Assembly:
        """The arrays of the kernel."""
        return assemble(self.networks)

    def build(self, context: Context) -> HydraulicSystem:
        """See SystemPlan."""
        return HydraulicSystem(self, context)


def hydraulic_plan(
    elements: Sequence[ElementPlan],
    builder: PlanBuilder,
    *,
    rate: float = RATE,
    name: str = "hydraulics",
) -> HydraulicPlan:
    """Return the plan of elements, with columns for what each network shows of itself.

    A network is called by its first element: `PRIM.twin:model:NAME:network:residual`.
    """
    networks = networks_of(elements)
    columns = []
    for network in networks:
        prim, _, model = network[0].place.rpartition(".")
        residual, iterations, failures = (
            builder.column(Column(f"{prim}.twin:model:{model}:network:{port}", unit, role="output"))
            for port, unit in NETWORK_PORTS
        )
        columns.append((residual, iterations, failures))
    return HydraulicPlan(networks=networks, columns=columns, rate=rate, name=name)


class HydraulicSystem:
    """The networks of every world of an engine.

    Attributes:
        plan: what it was made from.
        parameters: shape (worlds, parameters of all elements), float64; may be assigned to.
    """

    captured = True

    def __init__(self, plan: HydraulicPlan, context: Context) -> None:
        self.plan = plan
        self.name, self.rate = plan.name, plan.rate
        self._context = context
        a = self._assembly = plan.assembly
        device, worlds = context.device, context.worlds
        layout: Any = Layout()
        layout.free_nodes = a.free_nodes
        flat = [column for three in plan.columns for column in three]
        arrays = {**a.arrays, "net_columns": np.array(flat or [0], np.int32)}
        for name, values in arrays.items():
            setattr(layout, name, wp.array(values, dtype=wp.int32, device=device))
        sizes = {
            "head": a.nodes,
            "temperature": a.nodes,
            "flow": a.branches,
            "state": a.states,
            "parameter": len(a.parameters),
            "failures": len(plan.networks),
            "coefficient": a.branches * int(COEFFICIENTS),
            "start": a.branches,
            "change": a.branches,
            "loss": a.branches,
            "slope": a.branches,
            "conductance": a.branches,
            "ground": a.nodes,
            "right": a.nodes,
            "come": a.nodes,
            "mesh": a.entries,
            "mark": len(plan.networks) * int(MARKS),
        }
        work: Any = Work()
        # One world has no use for lanes, and a GPU has lanes of its own.
        many = worlds >= LEAST_WORLDS and wp.get_device(device).is_cpu
        work.lanes = self._lanes = LANES if many else 1
        self._arrays: dict[str, wp.array[Any]] = {}
        for name, size in sizes.items():
            shape: tuple[int, ...] = (worlds, max(size, 1))
            if name not in _BY_WORLD:
                shape = (-(-worlds // self._lanes), max(size, 1), self._lanes)
            array: Any = wp.zeros(shape, dtype=wp.float64, device=device)
            if name not in _BY_WORLD:
                array = array.transpose((0, 2, 1))
            self._arrays[name] = array
            setattr(work, name, array)
        self._layout, self._work = layout, work
        self._bounds = (np.arange(a.branches)[:, None] * int(COEFFICIENTS) + (5, 6)).ravel()
        self.parameters = self._arrays["parameter"]
        self._outputs = {
            column: (index, port.name)
            for index, e in enumerate(a.elements)
            for port, column in zip(e.element.outputs, e.outputs, strict=True)
        }
        self._begin()

    def _begin(self) -> None:
        """Fill the tanks and set the valves as parameters and measurements say."""
        a, worlds = self._assembly, self._context.worlds
        if not a.elements:
            return
        bus: Floats = host_copy(self._context.bus)[0]
        state = np.zeros(max(a.states, 1))
        warm = np.full(max(a.nodes, 1), 293.15)
        for index, e in enumerate(a.elements):
            at, element = a.state[index], e.element
            if element.name == "valve":
                state[at] = min(max(float(np.nan_to_num(bus[e.inputs[0]])), 0.0), 1.0)
            elif element.name == "tank":
                say = dict(zip((p.name for p in element.parameters), e.parameters, strict=True))
                measured = bus[e.inputs[0]]
                level = measured if measured >= 0 else say["start_level"]
                share = volume_share(level / say["height"], say["shape"])
                state[at : at + 2] = share * say["volume"], say["start_temperature"]
                warm[a.arrays["element_node"][index]] = say["start_temperature"]
        for name, values in (
            ("state", state),
            ("temperature", warm),
            ("parameter", np.array(a.parameters, np.float64)),
        ):
            self._put(name, np.repeat(values[None], worlds, axis=0))

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        if self.plan.networks:
            lanes = self._lanes > 1
            worlds, networks = self._context.worlds, len(self.plan.networks)
            wp.launch(
                lanes_kernel if lanes else networks_kernel,
                dim=(-(-worlds // self._lanes), networks),
                inputs=[self._layout, wp.float64(dt), substeps, self.plan.iterations],
                outputs=[self._work, self._context.bus],
                device=self._context.device,
            )

    def save(self) -> Saved:
        """See System."""
        bounds = self._take("coefficient")[:, self._bounds]
        return {**{name: self._take(name) for name in _SAVED}, "bounds": bounds}

    def load(self, saved: Saved) -> None:
        """See System."""
        coefficients = self._take("coefficient")
        shapes = {name: self._take(name).shape for name in _SAVED}
        shapes["bounds"] = coefficients[:, self._bounds].shape
        for name, shape in shapes.items():
            values = saved.get(name)
            if values is None or values.shape != shape:
                got = None if values is None else values.shape
                raise SnapshotError(f"{self.name}: {name} has shape {shape}, got {got}")
        for name in _SAVED:
            self._put(name, saved[name])
        coefficients[:, self._bounds] = saved["bounds"]
        self._put("coefficient", coefficients)
        self._arrays["slope"].zero_()

    def _take(self, name: str) -> Floats:
        """Return a copy of what is remembered, shape (worlds, entries)."""
        values: Floats = host_copy(self._arrays[name])
        return values.reshape(-1, values.shape[-1])[: self._context.worlds]

    def _put(self, name: str, values: Floats) -> None:
        """Remember values, shape (worlds, entries); lanes without a world repeat the last."""
        array = self._arrays[name]
        short = int(np.prod(array.shape[:-1])) - len(values)
        array.assign(np.concatenate((values, *[values[-1:]] * short)).reshape(array.shape))

    # -- what others ask

    def failures(self) -> dict[str, int]:
        """Return how many steps were not solved, by network, where there are any.

        A network is called by its elements; what is counted is the sum over all worlds.
        """
        counts = self._take("failures").sum(axis=0)
        return {
            ", ".join(e.place for e in network): int(count)
            for network, count in zip(self.plan.networks, counts, strict=False)
            if count
        }

    def parameter(self, place: str, name: str) -> int:
        """Return the place of a parameter of an element among `parameters`.

        Raises:
            ModelError: there is no such element, or it has no such parameter.
        """
        for index, e in enumerate(self._assembly.elements):
            if e.place == place:
                for at, parameter in enumerate(e.element.parameters):
                    if parameter.name == name:
                        return self._assembly.parameter[index] + at
                raise ModelError(f"{place}: a {e.element.name} has no parameter {name}")
        raise ModelError(f"{place} is in no network")

    def correct(self, expected: Mapping[int, float]) -> Collection[int]:
        """Set what tanks hold and where valves are, so that columns show what is expected.

        Args:
            expected: values by column; levels, volumes, temperatures and fills of tanks and
                openings of valves are taken, in every world.

        Returns:
            The columns that were taken.
        """
        taken = [column for column in expected if self._settable(column)]
        if not taken:
            return ()
        state, parameters = self._take("state"), host_copy(self.parameters)
        for column in taken:
            index, port = self._outputs[column]
            self._set(state, parameters, index, port, expected[column])
        self._put("state", state)
        return taken

    def _settable(self, column: int) -> bool:
        index, port = self._outputs.get(column, (-1, ""))
        if index < 0:
            return False
        name = self._assembly.elements[index].element.name
        of_tank = name == "tank" and port in ("level", "volume", "fill", "temperature")
        return of_tank or (name == "valve" and port in ("opening", "position"))

    def _set(self, state: Floats, parameters: Floats, index: int, port: str, value: float) -> None:
        at = self._assembly.state[index]
        element = self._assembly.elements[index].element
        if element.name == "valve":
            share = value if port == "opening" else value * 2 / np.pi
            state[:, at] = min(max(share, 0.0), 1.0)
            return
        first = self._assembly.parameter[index]
        named = {p.name: parameters[:, first + i] for i, p in enumerate(element.parameters)}
        if port == "temperature":
            state[:, at + 1] = value
        elif port == "volume":
            state[:, at] = np.clip(value, 0.0, named["volume"])
        elif port == "fill":
            state[:, at] = np.clip(value, 0.0, 1.0) * named["volume"]
        else:
            shape = float(named["shape"][0])
            shares = [volume_share(value / float(height), shape) for height in named["height"]]
            state[:, at] = np.array(shares) * named["volume"]
