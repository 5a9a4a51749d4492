"""Bodies in every world of an engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import newton
import numpy as np
import numpy.typing as npt
import warp as wp

from stagetwin_sim._errors import BodiesError
from stagetwin_sim.bodies._bodies_kernels import (
    count_contacts,
    read_targets,
    run_belts,
    write_contacts,
    write_joints,
)
from stagetwin_sim.bodies._losses import Losses
from stagetwin_sim.bodies._memory import ActuatorMemory, ArrayMemory, FrictionMemory, Memory, taken
from stagetwin_sim.bodies._model import (
    BeltMeshes,
    contact_capacity,
    make_model,
    make_pipeline,
    make_solver,
)
from stagetwin_sim.bodies._plan import BodiesPlan, BodyHook
from stagetwin_sim.bodies._touches import Touch, touches
from stagetwin_sim.engine import Context, Saved, host_copy

__all__ = ["BodiesSystem", "Place"]

_MOVING = ("joint_q", "joint_qd", "body_q", "body_qd")


class Place(NamedTuple):
    """What an index of newton's stands for.

    Attributes:
        path: of the prim.
        world: it is in.
    """

    path: str
    world: int


class BodiesSystem:
    """Bodies in every world of an engine; a System.

    Attributes:
        plan: what it was made from.
        model, state, control, contacts, solver: newton's. They stay the same for the system's life.
        context: what it shares with the engine's other systems.
        hooks: of this engine, in the order of the plan's.
        paths: of the prims of bodies, in the order of poses.
        resets: whether a pose is of the world, shape (n,); else it is of the prim's parent.
    """

    captured = True

    def __init__(self, plan: BodiesPlan, context: Context) -> None:
        scene = plan.scene
        self.plan = plan
        self.name = plan.name
        self.rate = plan.rate
        self.paths: Sequence[str] = scene.frames.paths
        self.resets = scene.frames.resets
        self.context = context
        worlds, device = context.worlds, context.device
        self._worlds = worlds
        self.model = make_model(plan, worlds, device)
        self._pipeline = make_pipeline(plan, self.model, worlds)
        self.contacts = self._pipeline.contacts()
        self.solver = make_solver(plan, self.model)
        self.state, self._other = self.model.state(), self.model.state()
        self.control = self.model.control()
        self._joints = [scene.joints[drive.path] for drive in plan.drives]
        self._begin()
        for name in _MOVING:
            getattr(self._other, name).assign(getattr(self.state, name))
        self._actuators = list(self.model.actuators)
        self._drives = [a.state() for a in self._actuators]
        self._after = [a.state() for a in self._actuators]
        self._belts = BeltMeshes(plan, self.model, worlds) if plan.belts else None
        self._read_joints()
        self._losses = Losses(self._pipeline, self.contacts, self.solver, worlds, device)
        self._counts: wp.array[Any] = wp.zeros(worlds, dtype=wp.int32, device=device)
        self._memories = self._remembered()
        self._friction = np.full(worlds, 1.0)
        self._rough = host_copy(self.model.shape_material_mu)
        self._set_friction(np.full(worlds, plan.friction))
        self.hooks: Sequence[BodyHook] = [make(self) for make in plan.hooks]

    def _begin(self) -> None:
        """Put every joint where it begins."""
        first = host_copy(self.context.bus)
        angles = host_copy(self.state.joint_q).reshape(self._worlds, -1)
        for drive, joint in zip(self.plan.drives, self._joints, strict=True):
            if drive.begin >= 0:
                angles[:, joint.coordinate] = first[:, drive.begin]
        self.state.joint_q.assign(angles.ravel())
        newton.eval_fk(self.model, self.state.joint_q, self.state.joint_qd, self.state)

    def _read_joints(self) -> None:
        drives, device = self.plan.drives, self.context.device

        def made(values: Any, dtype: Any = wp.int32) -> Any:
            return wp.array(np.array(values, np.int32), dtype=dtype, device=device)

        self._targets = made([drive.target for drive in drives])
        self._coordinates = made([joint.coordinate for joint in self._joints])
        self._freedoms = made([joint.freedom for joint in self._joints])
        columns = [[getattr(d, n) for d in drives] for n in ("position", "velocity", "effort")]
        self._written = made(columns) if drives else None

    def _remembered(self) -> list[Memory]:
        worlds = self._worlds
        moving = {name: getattr(self.state, name) for name in _MOVING}
        targets = {name: getattr(self.control, name) for name in ("joint_target_q",)}
        memories: list[Memory] = [
            ArrayMemory({**moving, **targets, "contacts": self._counts}, worlds),
            ArrayMemory({"dropped": self._losses.counts}, worlds),
            ActuatorMemory(self._drives, worlds),
        ]
        if self.plan.solver == "steel":
            patches = self.solver._friction_patches  # noqa: SLF001  # newton offers no other way
            capacity = contact_capacity(self.plan)
            memories.append(FrictionMemory(patches, self.model, worlds, capacity))
        elif self.plan.solver == "mujoco":
            data = self.solver.mjw_data
            held = {"warmstart": data.qacc_warmstart, "activation": data.act}
            memories.append(ArrayMemory(held, worlds))
        return memories

    # -- moving on

    def launch(self, dt: float, substeps: int) -> None:
        """See System."""
        self._take_inputs()
        here, there = self.state, self._other
        before, after = self._drives, self._after
        for _ in range(substeps):
            self._step(here, there, before, after, dt)
            here, there, before, after = there, here, after, before
        if substeps % 2:  # a graph goes by addresses: what is new must lie where the old was
            for name in _MOVING:
                wp.copy(getattr(self.state, name), getattr(self._other, name))
            for mine, new in zip(self._drives, self._after, strict=True):
                mine.assign(new)
        self._give_outputs()

    def _step(self, here: Any, there: Any, before: Any, after: Any, dt: float) -> None:
        here.clear_forces()
        self._pipeline.collide(here, self.contacts)
        if self._actuators or self.hooks:
            self.control.joint_f.zero_()
        for actuator, old, new in zip(self._actuators, before, after, strict=True):
            actuator.step(here, self.control, old, new, dt=dt)
        for hook in self.hooks:
            hook.launch(here, self.control, dt)
        self.solver.step(here, there, self.control, self.contacts, dt)
        if self.plan.solver == "xpbd":  # it moves bodies alone
            newton.eval_ik(self.model, there, there.joint_q, there.joint_qd)
        self._losses.count()

    def _take_inputs(self) -> None:
        bus, device = self.context.bus, self.context.device
        if self._joints:
            wp.launch(
                read_targets,
                dim=(self._worlds, len(self._joints)),
                inputs=[bus, self._targets, self._coordinates, self._coordinate_count],
                outputs=[self.control.joint_target_q],
                device=device,
            )
        if self._belts is not None:
            wp.launch(
                run_belts,
                dim=self._belts.ids.shape,
                inputs=[
                    bus,
                    self._belts.columns,
                    self._belts.firsts,
                    self._belts.directions,
                    self._belts.ids,
                ],
                device=device,
            )

    def _give_outputs(self) -> None:
        bus, device, model = self.context.bus, self.context.device, self.model
        if self._joints:
            wp.launch(
                write_joints,
                dim=(self._worlds, len(self._joints)),
                inputs=[
                    self._coordinates,
                    self._freedoms,
                    self._coordinate_count,
                    model.joint_dof_count // self._worlds,
                    self.state.joint_q,
                    self.state.joint_qd,
                    self.control.joint_target_q,
                    self.control.joint_target_qd,
                    model.joint_target_ke,
                    model.joint_target_kd,
                    model.joint_effort_limit,
                    self.control.joint_f,
                    self._written,
                ],
                outputs=[bus],
                device=device,
            )
        contacts = self.contacts
        self._counts.zero_()
        wp.launch(
            count_contacts,
            dim=contacts.rigid_contact_max,
            inputs=[
                contacts.rigid_contact_count,
                contacts.rigid_contact_shape0,
                contacts.rigid_contact_shape1,
                model.shape_world,
            ],
            outputs=[self._counts],
            device=device,
        )
        wp.launch(
            write_contacts,
            dim=self._worlds,
            inputs=[
                self._counts,
                self._losses.counts,
                self.plan.contact_column,
                self.plan.dropped_column,
            ],
            outputs=[bus],
            device=device,
        )

    @property
    def _coordinate_count(self) -> int:
        return int(self.model.joint_coord_count) // self._worlds

    # -- the whole state

    def save(self) -> Saved:
        """See System."""
        saved: dict[str, npt.NDArray[Any]] = {}
        for memory in self._memories:
            saved |= memory.save()
        saved["friction"] = self._friction[:, None].copy()
        for i, hook in enumerate(self.hooks):
            saved |= {f"hook{i}.{name}": values for name, values in hook.save().items()}
        return saved

    def load(self, saved: Saved) -> None:
        """See System."""
        for memory in self._memories:
            memory.load(saved)
        self._set_friction(taken(saved, "friction", self._friction[:, None])[:, 0])
        for i, hook in enumerate(self.hooks):
            head = f"hook{i}."
            hook.load({k.removeprefix(head): v for k, v in saved.items() if k.startswith(head)})

    def correct(self, expected: Mapping[int, float]) -> Collection[int]:
        """Set joints so that their columns show what is expected, in every world.

        Args:
            expected: position by column [rad or m].

        Returns:
            The columns that were taken.
        """
        mine = {
            drive.position: joint
            for drive, joint in zip(self.plan.drives, self._joints, strict=True)
            if drive.corrected
        }
        taken = [column for column in expected if column in mine]
        if taken:
            values = host_copy(self.state.joint_q).reshape(self._worlds, -1)
            for column in taken:
                values[:, mine[column].coordinate] = expected[column]
            self.state.joint_q.assign(values.ravel())
            newton.eval_fk(self.model, self.state.joint_q, self.state.joint_qd, self.state)
        return taken

    def assign(self, place: str, name: str, values: npt.ArrayLike) -> None:
        """Set a parameter in every world.

        Args:
            place: path and name of the model of kind `bodies`.
            name: `friction`; the others decide how a scene is built.
            values: one for each world.

        Raises:
            ModelError: there is no such parameter, or a value is out of range.
        """
        given = np.asarray(values, np.float64)
        if name != "friction":
            raise BodiesError(f"{place}: param:{name} cannot vary; friction can")
        if given.shape != (self._worlds,) or not ((given >= 0) & (given <= 10)).all():
            raise BodiesError(
                f"{place}: param:friction takes {self._worlds} numbers in [0, 10], got {given}"
            )
        self._set_friction(given)

    def _set_friction(self, factors: npt.NDArray[np.float64]) -> None:
        if np.array_equal(factors, self._friction):
            return
        self._friction = np.array(factors, np.float64)
        rough = self._rough.reshape(self._worlds, -1) * self._friction[:, None]
        self.model.shape_material_mu.assign(rough.ravel().astype(np.float32))
        self.solver.notify_model_changed(newton.ModelFlags.SHAPE_PROPERTIES)

    # -- what it shows

    def poses(self, world: int = 0) -> npt.NDArray[np.float64]:
        """Return the transforms of the bodies' prims, row vectors, shape (n, 16)."""
        poses = host_copy(self.state.body_q).reshape(self._worlds, -1, 7)
        return self.plan.scene.frames.local(poses[world])

    def twists(self, world: int = 0) -> npt.NDArray[np.float64]:
        """Return velocities of the bodies in the world, Z up, shape (n, 6).

        The linear one of the centre of mass [m/s], then the angular one [rad/s].
        """
        twists = host_copy(self.state.body_qd).reshape(self._worlds, -1, 6)
        picked = twists[world][self.plan.scene.frames.bodies]
        return np.asarray(picked, np.float64)

    def touching(self) -> Sequence[Touch]:
        """Return which parts of machines touch something now that is not made to be touched."""
        return touches(self.plan, self.model, self.state, self.contacts)

    @property
    def dropped(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """What did not fit since the start, by cause, for each world; those with a loss alone."""
        return self._losses.named()

    # -- prims and indices

    def body(self, path: str, world: int = 0) -> int:
        """Return newton's index of a body."""
        return self._index(self.plan.scene.bodies, path, world, self.model.body_count)

    def shape(self, path: str, world: int = 0) -> int:
        """Return newton's index of a shape."""
        return self._index(self.plan.scene.shapes, path, world, self.model.shape_count)

    def joint(self, path: str, world: int = 0) -> int:
        """Return newton's index of a joint with one axis."""
        known = {path: joint.index for path, joint in self.plan.scene.joints.items()}
        return self._index(known, path, world, self.model.joint_count)

    def path_of_body(self, index: int) -> Place:
        """Return whose index of a body it is."""
        return self._place(self.plan.scene.bodies, index, self.model.body_count)

    def path_of_shape(self, index: int) -> Place:
        """Return whose index of a shape it is."""
        return self._place(self.plan.scene.shapes, index, self.model.shape_count)

    def path_of_joint(self, index: int) -> Place:
        """Return whose index of a joint it is; raises for one that connects a body to nothing."""
        known = {path: joint.index for path, joint in self.plan.scene.joints.items()}
        return self._place(known, index, self.model.joint_count)

    def _index(self, known: Mapping[str, int], path: str, world: int, total: int) -> int:
        if path not in known:
            raise BodiesError(f"{path}: no such part of {self.name}")
        if not 0 <= world < self._worlds:
            raise BodiesError(f"{self.name}: world must be in [0, {self._worlds}), got {world}")
        return known[path] + world * (total // self._worlds)

    def _place(self, known: Mapping[str, int], index: int, total: int) -> Place:
        world, own = divmod(index, total // self._worlds)
        found = next((path for path, i in known.items() if i == own), None)
        if found is None or not 0 <= world < self._worlds:
            raise BodiesError(f"{self.name}: {index} is no part of it that the stage names")
        return Place(found, world)
