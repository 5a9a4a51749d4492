"""Small robots: an arm, a gripper with a finger that follows, and a base on wheels."""

from __future__ import annotations

__all__ = ["ARM", "BASE", "GRIPPER", "WEDGE", "link"]


def link(
    name: str, mass: float = 1.0, com: str = "0 0 0.1", inertia: str = "", shapes: str = ""
) -> str:
    moments = inertia or 'ixx="0.02" iyy="0.03" izz="0.025" ixy="0.001" ixz="0" iyz="-0.002"'
    return f"""
  <link name="{name}">
    <inertial><mass value="{mass}"/><origin xyz="{com}"/><inertia {moments}/></inertial>
    {shapes}
  </link>"""


def shape(kind: str, geometry: str, xyz: str = "0 0 0", rpy: str = "0 0 0") -> str:
    color = '<material name="m"><color rgba="0.9 0.2 0.1 1"/></material>'
    return (
        f'<{kind}><origin xyz="{xyz}" rpy="{rpy}"/><geometry>{geometry}</geometry>'
        f"{color if kind == 'visual' else ''}</{kind}>"
    )


ARM = f"""<robot name="arm-3">
{link("base", 4.0, shapes=shape("visual", '<box size="0.2 0.3 0.1"/>') + shape("collision", '<cylinder radius="0.1" length="0.1"/>'))}
{link("upper", 1.5, "0.01 0 0.25", shapes=shape("collision", '<cylinder radius="0.05" length="0.5"/>', "0 0 0.25"))}
{link("fore arm", 0.7, "0 0.02 0.2", shapes=shape("collision", '<box size="0.06 0.06 0.4"/>', "0 0 0.2", "0.1 0.2 0.3"))}
{link("hand", 0.2, "0 0 0.05", shapes=shape("visual", '<sphere radius="0.04"/>'))}
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.1" rpy="0.2 0.1 0"/><axis xyz="0 1 0"/>
    <limit lower="-1.5" upper="1.2" effort="50" velocity="2"/><dynamics damping="0.5" friction="0.1"/></joint>
  <joint name="elbow" type="continuous"><parent link="upper"/><child link="fore arm"/>
    <origin xyz="0 0 0.5" rpy="0 0 0.7"/><axis xyz="0 0.6 -0.8"/><limit effort="20" velocity="3"/></joint>
  <joint name="wrist" type="prismatic"><parent link="fore arm"/><child link="hand"/>
    <origin xyz="0 0 0.4"/><axis xyz="0 0 -1"/>
    <limit lower="-0.1" upper="0.05" effort="30" velocity="0.4"/><dynamics damping="2"/></joint>
</robot>
"""  # noqa: E501 - as robots are written

GRIPPER = f"""<robot name="gripper">
{link("palm", 0.5)}
{link("left", 0.1)}
{link("right", 0.1)}
{link("tip", 0.05)}
  <joint name="grip" type="prismatic"><parent link="palm"/><child link="left"/>
    <origin xyz="0 0.02 0.1"/><axis xyz="0 1 0"/><limit lower="0" upper="0.04" effort="5" velocity="0.1"/></joint>
  <joint name="follow" type="prismatic"><parent link="palm"/><child link="right"/>
    <origin xyz="0 -0.02 0.1"/><axis xyz="0 -1 0"/><limit lower="0" upper="0.04" effort="5" velocity="0.1"/>
    <mimic joint="grip" multiplier="0.5" offset="0.01"/></joint>
  <joint name="glue" type="fixed"><parent link="left"/><child link="tip"/><origin xyz="0 0 0.05"/></joint>
</robot>
"""  # noqa: E501

BASE = """<mujoco model="base">
  <compiler angle="radian" autolimits="true"/>
  <asset><mesh name="wedge" file="wedge.obj" scale="0.1 0.1 0.1"/></asset>
  <default><geom friction="0.7 0.01 0.001"/></default>
  <worldbody>
    <geom type="plane" size="5 5 0.1"/>
    <body name="chassis" pos="0 0 0.15"><freejoint/>
      <geom type="box" size="0.3 0.2 0.05" mass="10" rgba="0.2 0.4 0.8 1"/>
      <body name="left" pos="0 0.25 -0.05">
        <joint name="left_wheel" axis="0 1 0" damping="0.1" armature="0.01" frictionloss="0.02"/>
        <geom type="cylinder" size="0.1 0.02" euler="1.5708 0 0" mass="1"/></body>
      <body name="right" pos="0 -0.25 -0.05">
        <joint name="right_wheel" axis="0 1 0" damping="0.1" range="-2 3"/>
        <geom type="capsule" size="0.1 0.02" euler="1.5708 0 0" mass="1"/></body>
      <body name="head" pos="0.2 0 0.1">
        <joint name="pan" axis="0 0 1" range="-1 1"/>
        <joint name="tilt" axis="0 1 0" range="-0.5 0.5"/>
        <geom type="mesh" mesh="wedge"/></body>
      <body name="caster" pos="-0.25 0 -0.1">
        <joint name="ball" type="ball"/>
        <geom type="ellipsoid" size="0.05 0.04 0.05" mass="0.5"/></body>
    </body>
  </worldbody>
  <actuator>
    <velocity joint="left_wheel" kv="5" forcerange="-20 20"/>
    <position joint="right_wheel" kp="30" forcerange="-25 25"/>
  </actuator>
</mujoco>
"""

WEDGE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2/1/1 3/2/1 4//1\n"
