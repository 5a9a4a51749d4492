"""Arms on a stage: angles for a pose, motions, picking from a belt, and what a live arm should do.

Importing it imports newton.
"""

from stagetwin_sim._errors import ArmError
from stagetwin_sim.arms._chain import ArmChain, read_chain, read_tool
from stagetwin_sim.arms._hooks import Gripper, PartTracker, TargetRamp
from stagetwin_sim.arms._ik import ArmIk, IkSolution
from stagetwin_sim.arms._live import JointComparison, LiveArm, plan_gripper, plan_live_arm
from stagetwin_sim.arms._motion import JointMotion, plan_motion
from stagetwin_sim.arms._pick import PickPlan, PickSystem
from stagetwin_sim.arms._program import Phase, PickTask

__all__ = [
    "ArmChain",
    "ArmError",
    "ArmIk",
    "Gripper",
    "IkSolution",
    "JointComparison",
    "JointMotion",
    "LiveArm",
    "PartTracker",
    "Phase",
    "PickPlan",
    "PickSystem",
    "PickTask",
    "TargetRamp",
    "plan_gripper",
    "plan_live_arm",
    "plan_motion",
    "read_chain",
    "read_tool",
]
