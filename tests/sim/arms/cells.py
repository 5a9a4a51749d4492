"""The example cell with an arm, a belt and a pallet, as a plan."""

from __future__ import annotations

from pxr import Usd

from stagetwin._data import factory_folder
from stagetwin_sim.arms import Gripper, PartTracker, PickPlan, PickTask, TargetRamp, read_tool
from stagetwin_sim.bodies import Belt, BodiesPlan, BodyScene, JointDrive
from stagetwin_sim.engine import Column, Plan, PlanBuilder

Places = tuple[tuple[float, float, float, float], ...]

__all__ = ["ARM", "JOINTS", "SLOTS", "TOOL", "cell_stage", "pick_plan"]

ARM, TOOL = "/World/Arm", "/World/Arm/Link6/Tool"
JOINTS = tuple(f"{ARM}/Joints/J{i}" for i in range(1, 7))
PARTS = ("/World/Carton1", "/World/Carton2")
SLOTS = ((0.68, -1.45, 0.144, 0.0), (1.22, -1.45, 0.144, 0.0))
BELT = "/World/C1/Surface"


def cell_stage() -> Usd.Stage:
    """Open the example."""
    return Usd.Stage.Open(str(factory_folder() / "bodies" / "pick.usda"))


def pick_plan(
    stage: Usd.Stage,
    scene: BodyScene,
    speed: float = 0.2,
    limit: float = 0.0,
    places: Places = SLOTS,
) -> Plan:
    """Return the plan of the cell: an arm that picks, and the bodies."""
    builder = PlanBuilder()

    def column(name: str, value: float = 0.0) -> int:
        return builder.column(Column(name, value=value))

    targets = [column(f"target{i}") for i in range(1, 7)]
    names = ("x", "y", "z", "turn")
    parts = [[column(f"part{i}.{name}") for name in names] for i in range(1, 3)]
    belt, close, holding = column("speed", speed), column("close"), column("holding")
    tracked = [(p[0], p[1], p[2], p[3]) for p in parts]
    builder.add(
        PickPlan(
            name="pick",
            stage=stage,
            arm=ARM,
            tool=TOOL,
            task=PickTask(
                waiting=(-0.2, -0.1, 1.5, 0.0),
                entry=((-1.2, -0.3, 0.7), (-0.1, 0.3, 1.0)),
                direction=(1.0, 0.0, 0.0),
                heights=(0.36, 0.36),
                places=places,
            ),
            targets=targets,
            close=close,
            holding=holding,
            parts=tracked,
            speed=belt,
            placed=column("placed"),
            missed=column("missed"),
            phase=column("phase"),
        )
    )
    gripper = Gripper(
        site=read_tool(stage, scene, TOOL),
        parts=PARTS,
        close=close,
        limit=limit,
        holding=holding,
        force=column("force"),
    )
    builder.add(
        BodiesPlan(
            scene=scene,
            name="bodies",
            belts=[Belt(BELT, belt, (1, 0, 0))],
            drives=[
                JointDrive(
                    path=path,
                    target=target,
                    position=column(f"position{i}"),
                    effort=column(f"effort{i}"),
                )
                for i, (path, target) in enumerate(zip(JOINTS, targets, strict=True), 1)
            ],
            dropped_column=column("dropped"),
            touchable=("/World/Pallet", *PARTS),
            hooks=[TargetRamp(JOINTS, targets), gripper, PartTracker(PARTS, tracked)],
        )
    )
    return builder.build()
